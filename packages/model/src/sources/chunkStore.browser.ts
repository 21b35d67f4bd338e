import { StorageQuotaError } from "@tabmesh/wire";
import { type DBSchema, deleteDB, openDB } from "idb";
import type { ChunkStore } from "./chunkStoreTypes.ts";

interface Schema extends DBSchema {
	records: { key: string; value: Uint8Array<ArrayBuffer> };
}

/**
 * A page's store: one IndexedDB database.
 *
 * @param location - name of the database
 * @throws StorageQuotaError when this browser, or its private mode, has no storage
 */
export async function openChunkStore(location: string): Promise<ChunkStore> {
	const database = await openDB<Schema>(location, 1, {
		upgrade: (fresh) => fresh.createObjectStore("records"),
		// Another tab wants to delete or upgrade: its wish goes before ours.
		blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
	}).catch((cause: unknown) => {
		throw new StorageQuotaError(
			"This browser keeps nothing for this page: the model will be fetched at every visit.",
			{
				cause,
				metaMessages: ["Leave private browsing, or allow this site to store data."],
			},
		);
	});
	return {
		get: (key) => database.get("records", key),
		async put(key, bytes) {
			try {
				await database.put("records", bytes, key);
			} catch (cause) {
				throw await quotaError(cause, bytes.byteLength);
			}
		},
		delete: (key) => database.delete("records", key),
		clear: () => database.clear("records"),
		close: async () => database.close(),
	};
}

/** Deletes a store and all it holds. */
export async function deleteChunkStore(location: string): Promise<void> {
	await deleteDB(location);
}

async function quotaError(cause: unknown, bytes: number): Promise<unknown> {
	// Browsers name the condition on the error of the request, of the transaction, or as the cause of an abort.
	const names = [cause, (cause as { cause?: unknown })?.cause].map(
		(error) => (error as Error | undefined)?.name,
	);
	if (!names.includes("QuotaExceededError")) return cause;
	const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
	return new StorageQuotaError(
		"This browser has no room left for the model: it will be fetched at every visit.",
		{
			cause,
			metaMessages: ["Free disk space, or allow this site to store more."],
			details: { bytes, usage, quota },
		},
	);
}
