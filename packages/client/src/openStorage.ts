import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import type { DeviceStorage } from "./deviceStorage.ts";
import { R1fsStorage } from "./r1fsStorage.ts";

export type * from "./deviceStorage.ts";

export interface OpenStorageOptions {
	/** Node: the folder in which weights are kept; without it nothing is. Pages look into their IndexedDB. */
	cacheDir?: string;
}

/** The storage of this device alone: no network is reached, and nothing is given to anybody. */
export interface OpenedStorage extends DeviceStorage {
	close(): Promise<void>;
}

/**
 * Looks at what is kept on this device without joining anything.
 *
 * @example
 * ```ts
 * import { openStorage } from "@tabmesh/client/storage";
 * const storage = openStorage();
 * for (const { name, bytes } of (await storage.view()).kept) console.log(name, bytes);
 * await storage.close();
 * ```
 */
export function openStorage(options: OpenStorageOptions = {}): OpenedStorage {
	let files: Promise<R1fs> | undefined;
	const { cacheDir } = options;
	const storage = new R1fsStorage(() => {
		files ??= openBlockStore({
			...("indexedDB" in globalThis || cacheDir !== undefined ? {} : { budgetBytes: 0 }),
			...(cacheDir === undefined ? {} : { folder: cacheDir }),
		}).then((store) => createR1fs({ store }));
		return files;
	});
	return Object.assign(storage, { close: async () => (await files)?.close() });
}
