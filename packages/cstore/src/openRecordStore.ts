import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { cstoreRecordSchema, decodeCbor, encodeCbor, limits } from "@tabmesh/wire";
import { createMemoryRecordStore, type KeptRecord, type RecordStore } from "./recordStore.ts";

export interface OpenRecordStoreOptions {
	/** Node: the file; without it records live in memory. Pages ignore it. */
	file?: string;
	/** Pages: the name of the database. Node ignores it. @default "tabmesh-cstore" */
	name?: string;
}

/** How long a write waits for another process that is writing to the same file. */
const busyMs = 5_000;

/**
 * Where this device keeps shared state: an SQLite file in Node, IndexedDB in a page. Where nothing can be kept, it lives
 * in memory, and `degraded` says why.
 *
 * Rejects never.
 */
export async function openRecordStore(options: OpenRecordStoreOptions = {}): Promise<RecordStore> {
	if (options.file === undefined) return createMemoryRecordStore();
	try {
		return openFile(options.file);
	} catch (cause) {
		return createMemoryRecordStore(
			`Shared state cannot be kept in ${options.file} (${(cause as Error).message}): it lives in memory until this program ends.`,
		);
	}
}

function openFile(file: string): RecordStore {
	mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
	const database = new DatabaseSync(file, { timeout: busyMs });
	// A write-ahead log: a killed process loses nothing that was committed, and readers do not wait for writers.
	database.exec(`
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = NORMAL;
		CREATE TABLE IF NOT EXISTS records (room TEXT, id TEXT, wire BLOB, PRIMARY KEY (room, id)) WITHOUT ROWID;
	`);
	const all = database.prepare("SELECT id, wire FROM records WHERE room = ?");
	const put = database.prepare("INSERT OR IGNORE INTO records VALUES (?, ?, ?)");
	const remove = database.prepare("DELETE FROM records WHERE room = ? AND id = ?");
	return {
		degraded: undefined,
		async load(room) {
			const kept: KeptRecord[] = [];
			for (const { id, wire } of all.iterate(room)) {
				try {
					const bytes = wire as Uint8Array;
					kept.push({
						id: String(id),
						wire: decodeCbor(cstoreRecordSchema, bytes, limits.cstoreMessageBytes),
					});
				} catch {
					// The file lies open to every program of this user. Other peers still have what is lost here.
				}
			}
			return kept;
		},
		async apply(room, records, gone) {
			database.exec("BEGIN IMMEDIATE");
			try {
				for (const { id, wire } of records) put.run(room, id, encodeCbor(wire));
				for (const id of gone) remove.run(room, id);
				database.exec("COMMIT");
			} catch (error) {
				database.exec("ROLLBACK");
				throw error;
			}
		},
		async close() {
			if (database.isOpen) database.close();
		},
	};
}
