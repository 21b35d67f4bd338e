/** So that nobody finds out for whom this device asks by trying names. */
const salt = crypto.getRandomValues(new Uint8Array(16));

/** What peers are told of the one for whom this device asks: 16 bytes that are his for as long as this page or process runs. */
export async function apartOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
	const text = new TextEncoder().encode(name);
	const salted = new Uint8Array(salt.length + text.length);
	salted.set(salt);
	salted.set(text, salt.length);
	return new Uint8Array(await crypto.subtle.digest("SHA-256", salted)).slice(0, 16);
}
