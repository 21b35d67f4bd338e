import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

const subtle = globalThis.crypto?.subtle;

/**
 * SHA-256 of `bytes`. WebCrypto hashes off the thread and several at once; pages on plain HTTP do not have it and get noble's.
 */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
	if (subtle) return new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
	return new Uint8Array(nobleSha256(bytes));
}
