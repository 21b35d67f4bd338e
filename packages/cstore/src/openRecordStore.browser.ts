import { type CstoreRecord, cstoreRecordSchema } from "@tabmesh/wire";
import { type DBSchema, openDB } from "idb";
import * as v from "valibot";
import type { OpenRecordStoreOptions } from "./openRecordStore.ts";
import { createMemoryRecordStore, type KeptRecord, type RecordStore } from "./recordStore.ts";

export type { OpenRecordStoreOptions };

interface RecordDatabase extends DBSchema {
	/** By room and id. */
	records: { key: [room: string, id: string]; value: CstoreRecord };
}

export async function openRecordStore(options: OpenRecordStoreOptions = {}): Promise<RecordStore> {
	try {
		return await openDatabase(options.name ?? "tabmesh-cstore");
	} catch (cause) {
		// Private windows and blocked site data.
		return createMemoryRecordStore(
			`This browser keeps nothing for this site (${(cause as Error).name}): shared state lives in memory until the page is closed.`,
		);
	}
}

async function openDatabase(name: string): Promise<RecordStore> {
	const database = await openDB<RecordDatabase>(name, 1, {
		upgrade: (fresh) => void fresh.createObjectStore("records"),
		// A newer version in another tab must not wait for this one.
		blocking: () => database?.close(),
	});
	const range = (room: string) => IDBKeyRange.bound([room, ""], [room, "\uffff"]);
	return {
		degraded: undefined,
		async load(room) {
			const transaction = database.transaction("records", "readonly");
			const [keys, values] = await Promise.all([
				transaction.store.getAllKeys(range(room)),
				transaction.store.getAll(range(room)),
			]);
			const kept: KeptRecord[] = [];
			for (const [i, wire] of values.entries()) {
				if (v.is(cstoreRecordSchema, wire)) kept.push({ id: keys[i]![1], wire });
			}
			return kept;
		},
		async apply(room, put, remove) {
			const transaction = database.transaction("records", "readwrite");
			const { store } = transaction;
			await Promise.all([
				...put.map(({ id, wire }) => store.put(ownBytes(wire), [room, id])),
				...remove.map((id) => store.delete([room, id])),
				transaction.done,
			]);
		},
		async close() {
			database.close();
		},
	};
}

/** Storing a view clones the whole buffer behind it. */
function ownBytes([envelope, values]: CstoreRecord): CstoreRecord {
	return [new Uint8Array(envelope), values.map((value) => new Uint8Array(value))];
}
