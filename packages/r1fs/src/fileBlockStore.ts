import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, stat, statfs, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { decodeCbor, encodeCbor, StorageQuotaError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import * as v from "valibot";
import { blockLimits } from "./blockLimits.ts";
import type {
	BlockStore,
	FileRecord,
	PutOptions,
	StorageUsage,
	Survey,
	WholeDescription,
} from "./blockStore.ts";
import { blockKey, verifyBlock } from "./cid.ts";
import { PartsFolder } from "./partsFolder.ts";
import { createStoreChanges } from "./storeChanges.ts";
import { type SurveyedBlock, surveyOf } from "./survey.ts";

const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const keySchema = v.pipe(v.string(), v.regex(/^b[a-z2-7]{55}$/));

// The records are our own, but the folder lies open to every program of this user.
const keptFileSchema = v.strictObject({
	record: v.strictObject({
		cid: v.pipe(v.string(), v.regex(/^b[a-z2-7]{58}$/)),
		size: countSchema,
		storedBytes: countSchema,
		blocks: countSchema,
		pinned: v.boolean(),
		addedAt: countSchema,
		encrypted: v.boolean(),
		name: v.optional(v.pipe(v.string(), v.maxLength(blockLimits.nameLength))),
		from: v.record(v.string(), countSchema),
	}),
	blocks: v.pipe(v.array(keySchema), v.maxLength(blockLimits.fileBlocks)),
});
type KeptFile = { record: FileRecord; blocks: string[] };

// 58 bytes for each key of the longest list, and the record.
const longestKeptFile = blockLimits.fileBlocks * 58 + 64 * 1024;

const sweepShare = 0.02;

// A draft that old belongs to a process that was killed: writing one block takes milliseconds.
const abandonedMs = 10 * 60_000;

interface Entry {
	size: number;
	usedAt: number;
}

/** Blocks as files of a folder: `blocks/<last two of the key>/<key>`, `files/<cid>` for what they make up, `parts/` for what they are parts of. */
export async function openFileBlockStore(init: { folder: string; budgetBytes: number }): Promise<BlockStore> {
	const store = new FileBlockStore(init.folder, init.budgetBytes);
	await store.start();
	return store;
}

/**
 * The folder is the truth: a block is written to a draft, flushed and renamed, so a killed process leaves it whole or not
 * at all, and several processes can share the folder. The index in memory is read again before anything is evicted.
 */
class FileBlockStore implements BlockStore {
	readonly #folder: string;
	readonly #entries = new Map<string, Entry>();
	/** Keys of blocks whose bytes were found right since the store was opened. */
	readonly #checked = new Set<string>();
	/** Blocks that are counted and perhaps not yet in their place. */
	readonly #underWay = new Map<string, Entry>();
	/** What was written since a scan began; undefined while there is none. */
	#scanning: Map<string, Entry> | undefined;
	readonly #parts: PartsFolder;
	/** What other processes change is seen when it is looked for. */
	readonly #changes = createStoreChanges();
	#budget: number;
	#used = 0;
	#drafts = 0;
	/** Sweeps and changes of records, one after the other. */
	#turn: Promise<unknown> = Promise.resolve();

	constructor(folder: string, budgetBytes: number) {
		this.#folder = folder;
		this.#budget = budgetBytes;
		this.#parts = new PartsFolder(join(folder, "parts"), (path, bytes) => this.#write(path, bytes));
	}

	get place(): string {
		return this.#folder;
	}

	async start(): Promise<void> {
		for (const name of ["blocks", "files", "parts", "drafts"]) {
			await mkdir(join(this.#folder, name), { recursive: true, mode: 0o700 });
		}
		for (const name of await readdir(join(this.#folder, "drafts"))) {
			const path = join(this.#folder, "drafts", name);
			const found = await stat(path).catch(() => undefined);
			if (found && Date.now() - found.mtimeMs > abandonedMs) await unlink(path).catch(() => {});
		}
		await this.#scan();
	}

	async has(cid: CID): Promise<boolean> {
		const key = blockKey(cid);
		return this.#entries.has(key) || (await this.#find(key)) !== undefined;
	}

	async get(cid: CID, whole?: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
		const key = blockKey(cid);
		let bytes: Uint8Array<ArrayBuffer>;
		try {
			const read = await readFile(this.#path(key));
			bytes = new Uint8Array(read.buffer as ArrayBuffer, read.byteOffset, read.byteLength);
			if (!this.#checked.has(key)) await verifyBlock(cid, bytes);
			this.#checked.add(key);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "ENOENT")
				await this.#inTurn(() => this.#evictKeys([key]));
			else this.#drop(key);
			return undefined;
		}
		const now = new Date();
		this.#note(key, { size: bytes.byteLength, usedAt: now.getTime() });
		if (whole !== undefined) this.#parts.note(whole, key, undefined);
		// The order of eviction must outlive the process. Losing one touch changes nothing that matters.
		void utimes(this.#path(key), now, now).catch(() => {});
		return bytes;
	}

	async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
		const key = blockKey(cid);
		const noted = (): void => {
			if (options.whole !== undefined) this.#parts.note(options.whole, key, options.from);
		};
		if (this.#entries.has(key) && (await this.#find(key))) {
			const now = new Date();
			noted();
			this.#note(key, { size: bytes.byteLength, usedAt: now.getTime() });
			await utimes(this.#path(key), now, now).catch(() => {});
			return;
		}
		if (this.#used + bytes.byteLength > this.#budget) {
			await this.#inTurn(() => this.#sweep(bytes.byteLength, options.keepSince ?? Number.POSITIVE_INFINITY));
			if (this.#used + bytes.byteLength > this.#budget) throw await this.#full(bytes.byteLength);
		}
		// Counted before it is written, or blocks written side by side would all find the same room.
		const entry = { size: bytes.byteLength, usedAt: Date.now() };
		this.#note(key, entry);
		this.#underWay.set(key, entry);
		this.#scanning?.set(key, entry);
		try {
			await this.#write(this.#path(key), bytes, entry.usedAt);
			this.#checked.add(key);
			noted();
		} catch (cause) {
			this.#drop(key);
			this.#scanning?.delete(key);
			if (isDiskFull(cause)) throw await this.#full(bytes.byteLength, cause);
			throw cause;
		} finally {
			this.#underWay.delete(key);
		}
	}

	keep(record: FileRecord, blocks: readonly string[]): Promise<string[]> {
		return this.#inTurn(async () => {
			const path = this.#filePath(record.cid);
			const before = await readFile(path).catch(() => undefined);
			// The record first: a sweep of another process that starts now spares the blocks.
			await this.#write(path, encodeCbor({ record, blocks: [...blocks] } satisfies KeptFile));
			const here = await Promise.all(blocks.map((key) => this.#find(key)));
			const missing = blocks.filter((_, i) => !here[i]);
			if (missing.length > 0) {
				if (before) await this.#write(path, before);
				else await unlink(path).catch(() => {});
			}
			this.#changes.note();
			return missing;
		});
	}

	async file(cid: string): Promise<FileRecord | undefined> {
		return (await this.#readKept(cid))?.record;
	}

	async files(): Promise<FileRecord[]> {
		return (await this.#allKept()).map(({ record }) => record);
	}

	setPinned(cid: string, pinned: boolean): Promise<boolean> {
		return this.#inTurn(async () => {
			const kept = await this.#readKept(cid);
			if (!kept) return false;
			await this.#write(
				this.#filePath(cid),
				encodeCbor({ record: { ...kept.record, pinned }, blocks: kept.blocks }),
			);
			this.#changes.note();
			return true;
		});
	}

	async describe(whole: string, about: WholeDescription): Promise<void> {
		this.#parts.describe(whole, about);
	}

	survey(): Promise<Survey> {
		return this.#inTurn(async () => {
			await this.#scan();
			const all = await this.#parts.all();
			const blocks = new Map<string, SurveyedBlock & { wholes: string[] }>();
			for (const [key, { size, usedAt }] of this.#entries) blocks.set(key, { key, size, usedAt, wholes: [] });
			for (const { whole, blocks: claimed } of all) {
				for (const [key, from] of claimed) {
					const block = blocks.get(key);
					if (!block) continue;
					block.wholes.push(whole);
					if (from !== undefined) blocks.set(key, { ...block, from });
				}
			}
			const descriptions = new Map<string, WholeDescription>();
			for (const { whole, about } of all) if (about) descriptions.set(whole, about);
			return surveyOf(blocks.values(), new Set(await this.#keysOfFiles()), descriptions);
		});
	}

	forget(whole: string): Promise<number> {
		return this.#inTurn(async () => {
			const kept = isCidName(whole) ? await this.#readKept(whole) : undefined;
			if (kept) await unlink(this.#filePath(whole)).catch(() => {});
			const parts = await this.#parts.drop(whole);
			const needed = await this.#needed();
			let freed = 0;
			for (const key of new Set([...(kept?.blocks ?? []), ...(parts?.blocks.keys() ?? [])])) {
				if (!needed.has(key)) freed += await this.#remove(key);
			}
			return freed;
		});
	}

	forgetLoose(before: number): Promise<number> {
		return this.#inTurn(async () => {
			await this.#scan();
			const needed = await this.#needed();
			let freed = 0;
			for (const [key, { usedAt }] of [...this.#entries]) {
				if (usedAt < before && !needed.has(key) && !this.#underWay.has(key)) freed += await this.#remove(key);
			}
			return freed;
		});
	}

	async usage(): Promise<StorageUsage> {
		const pinned = new Set((await this.#allKept()).filter((f) => f.record.pinned).flatMap((f) => f.blocks));
		let pinnedBytes = 0;
		for (const key of pinned) pinnedBytes += this.#entries.get(key)?.size ?? 0;
		return {
			budgetBytes: this.#budget,
			usedBytes: this.#used,
			pinnedBytes,
			memoryBytes: 0,
			quotaBytes: await this.#roomBytes(),
			originBytes: this.#used,
			persisted: true,
			degraded: undefined,
		};
	}

	async setBudget(bytes: number): Promise<void> {
		this.#budget = bytes;
		this.#changes.note();
		await this.#inTurn(() => this.#sweep(0, Number.POSITIVE_INFINITY));
	}

	async persist(): Promise<boolean> {
		return true;
	}

	watch(listener: () => void): () => void {
		return this.#changes.watch(listener);
	}

	async close(): Promise<void> {
		await this.#turn.catch(() => {});
		await this.#parts.flush();
		this.#changes.close();
	}

	// The folder

	#path(key: string): string {
		return join(this.#folder, "blocks", key.slice(-2), key);
	}

	#filePath(cid: string): string {
		return join(this.#folder, "files", cid);
	}

	async #write(path: string, bytes: Uint8Array, usedAt = Date.now()): Promise<void> {
		const draft = join(this.#folder, "drafts", `${process.pid}-${this.#drafts++}-${randomUUID()}`);
		try {
			const handle = await open(draft, "wx", 0o600);
			try {
				await handle.writeFile(bytes);
				// The file system's own clock is some milliseconds coarser than ours.
				await handle.utimes(new Date(usedAt), new Date(usedAt));
				await handle.sync();
			} finally {
				await handle.close();
			}
			await rename(draft, path).catch(async (error) => {
				if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
				await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
				await rename(draft, path);
			});
		} catch (error) {
			await unlink(draft).catch(() => {});
			throw error;
		}
	}

	async #find(key: string): Promise<Entry | undefined> {
		const found = await stat(this.#path(key)).catch(() => undefined);
		if (!found) {
			this.#drop(key);
			return undefined;
		}
		const entry = { size: found.size, usedAt: Math.round(found.mtimeMs) };
		if (!this.#entries.has(key)) this.#note(key, entry);
		return entry;
	}

	async #scan(): Promise<void> {
		const found = new Map<string, Entry>();
		// What is written while the folders are read may be missed by them.
		const writtenMeanwhile = new Map(this.#underWay);
		this.#scanning = writtenMeanwhile;
		const blocks = join(this.#folder, "blocks");
		for (const shelf of await readdir(blocks)) {
			const keys = (await readdir(join(blocks, shelf)).catch(() => [])).filter((key) => v.is(keySchema, key));
			const stats = await Promise.all(
				keys.map((key) => stat(join(blocks, shelf, key)).catch(() => undefined)),
			);
			for (const [i, key] of keys.entries()) {
				const one = stats[i];
				if (one) found.set(key, { size: one.size, usedAt: Math.round(one.mtimeMs) });
			}
		}
		this.#entries.clear();
		this.#used = 0;
		for (const [key, entry] of [...found, ...writtenMeanwhile]) this.#note(key, entry);
		this.#scanning = undefined;
	}

	async #readKept(cid: string): Promise<KeptFile | undefined> {
		try {
			return decodeCbor(keptFileSchema, await readFile(this.#filePath(cid)), longestKeptFile) as KeptFile;
		} catch {
			return undefined;
		}
	}

	async #allKept(): Promise<KeptFile[]> {
		const names = await readdir(join(this.#folder, "files")).catch(() => []);
		const kept = await Promise.all(names.map((name) => this.#readKept(name)));
		return kept.filter((file) => file !== undefined);
	}

	async #keysOfFiles(): Promise<string[]> {
		return (await this.#allKept()).flatMap(({ blocks }) => blocks);
	}

	/** Keys of all blocks that belong to something. */
	async #needed(): Promise<Set<string>> {
		const parts = (await this.#parts.all()).flatMap(({ blocks }) => [...blocks.keys()]);
		return new Set([...(await this.#keysOfFiles()), ...parts]);
	}

	// Counting and eviction

	#note(key: string, entry: Entry): void {
		const before = this.#entries.get(key)?.size ?? 0;
		this.#used += entry.size - before;
		if (before === 0) this.#changes.note();
		this.#entries.set(key, entry);
	}

	#drop(key: string): number {
		const size = this.#entries.get(key)?.size ?? 0;
		this.#entries.delete(key);
		this.#used -= size;
		if (size > 0) this.#changes.note();
		return size;
	}

	async #remove(key: string): Promise<number> {
		await unlink(this.#path(key)).catch(() => {});
		return this.#drop(key);
	}

	async #sweep(neededBytes: number, keepSince: number): Promise<void> {
		if (this.#used + neededBytes <= this.#budget) return;
		await this.#scan();
		const target = this.#budget - Math.max(neededBytes, this.#budget * sweepShare);
		const pinned = new Set((await this.#allKept()).filter((f) => f.record.pinned).flatMap((f) => f.blocks));
		const byUse = [...this.#entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
		const doomed: string[] = [];
		let used = this.#used;
		for (const [key, { size, usedAt }] of byUse) {
			if (used <= target || usedAt >= keepSince) break;
			if (pinned.has(key) || this.#underWay.has(key)) continue;
			doomed.push(key);
			used -= size;
		}
		await this.#evictKeys(doomed);
	}

	async #evictKeys(keys: readonly string[]): Promise<void> {
		if (keys.length === 0) return;
		const gone = new Set(keys);
		for (const { record, blocks } of await this.#allKept()) {
			if (blocks.some((key) => gone.has(key))) await unlink(this.#filePath(record.cid)).catch(() => {});
		}
		await Promise.all(keys.map((key) => this.#remove(key)));
	}

	async #roomBytes(): Promise<number | undefined> {
		try {
			const { bavail, bsize } = await statfs(this.#folder);
			return bavail * bsize + this.#used;
		} catch {
			return undefined;
		}
	}

	async #full(neededBytes: number, cause?: unknown): Promise<StorageQuotaError> {
		const quotaBytes = await this.#roomBytes();
		const message = cause
			? `The disk refuses ${neededBytes} more bytes in ${this.#folder}.`
			: `There is no room for ${neededBytes} more bytes: ${this.#used} of the ${this.#budget} bytes allowed are taken, and nothing can be evicted.`;
		return new StorageQuotaError(message, {
			cause,
			metaMessages: ["Remove or unpin files, or allow more room."],
			details: {
				neededBytes,
				usedBytes: this.#used,
				budgetBytes: this.#budget,
				quotaBytes: quotaBytes ?? null,
			},
		});
	}

	#inTurn<T>(work: () => Promise<T>): Promise<T> {
		const turn = this.#turn.then(work, work);
		this.#turn = turn.catch(() => {});
		return turn;
	}
}

/** Whether a file's record may lie under this name. */
function isCidName(whole: string): boolean {
	return /^[a-z0-9]+$/.test(whole);
}

function isDiskFull(error: unknown): boolean {
	return ["ENOSPC", "EDQUOT", "EFBIG"].includes((error as NodeJS.ErrnoException).code ?? "");
}
