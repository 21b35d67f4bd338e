import type { CstoreRecord } from "@tabmesh/wire";

/** A record on the disk. */
export interface KeptRecord {
	/** The record's id. */
	readonly id: string;
	readonly wire: CstoreRecord;
}

/**
 * Where the records of rooms, or parts of them, survive a restart. Several pages or processes may share one: records never change, and
 * one is taken away only together with the newer one that replaces it, or when its time is over.
 */
export interface RecordStore {
	/** Why nothing is kept; undefined where it is. */
	readonly degraded: string | undefined;
	/** What is kept of `place`, a room or `room/part`, as it was written: check it like anything from outside. */
	load(place: string): Promise<KeptRecord[]>;
	/** All of it or, after a crash, nothing. */
	apply(place: string, put: readonly KeptRecord[], remove: readonly string[]): Promise<void>;
	close(): Promise<void>;
}

/** A store that keeps nothing: what the replica holds in memory is all there is. */
export function createMemoryRecordStore(degraded?: string): RecordStore {
	return {
		degraded,
		load: async () => [],
		apply: async () => {},
		close: async () => {},
	};
}
