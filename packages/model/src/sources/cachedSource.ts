import { bytesToHex } from "@noble/hashes/utils.js";
import { limits, ShardIntegrityError, StorageQuotaError, type TensorEntry } from "@tabmesh/wire";
import { chunkCount, chunkRange, verifyChunks } from "../manifest/chunks.ts";
import { sha256 } from "../manifest/sha256.ts";
import type { ModelRef, ReadOptions, ShardSource } from "../shardSource.ts";
import type { ChunkStore } from "./chunkStoreTypes.ts";

/** Chunks of one record: one read per tensor is fastest, but IndexedDB copies a record whole. */
const recordChunks = 32;

export interface CachedSourceOptions {
	/** Told once when the device has no room left; from then on nothing more is stored, and everything goes on. */
	onStorageFull?: (error: StorageQuotaError) => void;
}

/** Reads from the store on this device what is there and right, and from `upstream` what is not, which is then stored. */
export function cachedSource(
	store: ChunkStore,
	upstream: ShardSource,
	options: CachedSourceOptions = {},
): ShardSource {
	let full = false;
	return {
		async read(model: ModelRef, tensor: TensorEntry, readOptions: ReadOptions = {}) {
			const stored = await readStored(store, tensor, readOptions);
			if (stored) return stored;
			const fetched = await upstream.read(model, tensor, readOptions);
			if (full) return fetched;
			try {
				await writeStored(store, tensor, fetched);
			} catch (error) {
				if (!(error instanceof StorageQuotaError)) throw error;
				if (!full) options.onStorageFull?.(error);
				full = true;
			}
			return fetched;
		},
	};
}

async function readStored(
	store: ChunkStore,
	tensor: TensorEntry,
	options: ReadOptions,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
	const records: Uint8Array<ArrayBuffer>[] = [];
	let loadedBytes = 0;
	for (const first of recordStarts(tensor)) {
		options.signal?.throwIfAborted();
		const key = await recordKey(tensor, first);
		const record = await store.get(key);
		if (!record) return undefined;
		try {
			await verifyChunks(tensor, first, record);
		} catch (error) {
			if (!(error instanceof ShardIntegrityError)) throw error;
			await store.delete(key);
			return undefined;
		}
		records.push(record);
		loadedBytes += record.byteLength;
		options.onProgress?.(loadedBytes);
	}
	const [only] = records;
	if (records.length === 1 && only?.byteLength === tensor.bytes) return only;
	if (loadedBytes !== tensor.bytes) return undefined;
	const whole = new Uint8Array(tensor.bytes);
	let at = 0;
	for (const record of records) {
		whole.set(record, at);
		at += record.byteLength;
	}
	return whole;
}

async function writeStored(
	store: ChunkStore,
	tensor: TensorEntry,
	bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
	for (const first of recordStarts(tensor)) {
		const from = chunkRange(tensor.bytes, first).offset;
		const to = Math.min(from + recordChunks * limits.chunkBytes, tensor.bytes);
		// A view of something larger would be stored with all of that.
		const record = from === 0 && to === tensor.bytes ? bytes : bytes.slice(from, to);
		await store.put(await recordKey(tensor, first), record);
	}
}

function recordStarts(tensor: TensorEntry): number[] {
	return Array.from(
		{ length: Math.ceil(chunkCount(tensor.bytes) / recordChunks) },
		(_, i) => i * recordChunks,
	);
}

/** Named by the hashes that the record must have, so that models with a tensor in common share it. */
async function recordKey(tensor: TensorEntry, first: number): Promise<string> {
	const hashes = tensor.chunks.slice(first, first + recordChunks);
	const joined = new Uint8Array(32 * hashes.length);
	for (const [i, hash] of hashes.entries()) joined.set(hash, 32 * i);
	return bytesToHex(await sha256(joined));
}
