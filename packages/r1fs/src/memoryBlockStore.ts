import { StorageQuotaError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import type { BlockStore, FileRecord, PutOptions, StorageUsage } from "./blockStore.ts";
import { blockKey } from "./cid.ts";

interface KeptBlock {
	bytes: Uint8Array<ArrayBuffer>;
	usedAt: number;
}

/** Blocks in memory, within a budget of bytes: what is left when nothing else keeps them. */
export function createMemoryBlockStore(budgetBytes: number): BlockStore {
	// A Map iterates in the order of insertion; what is used is inserted again, so the first is the one to go.
	const blocks = new Map<string, KeptBlock>();
	const files = new Map<string, { record: FileRecord; blocks: readonly string[] }>();
	let budget = budgetBytes;
	let usedBytes = 0;

	function drop(key: string): number {
		const freed = blocks.get(key)?.bytes.byteLength ?? 0;
		blocks.delete(key);
		usedBytes -= freed;
		return freed;
	}

	function pinnedKeys(): Set<string> {
		const keys = new Set<string>();
		for (const { record, blocks } of files.values())
			if (record.pinned) for (const key of blocks) keys.add(key);
		return keys;
	}

	function evict(wanted: number, keepSince: number): void {
		const pinned = pinnedKeys();
		const gone = new Set<string>();
		for (const [key, { usedAt }] of blocks) {
			if (usedBytes <= wanted) break;
			if (pinned.has(key) || usedAt >= keepSince) continue;
			drop(key);
			gone.add(key);
		}
		for (const [cid, file] of files) if (file.blocks.some((key) => gone.has(key))) files.delete(cid);
	}

	return {
		async has(cid: CID) {
			return blocks.has(blockKey(cid));
		},
		async get(cid: CID) {
			const key = blockKey(cid);
			const block = blocks.get(key);
			if (!block) return undefined;
			blocks.delete(key);
			blocks.set(key, { bytes: block.bytes, usedAt: Date.now() });
			return block.bytes;
		},
		async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}) {
			const key = blockKey(cid);
			const size = bytes.byteLength;
			const known = blocks.get(key);
			if (known) {
				blocks.delete(key);
				blocks.set(key, { bytes: known.bytes, usedAt: Date.now() });
				return;
			}
			if (usedBytes + size > budget) {
				evict(budget - size, options.keepSince ?? Number.POSITIVE_INFINITY);
				if (usedBytes + size > budget) {
					throw new StorageQuotaError(
						`There is no room for ${size} more bytes: ${usedBytes} of ${budget} bytes of memory are taken.`,
						{ details: { neededBytes: size, usedBytes, budgetBytes: budget } },
					);
				}
			}
			// A copy: the caller's array may be a view of something larger, which would stay alive with it.
			blocks.set(key, { bytes: new Uint8Array(bytes), usedAt: Date.now() });
			usedBytes += size;
		},
		async keep(record: FileRecord, keys: readonly string[]) {
			const missing = keys.filter((key) => !blocks.has(key));
			if (missing.length === 0) files.set(record.cid, { record, blocks: [...keys] });
			return missing;
		},
		async file(cid: string) {
			return files.get(cid)?.record;
		},
		async files() {
			return [...files.values()].map(({ record }) => record);
		},
		async setPinned(cid: string, pinned: boolean) {
			const file = files.get(cid);
			if (!file) return false;
			file.record = { ...file.record, pinned };
			return true;
		},
		async forget(cid: string) {
			const file = files.get(cid);
			if (!file) return 0;
			files.delete(cid);
			const needed = new Set([...files.values()].flatMap(({ blocks }) => blocks));
			let freed = 0;
			for (const key of file.blocks) if (!needed.has(key)) freed += drop(key);
			return freed;
		},
		async usage(): Promise<StorageUsage> {
			let pinnedBytes = 0;
			for (const key of pinnedKeys()) pinnedBytes += blocks.get(key)?.bytes.byteLength ?? 0;
			return {
				budgetBytes: budget,
				usedBytes,
				pinnedBytes,
				memoryBytes: usedBytes,
				quotaBytes: undefined,
				originBytes: undefined,
				persisted: false,
				degraded: undefined,
			};
		},
		async setBudget(bytes: number) {
			budget = bytes;
			if (usedBytes > budget) evict(budget, Number.POSITIVE_INFINITY);
		},
		async persist() {
			return false;
		},
		async close() {
			blocks.clear();
			files.clear();
			usedBytes = 0;
		},
	};
}
