/**
 * CSTORE: the shared state of a room. A map of signed entries on a hybrid logical clock in which the last writer wins,
 * spread by gossip, repaired by comparing sets, kept in IndexedDB or a file. Gives `createCstore` and `openRecordStore`.
 *
 * Every record, deletions included, lives for `retentionMs` after its stamp and is accepted nowhere after that. So nothing
 * deleted comes back: whoever has forgotten a deletion refuses everything that is as old as what it deleted. What shall
 * live longer is set again. A part of a room is a store of its own, with its own retention; one for presence tells who is
 * here.
 *
 * This room never waits for a quorum unless asked, never hides a value from the room's relays (encrypt what is secret),
 * and takes CIDs as bytes or text like any other value.
 */
export { type OpenRecordStoreOptions, openRecordStore } from "#openRecordStore";
export { type CstoreInit, createCstore, cstoreTopic } from "./createCstore.ts";
export type {
	Ack,
	Change,
	Cstore,
	CstoreEvents,
	Entry,
	RecordView,
	RepairReport,
	Traffic,
	Transaction,
	WriteOptions,
	Written,
} from "./cstore.ts";
export { createMemoryRecordStore, type KeptRecord, type RecordStore } from "./recordStore.ts";
