import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StorageQuotaError } from "@tabmesh/wire";
import type { ChunkStore } from "./chunkStoreTypes.ts";

/**
 * Node's store: a folder with one file per record.
 *
 * @param location - path of the folder, which is made where it is missing
 */
export async function openChunkStore(location: string): Promise<ChunkStore> {
	await mkdir(location, { recursive: true });
	const path = (key: string): string => join(location, key);
	return {
		async get(key) {
			try {
				return new Uint8Array(await readFile(path(key)));
			} catch (error) {
				if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
				throw error;
			}
		},
		async put(key, bytes) {
			// Written beside its place and moved there: no reader ever sees half a record.
			const beside = `${path(key)}.${randomUUID()}`;
			try {
				await writeFile(beside, bytes);
				await rename(beside, path(key));
			} catch (cause) {
				await rm(beside, { force: true });
				const { code } = cause as NodeJS.ErrnoException;
				if (code !== "ENOSPC" && code !== "EDQUOT") throw cause;
				throw new StorageQuotaError("The disk is full: the model will be fetched at every start.", {
					cause,
					details: { bytes: bytes.byteLength },
				});
			}
		},
		delete: (key) => rm(path(key), { force: true }),
		async clear() {
			await rm(location, { recursive: true, force: true });
			await mkdir(location, { recursive: true });
		},
		close: async () => {},
	};
}

/** Deletes a store and all it holds. */
export async function deleteChunkStore(location: string): Promise<void> {
	await rm(location, { recursive: true, force: true });
}
