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
	/** Blocks in memory because there was no other room. */
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
	has(cid: CID): Promise<boolean>;
	/** The block; undefined where it is not here. */
	get(cid: CID): Promise<Uint8Array<ArrayBuffer> | undefined>;
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
	/** Drops a file's record and every block that no other kept file has. @returns the bytes that became free */
	forget(cid: string): Promise<number>;
	usage(): Promise<StorageUsage>;
	/** Changes the budget, evicting at once what no longer fits. */
	setBudget(bytes: number): Promise<void>;
	/** Asks the browser not to evict this origin by itself. @returns whether it agreed */
	persist(): Promise<boolean>;
	close(): Promise<void>;
}
