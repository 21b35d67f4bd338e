import { equalBytes, limits, ShardIntegrityError, type TensorEntry } from "@tabmesh/wire";
import { sha256 } from "./sha256.ts";

/** Offset and length of chunk `index` of `bytes` source bytes. */
export function chunkRange(bytes: number, index: number): { offset: number; length: number } {
	const offset = index * limits.chunkBytes;
	return { offset, length: Math.min(limits.chunkBytes, bytes - offset) };
}

/** How many chunks `bytes` source bytes have. */
export function chunkCount(bytes: number): number {
	return Math.ceil(bytes / limits.chunkBytes);
}

/** SHA-256 of each 1 MiB chunk of `bytes`. */
export async function hashChunks(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>[]> {
	return Promise.all(
		Array.from({ length: chunkCount(bytes.byteLength) }, (_, index) => {
			const { offset, length } = chunkRange(bytes.byteLength, index);
			return sha256(bytes.subarray(offset, offset + length));
		}),
	);
}

/**
 * Makes sure that `bytes` are chunks `[first, first + …)` of a tensor.
 *
 * @throws ShardIntegrityError when a hash or the length differs
 */
export async function verifyChunks(tensor: TensorEntry, first: number, bytes: Uint8Array): Promise<void> {
	const start = chunkRange(tensor.bytes, first).offset;
	const hashes = await hashChunks(bytes);
	const whole = bytes.byteLength % limits.chunkBytes === 0 || start + bytes.byteLength === tensor.bytes;
	for (const [i, hash] of hashes.entries()) {
		const expected = tensor.chunks[first + i];
		if (whole && expected && equalBytes(hash, expected)) continue;
		throw new ShardIntegrityError(
			`Chunk ${first + i} of ${tensor.name} does not have the hash that the model names.`,
			{
				details: { tensor: tensor.name, chunk: first + i },
			},
		);
	}
}
