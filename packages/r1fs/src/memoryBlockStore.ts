import { StorageQuotaError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import type { BlockStore, FileRecord, PutOptions, StorageUsage, WholeDescription } from "./blockStore.ts";
import { blockKey } from "./cid.ts";
import { createStoreChanges } from "./storeChanges.ts";
import { surveyOf } from "./survey.ts";

interface KeptBlock {
	bytes: Uint8Array<ArrayBuffer>;
	usedAt: number;
	readonly from: string | undefined;
	readonly wholes: Set<string>;
}

/**
 * Blocks in memory, within a budget of bytes: what is left when nothing else keeps them.
 *
 * @param channel - on which other tabs are told that something changed
 */
export function createMemoryBlockStore(budgetBytes: number, channel?: string): BlockStore {
	// A Map iterates in the order of insertion; what is used is inserted again, so the first is the one to go.
	const blocks = new Map<string, KeptBlock>();
	const files = new Map<string, { record: FileRecord; blocks: readonly string[] }>();
	const descriptions = new Map<string, WholeDescription>();
	const changes = createStoreChanges(channel);
	const place = `memory:${crypto.randomUUID()}`;
	let budget = budgetBytes;
	let usedBytes = 0;

	function drop(key: string): number {
		const freed = blocks.get(key)?.bytes.byteLength ?? 0;
		blocks.delete(key);
		usedBytes -= freed;
		changes.note();
		return freed;
	}

	/** Back to the end of the line. */
	function use(key: string, block: KeptBlock, whole: string | undefined): void {
		blocks.delete(key);
		block.usedAt = Date.now();
		if (whole !== undefined) block.wholes.add(whole);
		blocks.set(key, block);
	}

	function keysOfFiles(): Set<string> {
		return new Set([...files.values()].flatMap((file) => file.blocks));
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
		place,
		async has(cid: CID) {
			return blocks.has(blockKey(cid));
		},
		async get(cid: CID, whole?: string) {
			const key = blockKey(cid);
			const block = blocks.get(key);
			if (!block) return undefined;
			use(key, block, whole);
			return block.bytes;
		},
		async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}) {
			const key = blockKey(cid);
			const size = bytes.byteLength;
			const known = blocks.get(key);
			if (known) return use(key, known, options.whole);
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
			blocks.set(key, {
				bytes: new Uint8Array(bytes),
				usedAt: Date.now(),
				from: options.from,
				wholes: new Set(options.whole === undefined ? [] : [options.whole]),
			});
			usedBytes += size;
			changes.note();
		},
		async keep(record: FileRecord, keys: readonly string[]) {
			const missing = keys.filter((key) => !blocks.has(key));
			if (missing.length > 0) return missing;
			files.set(record.cid, { record, blocks: [...keys] });
			changes.note();
			return [];
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
			changes.note();
			return true;
		},
		async describe(whole: string, about: WholeDescription) {
			descriptions.set(whole, about);
		},
		async survey() {
			const entries = [...blocks].map(([key, { bytes, usedAt, from, wholes }]) => ({
				key,
				size: bytes.byteLength,
				usedAt,
				from,
				wholes: [...wholes],
			}));
			return surveyOf(entries, keysOfFiles(), descriptions);
		},
		async forget(whole: string) {
			const keys = new Set(files.get(whole)?.blocks);
			for (const [key, { wholes }] of blocks) if (wholes.delete(whole)) keys.add(key);
			files.delete(whole);
			descriptions.delete(whole);
			const needed = keysOfFiles();
			let freed = 0;
			for (const key of keys) {
				if (!needed.has(key) && blocks.get(key)?.wholes.size === 0) freed += drop(key);
			}
			changes.note();
			return freed;
		},
		async forgetLoose(before: number) {
			const needed = keysOfFiles();
			let freed = 0;
			for (const [key, { usedAt, wholes }] of blocks) {
				if (usedAt < before && wholes.size === 0 && !needed.has(key)) freed += drop(key);
			}
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
			changes.note();
		},
		async persist() {
			return false;
		},
		watch: changes.watch,
		async close() {
			changes.close();
			blocks.clear();
			files.clear();
			usedBytes = 0;
		},
	};
}
