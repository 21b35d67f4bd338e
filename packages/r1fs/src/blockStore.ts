import type { CID } from "multiformats/cid";

/** A file that is kept whole. */
export interface FileRecord {
	/** CIDv1 in base32. */
	readonly cid: string;
	/** Bytes of the file; of the ciphertext where it is encrypted. */
	readonly size: number;
	/** Bytes of its blocks, tree included; blocks that occur twice are counted once. */
	readonly storedBytes: number;
	/** Number of different blocks. */
	readonly blocks: number;
	/** Whether eviction leaves it alone. */
	readonly pinned: boolean;
	/** Milliseconds since 1970. */
	readonly addedAt: number;
	/** Whether this device encrypted it, or opened it with a key. */
	readonly encrypted: boolean;
	/** A name for people. Checked: no folders, no control characters. */
	readonly name?: string;
	/** Bytes by where they came from: peer ids and origins; empty for what was added here. */
	readonly from: Readonly<Record<string, number>>;
}

/** What is kept of something, whole or not: some layers of a model, a range of a file. */
export interface KeptParts {
	/** What providers know the whole by: a file's CID, a model's id. */
	readonly whole: string;
	/** What {@link BlockStore.describe} said of it. */
	readonly about: WholeDescription | undefined;
	/** Bytes of its blocks that are here; a block of two wholes counts for both. */
	readonly storedBytes: number;
	/** Number of its blocks that are here. */
	readonly blocks: number;
	/** Milliseconds since 1970. */
	readonly usedAt: number;
	/** Bytes by who gave them: peer ids and origins. Less than `storedBytes` where nobody wrote it down. */
	readonly from: Readonly<Record<string, number>>;
}

/** What people want to know of something of which parts are kept. */
export interface WholeDescription {
	readonly name: string;
	/** Bytes of all of it. */
	readonly size: number;
}

/** Everything that is kept, by what it belongs to. */
export interface Survey {
	readonly parts: readonly KeptParts[];
	/** Blocks that belong to nothing that is known, left behind by what was cut off. */
	readonly looseBytes: number;
}

/** Why a store keeps things in memory only. */
export interface Degradation {
	/** `quota`: the device or origin is full; `denied`: the browser or file system lets us keep nothing. */
	readonly reason: "quota" | "denied";
	/** One sentence for a person, with the numbers. */
	readonly message: string;
	/** Milliseconds since 1970. */
	readonly since: number;
}

/** How much room is taken, in bytes. */
export interface StorageUsage {
	/** What the user allows. */
	readonly budgetBytes: number;
	/** All blocks kept on disk. */
	readonly usedBytes: number;
	/** Of those, blocks of pinned files. */
	readonly pinnedBytes: number;
	/** Blocks in memory because there was no other room, those of other tabs with the same place included. */
	readonly memoryBytes: number;
	/** What the browser gives this origin, or what the disk has free beside what we use; undefined where nobody says. */
	readonly quotaBytes: number | undefined;
	/** What the origin uses in all, other things than ours included; undefined where nobody says. */
	readonly originBytes: number | undefined;
	/** Whether the browser promised not to evict the origin by itself. */
	readonly persisted: boolean;
	readonly degraded: Degradation | undefined;
}

export interface PutOptions {
	/** What the block is a part of: {@link KeptParts.whole}. */
	whole?: string;
	/** Who gave it: a peer id or an origin. */
	from?: string;
	/** Blocks used at or after this time (milliseconds since 1970) must not be evicted for this one: they belong to the same file. */
	keepSince?: number;
}

/**
 * Blocks and the files they make up, within a budget of bytes.
 *
 * What was not used for longest goes first; blocks of pinned files never go. A block that was there before the store was
 * opened is checked when it is first read: one that changed on disk is dropped and is no longer there. A promise that resolved is kept across a killed tab or process.
 */
export interface BlockStore {
	/** The same for all that have this place open, in whichever tab. */
	readonly place: string;
	has(cid: CID): Promise<boolean>;
	/**
	 * The block; undefined where it is not here.
	 *
	 * @param whole - noted as what it is a part of
	 */
	get(cid: CID, whole?: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
	/**
	 * Keeps a block whose hash the caller knows to be right.
	 *
	 * @throws StorageQuotaError when nothing can be evicted for it
	 */
	put(cid: CID, bytes: Uint8Array, options?: PutOptions): Promise<void>;
	/**
	 * Records a file over blocks that are here, or changes its record.
	 *
	 * @param blocks - keys of its blocks, each once
	 * @returns the keys that are not here; nothing was recorded unless there are none
	 */
	keep(file: FileRecord, blocks: readonly string[]): Promise<string[]>;
	file(cid: string): Promise<FileRecord | undefined>;
	files(): Promise<FileRecord[]>;
	/** Changes whether a kept file is pinned. @returns false where it is not kept */
	setPinned(cid: string, pinned: boolean): Promise<boolean>;
	/** Keeps a few words on something of which parts are kept; dropped with it. */
	describe(whole: string, about: WholeDescription): Promise<void>;
	/** What is kept, by what it belongs to. */
	survey(): Promise<Survey>;
	/** Drops a file, or what is kept of something, and every block that nothing else has. @returns the bytes that became free */
	forget(whole: string): Promise<number>;
	/** Drops blocks that belong to nothing and were last used before this time (milliseconds since 1970). @returns the bytes that became free */
	forgetLoose(before: number): Promise<number>;
	usage(): Promise<StorageUsage>;
	/** Changes the budget, evicting at once what no longer fits. */
	setBudget(bytes: number): Promise<void>;
	/** Asks the browser not to evict this origin by itself. @returns whether it agreed */
	persist(): Promise<boolean>;
	/** Tells of every change of what is kept, soon after it, another tab's changes included, until the returned function is called. */
	watch(listener: () => void): () => void;
	close(): Promise<void>;
}
