import { StorageQuotaError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import type { BlockStore, Degradation, FileRecord, PutOptions, WholeDescription } from "./blockStore.ts";
import { createMemoryBlockStore } from "./memoryBlockStore.ts";
import { createMemoryReports } from "./memoryReports.ts";
import { changesChannel } from "./storeChanges.ts";
import { mergeSurveys } from "./survey.ts";

export interface DegradingBlockStoreInit {
	/** Bytes of memory that blocks may take when the disk gives none. */
	memoryBytes: number;
	/** The same for all tabs that have this place open: they know of each other's memory. Without it each knows of its own. */
	place?: string;
	/** Told when the store begins to keep things in memory only. */
	onDegraded?: (degradation: Degradation) => void;
}

/** After this long without a refusal the disk is no longer called full. */
const forgetRefusalMs = 60_000;

/**
 * A block store that goes on in memory where the disk is full or denied, and says so with numbers.
 *
 * @param disk - the store beneath; or the reason why there is none
 */
export function createDegradingBlockStore(
	disk: BlockStore | { deniedBy: unknown },
	init: DegradingBlockStoreInit,
): BlockStore {
	const { place } = init;
	let degraded: Degradation | undefined;
	const memory = createMemoryBlockStore(
		init.memoryBytes,
		place === undefined ? undefined : changesChannel(place),
	);
	const reports = place === undefined ? undefined : createMemoryReports(place);
	const report = async (): Promise<void> => {
		const { usedBytes } = await memory.usage();
		reports?.say({ memoryBytes: usedBytes, degraded });
	};
	const unwatch = memory.watch(() => void report());
	const beneath = "deniedBy" in disk ? undefined : disk;

	function degrade(reason: Degradation["reason"], message: string): void {
		const begins = degraded === undefined;
		degraded = { reason, message, since: degraded?.since ?? Date.now() };
		if (begins) void report();
		if (begins) init.onDegraded?.(degraded);
	}
	if ("deniedBy" in disk) {
		degrade(
			"denied",
			`Nothing can be kept on this device (${nameOf(disk.deniedBy)}): up to ${init.memoryBytes} bytes stay in memory until the page or program ends.`,
		);
	}
	let refusedAt = 0;

	return {
		place: place ?? (beneath ?? memory).place,
		async has(cid: CID) {
			return (await memory.has(cid)) || ((await beneath?.has(cid)) ?? false);
		},
		async get(cid: CID, whole?: string) {
			return (await memory.get(cid, whole)) ?? (await beneath?.get(cid, whole));
		},
		async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}) {
			if (beneath) {
				try {
					await beneath.put(cid, bytes, options);
					if (degraded?.reason === "quota" && Date.now() - refusedAt > forgetRefusalMs) {
						degraded = undefined;
						void report();
					}
					return;
				} catch (error) {
					// Over the user's own budget is no failure of the device: more memory would not be what the user allowed.
					if (!(error instanceof StorageQuotaError) || error.cause === undefined) throw error;
					refusedAt = Date.now();
					degrade(
						"quota",
						`${error.shortMessage} Up to ${init.memoryBytes} bytes stay in memory until the page or program ends.`,
					);
				}
			}
			await memory.put(cid, bytes, options);
		},
		async keep(file: FileRecord, blocks: readonly string[]) {
			const missing = beneath ? await beneath.keep(file, blocks) : [...blocks];
			if (missing.length === 0) return [];
			// A file partly in memory lives as long as the memory does.
			return memory.keep(file, missing);
		},
		async file(cid: string) {
			return (await beneath?.file(cid)) ?? (await memory.file(cid));
		},
		async files() {
			const onDisk = (await beneath?.files()) ?? [];
			const known = new Set(onDisk.map(({ cid }) => cid));
			return [...onDisk, ...(await memory.files()).filter(({ cid }) => !known.has(cid))];
		},
		async setPinned(cid: string, pinned: boolean) {
			const there = await Promise.all([memory.setPinned(cid, pinned), beneath?.setPinned(cid, pinned)]);
			return there.includes(true);
		},
		async describe(whole: string, about: WholeDescription) {
			// A full disk may refuse even this.
			await Promise.all([memory.describe(whole, about), beneath?.describe(whole, about).catch(() => {})]);
		},
		async survey() {
			const inMemory = await memory.survey();
			return beneath ? mergeSurveys(await beneath.survey(), inMemory) : inMemory;
		},
		async forget(whole: string) {
			return (await memory.forget(whole)) + ((await beneath?.forget(whole)) ?? 0);
		},
		async forgetLoose(before: number) {
			return (await memory.forgetLoose(before)) + ((await beneath?.forgetLoose(before)) ?? 0);
		},
		async usage() {
			const inMemory = await memory.usage();
			const others = (await reports?.others()) ?? [];
			const told = {
				memoryBytes: others.reduce((sum, other) => sum + other.memoryBytes, inMemory.usedBytes),
				degraded: degraded ?? others.find((other) => other.degraded)?.degraded,
			};
			return { ...(beneath ? await beneath.usage() : inMemory), ...told };
		},
		async setBudget(bytes: number) {
			if (beneath) await beneath.setBudget(bytes);
			else await memory.setBudget(Math.min(bytes, init.memoryBytes));
		},
		async persist() {
			return (await beneath?.persist()) ?? false;
		},
		watch(listener: () => void) {
			const stops = [memory.watch(listener), beneath?.watch(listener)];
			return () => {
				for (const stop of stops) stop?.();
			};
		},
		async close() {
			unwatch();
			reports?.close();
			await Promise.all([memory.close(), beneath?.close()]);
		},
	};
}

function nameOf(error: unknown): string {
	return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
