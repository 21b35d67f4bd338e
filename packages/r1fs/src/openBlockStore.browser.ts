import type { BlockStore } from "./blockStore.ts";
import { createDegradingBlockStore } from "./degradingBlockStore.ts";
import { openIndexedBlockStore } from "./indexedBlockStore.ts";
import type { OpenBlockStoreOptions } from "./openBlockStore.ts";

export type { OpenBlockStoreOptions };

const MiB = 1024 * 1024;
/** A shard of a model and the file around it; a tab survives it. */
const defaultMemoryBytes = 256 * MiB;
/** A model of a billion parameters in 8 bits and a few small ones; half of what the browser gives where that is less. */
const defaultBudgetBytes = 2048 * MiB;

export async function openBlockStore(options: OpenBlockStoreOptions = {}): Promise<BlockStore> {
	const name = options.name ?? "tabmesh-r1fs";
	const init = {
		place: name,
		memoryBytes: options.memoryBytes ?? defaultMemoryBytes,
		...(options.onDegraded ? { onDegraded: options.onDegraded } : {}),
	};
	try {
		const disk = await openIndexedBlockStore({
			name,
			budgetBytes: options.budgetBytes ?? (await defaultBudget()),
		});
		if (options.budgetBytes !== undefined) await disk.setBudget(options.budgetBytes);
		return createDegradingBlockStore(disk, init);
	} catch (deniedBy) {
		return createDegradingBlockStore({ deniedBy }, init);
	}
}

async function defaultBudget(): Promise<number> {
	const { quota } = (await navigator.storage?.estimate?.()) ?? {};
	return Math.min(defaultBudgetBytes, quota === undefined ? defaultBudgetBytes : Math.floor(quota / 2));
}
