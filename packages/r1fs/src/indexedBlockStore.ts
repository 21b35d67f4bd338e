import { StorageQuotaError } from "@tabmesh/wire";
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from "idb";
import type { CID } from "multiformats/cid";
import type {
	BlockStore,
	FileRecord,
	PutOptions,
	StorageUsage,
	Survey,
	WholeDescription,
} from "./blockStore.ts";
import { blockKey, verifyBlock } from "./cid.ts";
import { changesChannel, createStoreChanges, type StoreChanges } from "./storeChanges.ts";
import { surveyOf } from "./survey.ts";

interface BlockEntry {
	key: string;
	size: number;
	/** Milliseconds since 1970. */
	usedAt: number;
	/** Who gave it; absent where nobody wrote it down. */
	from?: string;
	/** What it is a part of. */
	wholes?: string[];
}

interface BlockDatabase extends DBSchema {
	/** The bytes, by key. */
	blocks: { key: string; value: Uint8Array<ArrayBuffer> };
	/** What eviction needs to know of each block: reading it must not read the bytes. */
	entries: { key: string; value: BlockEntry; indexes: { usedAt: number; wholes: string } };
	files: { key: string; value: FileRecord };
	/** The keys of a file's blocks, by the file's CID. */
	fileBlocks: { key: string; value: string[] };
	/** What people want to know of what blocks are parts of. */
	wholes: { key: string; value: WholeDescription };
	/** `usedBytes` and `budgetBytes`: changed in the same transactions as the blocks, so all tabs count the same. */
	totals: { key: string; value: number };
}

type Names = ("blocks" | "entries" | "files" | "fileBlocks" | "wholes" | "totals")[];
const everything: Names = ["blocks", "entries", "files", "fileBlocks", "wholes", "totals"];
type Writing = IDBPTransaction<BlockDatabase, Names, "readwrite">;

// Times of use are written together: a write transaction for each read would make every read wait for the disk.
const touchesKept = 256;
const touchEveryMs = 5_000;

// A sweep frees this share of the budget beyond what is needed, or every later block would sweep again.
const sweepShare = 0.02;

/** What a buffer may hold beside its block, a header of the network: copying a block costs more than keeping that. */
const sparedBytes = 64;

/** Blocks in one transaction: each has a price of its own, some milliseconds; 16 MiB are what the browser copies at once. */
const writesTogether = 16;

interface Write {
	readonly key: string;
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly keepSince: number;
	readonly whole: string | undefined;
	readonly from: string | undefined;
	readonly resolve: () => void;
	readonly reject: (error: unknown) => void;
}

export interface IndexedBlockStoreInit {
	/** Name of the database. */
	name: string;
	/** Budget of a store that has none yet. */
	budgetBytes: number;
}

/**
 * Blocks in IndexedDB. Every change is one transaction, so a tab that is killed leaves all of it or nothing; transactions
 * of several tabs wait for each other. Sweeps hold a Web Lock besides, so that two tabs that are both full do not evict twice.
 *
 * @throws the browser's own error where IndexedDB cannot be opened
 */
export async function openIndexedBlockStore(init: IndexedBlockStoreInit): Promise<BlockStore> {
	const database = await openDB<BlockDatabase>(init.name, 2, {
		upgrade(fresh, oldVersion, _, transaction) {
			if (oldVersion < 1) {
				fresh.createObjectStore("blocks");
				fresh.createObjectStore("entries", { keyPath: "key" }).createIndex("usedAt", "usedAt");
				fresh.createObjectStore("files", { keyPath: "cid" });
				fresh.createObjectStore("fileBlocks");
				fresh.createObjectStore("totals");
			}
			transaction.objectStore("entries").createIndex("wholes", "wholes", { multiEntry: true });
			fresh.createObjectStore("wholes");
		},
		// A newer version in another tab must not wait for this one.
		blocking: () => database?.close(),
	});
	const store = new IndexedBlockStore(init.name, database);
	await store.start(init.budgetBytes);
	return store;
}

class IndexedBlockStore implements BlockStore {
	readonly #name: string;
	readonly #database: IDBPDatabase<BlockDatabase>;
	readonly #touched = new Map<string, { usedAt: number; readonly wholes: Set<string> }>();
	/** Keys of blocks whose bytes were found right since the store was opened. */
	readonly #checked = new Set<string>();
	readonly #writes: Write[] = [];
	readonly #changes: StoreChanges;
	#flushing: Promise<void> | undefined;
	#touchTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(name: string, database: IDBPDatabase<BlockDatabase>) {
		this.#name = name;
		this.#database = database;
		this.#changes = createStoreChanges(changesChannel(name));
	}

	get place(): string {
		return this.#name;
	}

	async start(budgetBytes: number): Promise<void> {
		const transaction = this.#database.transaction("totals", "readwrite");
		const totals = transaction.objectStore("totals");
		if ((await totals.get("budgetBytes")) === undefined) await totals.put(budgetBytes, "budgetBytes");
		await transaction.done;
	}

	async has(cid: CID): Promise<boolean> {
		return (await this.#database.count("entries", blockKey(cid))) > 0;
	}

	async get(cid: CID, whole?: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
		const key = blockKey(cid);
		const bytes = await this.#database.get("blocks", key);
		if (!bytes) return undefined;
		if (!this.#checked.has(key)) {
			try {
				await verifyBlock(cid, bytes);
			} catch {
				await this.#writing(everything, (transaction) => this.#evictKeys(transaction, [key]));
				return undefined;
			}
			this.#checked.add(key);
		}
		this.#touch(key, whole);
		return bytes;
	}

	put(cid: CID, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
		// Storing a view clones the whole buffer behind it: an array of its own, unless that is hardly more.
		const spare = bytes.buffer.byteLength - bytes.byteLength;
		const own = spare <= sparedBytes ? bytes : new Uint8Array(bytes);
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		this.#writes.push({
			key: blockKey(cid),
			bytes: own as Uint8Array<ArrayBuffer>,
			keepSince: options.keepSince ?? Number.POSITIVE_INFINITY,
			whole: options.whole,
			from: options.from,
			resolve,
			reject,
		});
		this.#flushing ??= this.#flush().finally(() => {
			this.#flushing = undefined;
		});
		return promise;
	}

	/** Writes what waits, as much as one transaction may hold at a time: blocks that come while one is under way share the next. */
	async #flush(): Promise<void> {
		while (this.#writes.length > 0) {
			const batch = this.#writes.splice(0, writesTogether);
			let outcome = await this.#tryWrite(batch);
			if (outcome.waiting.length > 0) {
				const neededBytes = outcome.waiting.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
				const keepSince = Math.min(...outcome.waiting.map((write) => write.keepSince));
				await this.#sweep(neededBytes, keepSince).catch(() => {});
				outcome = await this.#tryWrite(outcome.waiting);
			}
			for (const { bytes, reject } of outcome.waiting)
				reject(await this.#full(bytes.byteLength, outcome.refusal));
		}
	}

	/** Writes in one transaction. What finds no room, in the budget or on the disk, comes back. */
	async #tryWrite(batch: Write[]): Promise<{ waiting: Write[]; refusal?: unknown }> {
		try {
			const waiting = await this.#writing(["blocks", "entries", "totals"], async (transaction) => {
				const entries = transaction.objectStore("entries");
				const blocks = transaction.objectStore("blocks");
				const totals = transaction.objectStore("totals");
				const [known, usedBefore = 0, budget = 0] = await Promise.all([
					Promise.all(batch.map(({ key }) => entries.get(key))),
					totals.get("usedBytes"),
					totals.get("budgetBytes"),
				]);
				const usedAt = Date.now();
				const fresh = new Set<string>();
				let used = usedBefore;
				const noRoom = batch.filter(({ key, bytes, whole, from }, i) => {
					if (!known[i] && !fresh.has(key)) {
						if (used + bytes.byteLength > budget) return true;
						used += bytes.byteLength;
						fresh.add(key);
						void blocks.put(bytes, key).catch(() => {});
					}
					// Whoever gave it first is who it came from.
					const entry = known[i] ?? { key, size: bytes.byteLength, usedAt, ...(from ? { from } : {}) };
					void entries.put(partOf({ ...entry, usedAt }, whole)).catch(() => {});
					return false;
				});
				if (used !== usedBefore) await totals.put(used, "usedBytes");
				return noRoom;
			});
			for (const write of batch) {
				if (waiting.includes(write)) continue;
				this.#checked.add(write.key);
				write.resolve();
			}
			if (waiting.length < batch.length) this.#changes.note();
			return { waiting };
		} catch (cause) {
			if (!isQuotaExceeded(cause)) {
				for (const { reject } of batch) reject(cause);
				return { waiting: [] };
			}
			if (batch.length === 1) return { waiting: batch, refusal: cause };
			// One block too many undoes them all: one by one, those that fit are kept.
			const waiting: Write[] = [];
			for (const write of batch) waiting.push(...(await this.#tryWrite([write])).waiting);
			return { waiting, refusal: cause };
		}
	}

	async keep(file: FileRecord, blocks: readonly string[]): Promise<string[]> {
		return this.#writing(everything, async (transaction) => {
			const entries = transaction.objectStore("entries");
			const here = await Promise.all(blocks.map((key) => entries.count(key)));
			const missing = blocks.filter((_, i) => here[i] === 0);
			if (missing.length > 0) return missing;
			await Promise.all([
				transaction.objectStore("files").put(file),
				transaction.objectStore("fileBlocks").put([...blocks], file.cid),
			]);
			this.#changes.note();
			return [];
		});
	}

	file(cid: string): Promise<FileRecord | undefined> {
		return this.#database.get("files", cid);
	}

	files(): Promise<FileRecord[]> {
		return this.#database.getAll("files");
	}

	setPinned(cid: string, pinned: boolean): Promise<boolean> {
		return this.#writing(["files"], async (transaction) => {
			const files = transaction.objectStore("files");
			const file = await files.get(cid);
			if (!file) return false;
			await files.put({ ...file, pinned });
			this.#changes.note();
			return true;
		});
	}

	async describe(whole: string, about: WholeDescription): Promise<void> {
		await this.#database.put("wholes", about, whole);
	}

	async survey(): Promise<Survey> {
		await this.#writeTouches();
		const transaction = this.#database.transaction(everything, "readonly");
		const wholes = transaction.objectStore("wholes");
		const [entries, lists, names, abouts] = await Promise.all([
			transaction.objectStore("entries").getAll(),
			transaction.objectStore("fileBlocks").getAll(),
			wholes.getAllKeys(),
			wholes.getAll(),
		]);
		const descriptions = new Map(names.map((name, i) => [name, abouts[i]!]));
		return surveyOf(entries, new Set(lists.flat()), descriptions);
	}

	async forget(whole: string): Promise<number> {
		await this.#writeTouches();
		return this.#writing(everything, async (transaction) => {
			const entries = transaction.objectStore("entries");
			const fileBlocks = transaction.objectStore("fileBlocks");
			const [blocks = [], parts] = await Promise.all([
				fileBlocks.get(whole),
				entries.index("wholes").getAll(whole),
				fileBlocks.delete(whole),
				transaction.objectStore("files").delete(whole),
				transaction.objectStore("wholes").delete(whole),
			]);
			await Promise.all(
				parts.map((entry) =>
					entries.put({ ...entry, wholes: entry.wholes!.filter((each) => each !== whole) }),
				),
			);
			const keys = [...new Set([...blocks, ...parts.map(({ key }) => key)])];
			const [needed, left] = await Promise.all([
				fileBlocks.getAll().then((lists) => new Set(lists.flat())),
				Promise.all(keys.map((key) => entries.get(key))),
			]);
			this.#changes.note();
			return this.#dropKeys(
				transaction,
				keys.filter((key, i) => !needed.has(key) && !left[i]?.wholes?.length),
			);
		});
	}

	async forgetLoose(before: number): Promise<number> {
		await this.#writeTouches();
		return this.#writing(everything, async (transaction) => {
			const [entries, lists] = await Promise.all([
				transaction.objectStore("entries").getAll(),
				transaction.objectStore("fileBlocks").getAll(),
			]);
			const needed = new Set(lists.flat());
			const loose = entries.filter(
				({ key, usedAt, wholes }) => usedAt < before && !wholes?.length && !needed.has(key),
			);
			return this.#dropKeys(
				transaction,
				loose.map(({ key }) => key),
			);
		});
	}

	async usage(): Promise<StorageUsage> {
		const transaction = this.#database.transaction(everything, "readonly");
		const totals = transaction.objectStore("totals");
		const [usedBytes, budgetBytes, files] = await Promise.all([
			totals.get("usedBytes"),
			totals.get("budgetBytes"),
			transaction.objectStore("files").getAll(),
		]);
		// Files that share blocks are counted with all of theirs, unless that would be more than there is.
		const pinned = files.filter((file) => file.pinned).reduce((sum, file) => sum + file.storedBytes, 0);
		const { quota, usage } = await estimate();
		return {
			budgetBytes: budgetBytes ?? 0,
			usedBytes: usedBytes ?? 0,
			pinnedBytes: Math.min(pinned, usedBytes ?? 0),
			memoryBytes: 0,
			quotaBytes: quota,
			originBytes: usage,
			persisted: (await globalThis.navigator?.storage?.persisted?.()) ?? false,
			degraded: undefined,
		};
	}

	async setBudget(bytes: number): Promise<void> {
		await this.#database.put("totals", bytes, "budgetBytes");
		this.#changes.note();
		await this.#sweep(0, Number.POSITIVE_INFINITY);
	}

	async persist(): Promise<boolean> {
		const agreed = (await globalThis.navigator?.storage?.persist?.()) ?? false;
		this.#changes.note();
		return agreed;
	}

	watch(listener: () => void): () => void {
		return this.#changes.watch(listener);
	}

	async close(): Promise<void> {
		await this.#flushing;
		await this.#writeTouches();
		this.#changes.close();
		this.#database.close();
	}

	// Eviction

	/** Evicts what was used longest ago until `neededBytes` more fit, sparing pinned files and what was used since `keepSince`. */
	async #sweep(neededBytes: number, keepSince: number): Promise<void> {
		await this.#writeTouches();
		await underLock(`${this.#name}:sweep`, () =>
			this.#writing(everything, async (transaction) => {
				const totals = transaction.objectStore("totals");
				const budget = (await totals.get("budgetBytes")) ?? 0;
				let used = (await totals.get("usedBytes")) ?? 0;
				if (used + neededBytes <= budget) return;
				const target = budget - Math.max(neededBytes, budget * sweepShare);
				const pinned = await this.#pinnedKeys(transaction);
				const doomed: string[] = [];
				const byUse = transaction.objectStore("entries").index("usedAt");
				let cursor = await byUse.openCursor();
				while (cursor && used > target && cursor.value.usedAt < keepSince) {
					if (!pinned.has(cursor.value.key)) {
						doomed.push(cursor.value.key);
						used -= cursor.value.size;
					}
					cursor = await cursor.continue();
				}
				await this.#evictKeys(transaction, doomed);
			}),
		);
	}

	async #pinnedKeys(transaction: Writing): Promise<Set<string>> {
		const files = await transaction.objectStore("files").getAll();
		const fileBlocks = transaction.objectStore("fileBlocks");
		const lists = await Promise.all(
			files.filter(({ pinned }) => pinned).map(({ cid }) => fileBlocks.get(cid)),
		);
		return new Set(lists.flatMap((keys) => keys ?? []));
	}

	/** Drops blocks, and the records of files that are no longer whole. */
	async #evictKeys(transaction: Writing, keys: readonly string[]): Promise<void> {
		if (keys.length === 0) return;
		await this.#dropKeys(transaction, keys);
		const gone = new Set(keys);
		let cursor = await transaction.objectStore("fileBlocks").openCursor();
		while (cursor) {
			if (cursor.value.some((key) => gone.has(key))) {
				await Promise.all([transaction.objectStore("files").delete(cursor.key), cursor.delete()]);
			}
			cursor = await cursor.continue();
		}
	}

	async #dropKeys(transaction: Writing, keys: readonly string[]): Promise<number> {
		const blocks = transaction.objectStore("blocks");
		const entries = transaction.objectStore("entries");
		const totals = transaction.objectStore("totals");
		const sizes = await Promise.all(keys.map(async (key) => (await entries.get(key))?.size ?? 0));
		await Promise.all(keys.flatMap((key) => [blocks.delete(key), entries.delete(key)]));
		const freed = sizes.reduce((sum, size) => sum + size, 0);
		await totals.put(Math.max(0, ((await totals.get("usedBytes")) ?? 0) - freed), "usedBytes");
		this.#changes.note();
		return freed;
	}

	// Times of use

	#touch(key: string, whole: string | undefined): void {
		const touch = this.#touched.get(key) ?? { usedAt: 0, wholes: new Set() };
		touch.usedAt = Date.now();
		if (whole !== undefined) touch.wholes.add(whole);
		this.#touched.set(key, touch);
		if (this.#touched.size >= touchesKept) void this.#writeTouches().catch(() => {});
		else this.#touchTimer ??= setTimeout(() => void this.#writeTouches().catch(() => {}), touchEveryMs);
	}

	async #writeTouches(): Promise<void> {
		clearTimeout(this.#touchTimer);
		this.#touchTimer = undefined;
		if (this.#touched.size === 0) return;
		const touched = [...this.#touched];
		this.#touched.clear();
		await this.#writing(["entries"], async (transaction) => {
			const entries = transaction.objectStore("entries");
			await Promise.all(
				touched.map(async ([key, { usedAt, wholes }]) => {
					const entry = await entries.get(key);
					if (!entry) return;
					const touched = { ...entry, usedAt: Math.max(entry.usedAt, usedAt) };
					await entries.put([...wholes].reduce(partOf, touched));
				}),
			);
		});
	}

	// Relaxed: done when the operating system has it, which outlives the tab and the browser, if not a power cut; then a
	// block with other bytes fails its hash, and is dropped.
	async #writing<T>(names: Names, change: (transaction: Writing) => Promise<T>): Promise<T> {
		const transaction = this.#database.transaction(names, "readwrite", { durability: "relaxed" }) as Writing;
		try {
			const result = await change(transaction);
			await transaction.done;
			return result;
		} catch (error) {
			transaction.done.catch(() => {});
			// The transaction says why it was undone; the request that met it first says only that it was.
			const cause = transaction.error ?? error;
			try {
				transaction.abort();
			} catch {
				// It ended by itself.
			}
			throw cause;
		}
	}

	async #full(neededBytes: number, cause?: unknown): Promise<StorageQuotaError> {
		const { usedBytes, budgetBytes, quotaBytes, originBytes } = await this.usage();
		const message = cause
			? `The browser refuses ${neededBytes} more bytes: it gives this site ${quotaBytes ?? "an unknown number of"} bytes, ${originBytes ?? usedBytes} are taken.`
			: `There is no room for ${neededBytes} more bytes: ${usedBytes} of the ${budgetBytes} bytes allowed are taken, and nothing can be evicted.`;
		return new StorageQuotaError(message, {
			cause,
			metaMessages: ["Remove or unpin files, or allow more room."],
			details: {
				neededBytes,
				usedBytes,
				budgetBytes,
				quotaBytes: quotaBytes ?? null,
				originBytes: originBytes ?? null,
			},
		});
	}
}

function partOf(entry: BlockEntry, whole: string | undefined): BlockEntry {
	if (whole === undefined || entry.wholes?.includes(whole)) return entry;
	return { ...entry, wholes: [...(entry.wholes ?? []), whole] };
}

function isQuotaExceeded(error: unknown): boolean {
	for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
		// Firefox's older name for the same.
		if (at.name === "QuotaExceededError" || at.name === "NS_ERROR_DOM_QUOTA_REACHED") return true;
	}
	return false;
}

async function estimate(): Promise<StorageEstimate> {
	try {
		return (await globalThis.navigator?.storage?.estimate?.()) ?? {};
	} catch {
		return {};
	}
}

async function underLock<T>(name: string, work: () => Promise<T>): Promise<T> {
	const locks = globalThis.navigator?.locks;
	return locks ? await locks.request(name, work) : await work();
}
