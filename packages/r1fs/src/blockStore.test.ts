import "fake-indexeddb/auto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StorageQuotaError } from "@tabmesh/wire";
import { openDB } from "idb";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import { afterAll, describe, expect, test } from "vitest";
import { storePromises } from "./blockStore.conformance.ts";
import type { BlockStore } from "./blockStore.ts";
import { blockKey } from "./cid.ts";
import { createDegradingBlockStore } from "./degradingBlockStore.ts";
import { openFileBlockStore } from "./fileBlockStore.ts";
import { openIndexedBlockStore } from "./indexedBlockStore.ts";
import { createMemoryBlockStore } from "./memoryBlockStore.ts";
import { openBlockStore } from "./openBlockStore.ts";

const folder = await mkdtemp(join(tmpdir(), "tabmesh-r1fs-"));
afterAll(() => rm(folder, { recursive: true }));
let place = 0;

const MiB = 1024 * 1024;

// browser/ holds the same promises with Chromium's own IndexedDB.
describe.each([
	["memory", false, () => (budgetBytes: number) => Promise.resolve(createMemoryBlockStore(budgetBytes))],
	[
		"a folder",
		true,
		() => {
			const here = join(folder, `store-${place++}`);
			return (budgetBytes: number) => openFileBlockStore({ folder: here, budgetBytes });
		},
	],
	[
		"IndexedDB",
		true,
		() => {
			const name = `store-${place++}`;
			return (budgetBytes: number) => openIndexedBlockStore({ name, budgetBytes });
		},
	],
	[
		"a folder, going on in memory",
		true,
		() => {
			const here = join(folder, `store-${place++}`);
			return async (budgetBytes: number) =>
				createDegradingBlockStore(await openFileBlockStore({ folder: here, budgetBytes }), {
					memoryBytes: MiB,
				});
		},
	],
] as const)("a block store in %s", (_, lasting, at) => {
	for (const { title, hold } of storePromises({ lasting })) {
		test(title, async () => {
			const open = at();
			await hold((budgetBytes = 64 * MiB) => open(budgetBytes));
		});
	}
});

async function block(size: number, seed: number): Promise<{ cid: CID; bytes: Uint8Array<ArrayBuffer> }> {
	const bytes = new Uint8Array(size).fill(seed);
	return { cid: CID.createV1(raw.code, await sha256.digest(bytes)), bytes };
}

describe("a block store in a folder", () => {
	test("drops a block that changed on disk, and whatever else lies in the folder is left alone", async () => {
		const here = join(folder, "changed");
		const { cid, bytes } = await block(1000, 1);
		await (await openFileBlockStore({ folder: here, budgetBytes: MiB })).put(cid, bytes);
		const [shelf] = await readdir(join(here, "blocks"));
		const [key] = await readdir(join(here, "blocks", shelf!));
		await writeFile(join(here, "blocks", shelf!, key!), "cut");
		await writeFile(join(here, "blocks", "notes.txt"), "mine");
		await writeFile(join(here, "files", "notes.txt"), "mine");
		await writeFile(join(here, "parts", "notes.txt"), "mine");
		const store = await openFileBlockStore({ folder: here, budgetBytes: MiB });
		expect(await store.get(cid)).toBeUndefined();
		expect(await store.has(cid)).toBe(false);
		await store.put(cid, bytes);
		expect(await (await openFileBlockStore({ folder: here, budgetBytes: MiB })).get(cid)).toEqual(bytes);
		expect(await store.files()).toEqual([]);
		expect(await store.survey()).toEqual({ parts: [], looseBytes: bytes.byteLength });
	});
});

describe("a block store in IndexedDB", () => {
	test("goes on with what the version before kept, and learns what it is part of when it is used", async () => {
		const { cid, bytes } = await block(1000, 7);
		const before = await openDB("version-1", 1, {
			upgrade(database) {
				database.createObjectStore("blocks");
				database.createObjectStore("entries", { keyPath: "key" }).createIndex("usedAt", "usedAt");
				database.createObjectStore("files", { keyPath: "cid" });
				database.createObjectStore("fileBlocks");
				database.createObjectStore("totals");
			},
		});
		const key = blockKey(cid);
		await before.put("blocks", bytes, key);
		await before.put("entries", { key, size: bytes.byteLength, usedAt: 1 });
		await before.put("totals", bytes.byteLength, "usedBytes");
		await before.put("totals", 5000, "budgetBytes");
		before.close();
		const store = await openIndexedBlockStore({ name: "version-1", budgetBytes: MiB });
		expect(await store.survey()).toEqual({ parts: [], looseBytes: 1000 });
		expect(await store.get(cid, "model")).toEqual(bytes);
		expect(await store.survey()).toMatchObject({
			parts: [{ whole: "model", storedBytes: 1000, from: {} }],
			looseBytes: 0,
		});
		expect(await store.usage()).toMatchObject({ usedBytes: 1000, budgetBytes: 5000 });
		expect(await store.forget("model")).toBe(1000);
		await store.close();
	});
});

describe("a store whose device is full or denied", () => {
	test("goes on in memory, says so with numbers, and refuses only when that is full, too", async () => {
		const full: BlockStore = {
			...createMemoryBlockStore(0),
			async put() {
				// What IndexedDB and the file system throw becomes this in their own stores.
				throw new StorageQuotaError("The disk refuses 1000 more bytes.", { cause: new Error("ENOSPC") });
			},
		};
		const seen: string[] = [];
		const store = createDegradingBlockStore(full, {
			memoryBytes: 2500,
			onDegraded: ({ message }) => seen.push(message),
		});
		const [a, b, c] = [await block(1000, 1), await block(1000, 2), await block(1000, 3)];
		const keepSince = Date.now();
		for (const { cid, bytes } of [a, b]) await store.put(cid, bytes, { keepSince });
		expect(await store.get(a.cid)).toEqual(a.bytes);
		expect(await store.usage()).toMatchObject({ memoryBytes: 2000, degraded: { reason: "quota" } });
		expect(seen).toHaveLength(1);
		expect(seen[0]).toMatch(/1000 more bytes.*2500 bytes/);
		await expect(store.put(c.cid, c.bytes, { keepSince })).rejects.toMatchObject({
			code: "StorageQuota",
			details: { neededBytes: 1000, usedBytes: 2000, budgetBytes: 2500 },
		});
	});

	test("tells the other tabs of what it keeps in memory, until it is closed", async () => {
		const disk: BlockStore = {
			...createMemoryBlockStore(0),
			async put() {
				throw new StorageQuotaError("The disk refuses 1000 more bytes.", { cause: new Error("ENOSPC") });
			},
		};
		const shared = `tabs-${place++}`;
		const full = createDegradingBlockStore(disk, { memoryBytes: 2500, place: shared });
		const looking = createDegradingBlockStore(createMemoryBlockStore(1000), {
			memoryBytes: 2500,
			place: shared,
		});
		expect(await looking.usage()).toMatchObject({ memoryBytes: 0, degraded: undefined });
		const told = new Promise<void>((resolve) => looking.watch(resolve));
		const { cid, bytes } = await block(1000, 1);
		await full.put(cid, bytes);
		await told;
		expect(await looking.usage()).toMatchObject({
			memoryBytes: 1000,
			degraded: { reason: "quota", message: expect.stringContaining("1000 more bytes") },
		});
		await full.close();
		while ((await looking.usage()).memoryBytes > 0) await new Promise((resolve) => setTimeout(resolve));
		expect((await looking.usage()).degraded).toBeUndefined();
		await looking.close();
	});

	test("is a store in memory where the folder cannot be made", async () => {
		await writeFile(join(folder, "plain"), "");
		const store = await openBlockStore({ folder: join(folder, "plain", "store") });
		const { cid, bytes } = await block(1000, 1);
		await store.put(cid, bytes);
		expect(await store.get(cid)).toEqual(bytes);
		expect((await store.usage()).degraded?.reason).toBe("denied");
	});

	test("is a store in memory where IndexedDB is denied", async () => {
		const { openBlockStore: open } = await import("./openBlockStore.browser.ts");
		const real = globalThis.indexedDB.open;
		globalThis.indexedDB.open = () => {
			throw new DOMException("denied", "SecurityError");
		};
		const store = await open({ name: "denied" });
		globalThis.indexedDB.open = real;
		const { cid, bytes } = await block(1000, 1);
		await store.put(cid, bytes);
		expect(await store.get(cid)).toEqual(bytes);
		expect((await store.usage()).degraded).toMatchObject({
			reason: "denied",
			message: expect.stringMatching(/SecurityError.*268435456/),
		});
	});
});
