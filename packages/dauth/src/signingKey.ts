import { ed25519 } from "@noble/curves/ed25519.js";

/** What is kept of a peer key: a handle that WebCrypto guards or, where it lacks Ed25519, the 32-byte seed. */
export interface SigningKey {
	readonly publicKey: Uint8Array<ArrayBuffer>;
	readonly secret: CryptoKey | Uint8Array<ArrayBuffer>;
}

/** A fresh key. WebCrypto makes it where it can, and then its private half can never be read again. */
export async function generateSigningKey(): Promise<SigningKey> {
	try {
		const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
		return {
			publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)),
			secret: pair.privateKey,
		};
	} catch {
		// Chrome before 137, or plain HTTP, where a page has no crypto.subtle at all.
		const secret = ed25519.utils.randomSecretKey() as Uint8Array<ArrayBuffer>;
		return { publicKey: ed25519.getPublicKey(secret) as Uint8Array<ArrayBuffer>, secret };
	}
}

/** Ed25519 (RFC 8032) of `bytes`: 64 bytes. */
export async function signWith(key: SigningKey, bytes: Uint8Array): Promise<Uint8Array> {
	if (key.secret instanceof Uint8Array) return ed25519.sign(bytes, key.secret);
	return new Uint8Array(await crypto.subtle.sign("Ed25519", key.secret, bytes as Uint8Array<ArrayBuffer>));
}

/** Whether `value`, read from a store, is a key whose two halves belong together. */
export async function isSigningKey(value: unknown): Promise<boolean> {
	if (typeof value !== "object" || value === null) return false;
	const { publicKey, secret } = value as Partial<SigningKey>;
	if (!(publicKey instanceof Uint8Array) || publicKey.byteLength !== 32) return false;
	if (!(secret instanceof CryptoKey) && !(secret instanceof Uint8Array && secret.byteLength === 32))
		return false;
	try {
		const probe = new TextEncoder().encode("tabmesh key probe");
		return ed25519.verify(await signWith({ publicKey, secret } as SigningKey, probe), probe, publicKey);
	} catch {
		return false;
	}
}
