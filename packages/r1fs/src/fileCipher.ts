import { DecryptionError } from "@tabmesh/wire";

/** Length of a file's key. */
export const fileKeyBytes = 32;

const tagBytes = 16;

/** Ciphertext of one chunk: sixteen fill a leaf of 1 MiB exactly, so a range of plaintext lies in as few blocks as can be. */
export const cipherChunkBytes = 64 * 1024;

/** Plaintext of one chunk. */
export const plainChunkBytes = cipherChunkBytes - tagBytes;

// Chunks that are worked on side by side: one leaf's worth.
const batch = 16;

// A counter of four bytes: 281 TB of file.
const lastChunk = 0xffff_ffff;

// What the key is for. Another format would use other words, so that its chunks never pass for ours.
const purpose = new TextEncoder().encode("tabmesh r1fs file 1");

/** A new key for one file. Using it for a second one would repeat nonces. */
export function generateFileKey(): Uint8Array<ArrayBuffer> {
	return crypto.getRandomValues(new Uint8Array(fileKeyBytes));
}

/**
 * Encrypts a file: AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
 * Nonce-Reuse Misuse-Resistance", CRYPTO 2015; the layout of `age`'s payload). The nonce of a chunk is its number in eleven bytes
 * and a last byte that is 1 for the last chunk and 0 before. The key is used for one file only, so no nonce occurs twice.
 * A file of no bytes is one empty chunk.
 *
 * @param plaintext - pieces of any length
 * @returns ciphertext in pieces of up to 1 MiB
 */
export async function* encryptFile(
	key: Uint8Array,
	plaintext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
	const secret = await importKey(key, "encrypt");
	let chunks: { number: number; bytes: Uint8Array<ArrayBuffer> }[] = [];
	let number = 0;
	async function encrypted(last: boolean): Promise<Uint8Array<ArrayBuffer>> {
		const parts = await Promise.all(
			chunks.map(({ number, bytes }, i) =>
				crypto.subtle.encrypt(algorithm(number, last && i === chunks.length - 1), secret, bytes),
			),
		);
		chunks = [];
		return concat(parts);
	}
	let filling = new Uint8Array(plainChunkBytes);
	let filled = 0;
	for await (const piece of plaintext) {
		for (let at = 0; at < piece.byteLength; ) {
			// A full chunk waits until more comes: only then is it known not to be the last.
			if (filled === plainChunkBytes) {
				if (number === lastChunk) throw new RangeError("The file is too long to be encrypted.");
				chunks.push({ number: number++, bytes: filling });
				if (chunks.length === batch) yield await encrypted(false);
				filling = new Uint8Array(plainChunkBytes);
				filled = 0;
			}
			const taken = Math.min(plainChunkBytes - filled, piece.byteLength - at);
			filling.set(piece.subarray(at, at + taken), filled);
			filled += taken;
			at += taken;
		}
	}
	chunks.push({ number, bytes: filling.subarray(0, filled) });
	yield await encrypted(true);
}

/** Bytes of plaintext in a ciphertext of `cipherBytes`. @throws DecryptionError where no ciphertext has that length */
export function plainSize(cipherBytes: number): number {
	const chunks = Math.max(1, Math.ceil(cipherBytes / cipherChunkBytes));
	const size = cipherBytes - chunks * tagBytes;
	// The last chunk holds a byte at least, unless it is the only one.
	const lastBytes = cipherBytes - (chunks - 1) * cipherChunkBytes - tagBytes;
	if (lastBytes < (chunks === 1 ? 0 : 1)) throw cannotOpen("it was cut");
	return size;
}

/** Where in the ciphertext the chunks of a range of plaintext lie. Both ends are clipped to the file. */
export function cipherRange(
	cipherBytes: number,
	range: { start?: number; end?: number },
): { firstChunk: number; start: number; end: number; skip: number; take: number } {
	const size = plainSize(cipherBytes);
	const from = Math.max(0, Math.min(range.start ?? 0, size));
	const to = Math.max(from, Math.min(range.end ?? size, size));
	const firstChunk = Math.floor(from / plainChunkBytes);
	const chunksEnd = Math.max(firstChunk + 1, Math.ceil(to / plainChunkBytes));
	return {
		firstChunk,
		start: Math.min(cipherBytes, firstChunk * cipherChunkBytes),
		end: Math.min(cipherBytes, chunksEnd * cipherChunkBytes),
		skip: from - firstChunk * plainChunkBytes,
		take: to - from,
	};
}

/**
 * Opens chunks of an encrypted file. A chunk that is wrong, out of its place or cut is found before a byte of it is given out.
 *
 * @param ciphertext - whole chunks in order, in pieces of any length, from `firstChunk` on
 * @param cipherBytes - length of the whole ciphertext: it tells which chunk must be the last
 * @throws DecryptionError
 */
export async function* decryptFile(
	key: Uint8Array,
	ciphertext: AsyncIterable<Uint8Array>,
	options: { cipherBytes: number; firstChunk: number; expectedBytes: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
	const secret = await importKey(key, "decrypt");
	// Refuses lengths that no ciphertext has.
	plainSize(options.cipherBytes);
	const finalNumber = Math.max(1, Math.ceil(options.cipherBytes / cipherChunkBytes)) - 1;
	let number = options.firstChunk;
	let missing = options.expectedBytes;
	let pending: Uint8Array[] = [];
	let pendingBytes = 0;

	async function opened(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
		const parts: Promise<ArrayBuffer>[] = [];
		for (let at = 0; at === 0 || at < bytes.byteLength; at += cipherChunkBytes) {
			const chunk = bytes.subarray(at, at + cipherChunkBytes);
			parts.push(crypto.subtle.decrypt(algorithm(number, number === finalNumber), secret, chunk));
			number++;
		}
		try {
			return concat(await Promise.all(parts));
		} catch (cause) {
			throw cannotOpen("the key is another one, or it was changed", cause);
		}
	}

	for await (const piece of ciphertext) {
		pending.push(piece);
		pendingBytes += piece.byteLength;
		missing -= piece.byteLength;
		const whole = pendingBytes - (pendingBytes % cipherChunkBytes);
		if (whole === 0) continue;
		const bytes = joined(pending, pendingBytes);
		pending = pendingBytes > whole ? [bytes.subarray(whole)] : [];
		pendingBytes -= whole;
		yield await opened(bytes.subarray(0, whole));
	}
	if (missing !== 0) throw cannotOpen("it was cut");
	if (pendingBytes > 0) yield await opened(joined(pending, pendingBytes));
}

function algorithm(number: number, last: boolean): AesGcmParams {
	const iv = new Uint8Array(12);
	new DataView(iv.buffer).setUint32(7, number);
	iv[11] = last ? 1 : 0;
	return { name: "AES-GCM", iv, additionalData: purpose, tagLength: tagBytes * 8 };
}

async function importKey(key: Uint8Array, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
	if (key.byteLength !== fileKeyBytes) throw cannotOpen(`a key has ${fileKeyBytes} bytes`);
	return crypto.subtle.importKey("raw", new Uint8Array(key), "AES-GCM", false, [use]);
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
	if (parts.length === 1) return parts[0] as Uint8Array<ArrayBuffer>;
	const whole = new Uint8Array(bytes);
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.byteLength;
	}
	return whole;
}

function concat(parts: readonly ArrayBuffer[]): Uint8Array<ArrayBuffer> {
	if (parts.length === 1) return new Uint8Array(parts[0]!);
	return joined(
		parts.map((part) => new Uint8Array(part)),
		parts.reduce((sum, part) => sum + part.byteLength, 0),
	);
}

function cannotOpen(why: string, cause?: unknown): DecryptionError {
	return new DecryptionError(`The file cannot be opened: ${why}.`, { cause });
}
