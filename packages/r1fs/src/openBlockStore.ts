import type { BlockStore, Degradation } from "./blockStore.ts";
import { createDegradingBlockStore } from "./degradingBlockStore.ts";
import { openFileBlockStore } from "./fileBlockStore.ts";
import { createMemoryBlockStore } from "./memoryBlockStore.ts";

const MiB = 1024 * 1024;

export interface OpenBlockStoreOptions {
	/** Bytes the user allows. @default 4 GiB in Node; in a page 2 GiB, or half of what the browser gives if that is less */
	budgetBytes?: number;
	/** Bytes of memory to go on with when nothing more can be kept. @default 256 MiB */
	memoryBytes?: number;
	/** Node: the folder; without it blocks live in memory, within `budgetBytes`. Pages ignore it. */
	folder?: string;
	/** Pages: the name of the database. Node ignores it. @default "tabmesh-r1fs" */
	name?: string;
	/** Told when the store begins to keep things in memory only. */
	onDegraded?: (degradation: Degradation) => void;
}

/** Enough for a shard of a model and the file around it, and a tab survives it. */
export const defaultMemoryBytes = 256 * MiB;

/** A disk has more than a browser gives: a model of some billion parameters. */
const defaultBudgetBytes = 4096 * MiB;

/**
 * The block store of this device: files of a folder in Node, IndexedDB in a page. Where nothing can be kept, or nothing
 * more, it goes on in memory, and `usage()` says so with numbers.
 *
 * Rejects never: a folder or database that cannot be opened is a store in memory that says why.
 */
export async function openBlockStore(options: OpenBlockStoreOptions = {}): Promise<BlockStore> {
	const budgetBytes = options.budgetBytes ?? defaultBudgetBytes;
	if (options.folder === undefined) return createMemoryBlockStore(budgetBytes);
	const init = {
		memoryBytes: options.memoryBytes ?? defaultMemoryBytes,
		...(options.onDegraded ? { onDegraded: options.onDegraded } : {}),
	};
	try {
		const disk = await openFileBlockStore({ folder: options.folder, budgetBytes });
		return createDegradingBlockStore(disk, init);
	} catch (deniedBy) {
		return createDegradingBlockStore({ deniedBy }, init);
	}
}
