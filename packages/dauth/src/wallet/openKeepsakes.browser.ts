import { KeyStorageError } from "@tabmesh/wire";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Keepsakes, OpenKeepsakesOptions } from "./keepsakes.ts";
import { createMemoryKeepsakes } from "./memoryKeepsakes.ts";

interface KeepsakeDatabase extends DBSchema {
	keepsakes: { key: string; value: Uint8Array };
	keys: { key: string; value: CryptoKey };
}

const databaseName = "tabmesh-wallet";
const deviceKeyName = "device";

export async function keepsakesExist(_options: OpenKeepsakesOptions = {}): Promise<boolean> {
	// Opening a database would make it.
	const databases = await globalThis.indexedDB?.databases?.().catch(() => []);
	return databases?.some(({ name }) => name === databaseName) ?? false;
}

export async function openKeepsakes(_options: OpenKeepsakesOptions = {}): Promise<Keepsakes> {
	const open = (): Promise<IDBPDatabase<KeepsakeDatabase>> =>
		openDB<KeepsakeDatabase>(databaseName, 1, {
			upgrade(fresh) {
				fresh.createObjectStore("keepsakes");
				fresh.createObjectStore("keys");
			},
		});
	try {
		(await open()).close();
	} catch {
		// Private windows and blocked site data.
		return createMemoryKeepsakes();
	}

	/** One short connection for each use, so that this page never blocks another's upgrade. */
	const use = async <T>(work: (database: IDBPDatabase<KeepsakeDatabase>) => Promise<T>): Promise<T> => {
		try {
			const database = await open();
			try {
				return await work(database);
			} finally {
				database.close();
			}
		} catch (cause) {
			throw new KeyStorageError("This browser's storage does not answer.", {
				cause,
				metaMessages: ["Free some space, or allow this site to keep data."],
			});
		}
	};

	return {
		persistent: true,
		read: (name) =>
			use(async (database) => {
				const bytes = await database.get("keepsakes", name);
				return bytes instanceof Uint8Array ? bytes : undefined;
			}),
		create: (name, bytes) =>
			use(async (database) => {
				const transaction = database.transaction("keepsakes", "readwrite", { durability: "strict" });
				const taken = (await transaction.store.getKey(name)) !== undefined;
				if (!taken) await transaction.store.put(bytes.slice(), name);
				await transaction.done;
				return !taken;
			}),
		write: (name, bytes) =>
			use(async (database) => {
				const transaction = database.transaction("keepsakes", "readwrite", { durability: "strict" });
				await transaction.store.put(bytes.slice(), name);
				await transaction.done;
			}),
		remove: (name) => use((database) => database.delete("keepsakes", name)),
		deviceKey: () =>
			use(async (database) => {
				const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
					"encrypt",
					"decrypt",
				]);
				const transaction = database.transaction("keys", "readwrite", { durability: "strict" });
				const known = await transaction.store.get(deviceKeyName);
				if (!known) await transaction.store.put(fresh, deviceKeyName);
				await transaction.done;
				return known ?? fresh;
			}),
	};
}
