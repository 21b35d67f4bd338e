import "fake-indexeddb/auto";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShardIntegrityError, StorageQuotaError } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelSource } from "../format/modelSource.ts";
import { type PublishedModel, publishModel } from "../manifest/publishModel.ts";
import type { ShardSource } from "../shardSource.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { cachedSource } from "./cachedSource.ts";
import * as page from "./chunkStore.browser.ts";
import * as node from "./chunkStore.ts";
import type { ChunkStore } from "./chunkStoreTypes.ts";
import { sourceOfModel } from "./sourceOfModel.ts";

let seeded: ModelSource;
let published: PublishedModel;
let folder: string;
beforeAll(async () => {
	// Feed-forward matrices of 33 MiB: two records each.
	seeded = await openSeededModel({ layers: 1, feedForward: 135_168 });
	published = await publishModel(seeded);
	folder = await mkdtemp(join(tmpdir(), "tabmesh-store-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The model's own bytes, counting how often they are asked for. */
function upstream(): { source: ShardSource; reads: () => number } {
	let reads = 0;
	const inner = sourceOfModel(seeded);
	return {
		source: {
			read: (...args) => {
				reads++;
				return inner.read(...args);
			},
		},
		reads: () => reads,
	};
}

const stores: [string, (name: string) => Promise<ChunkStore>][] = [
	["a folder", (name) => node.openChunkStore(join(folder, name))],
	["IndexedDB", (name) => page.openChunkStore(name)],
];

describe.each(stores)("a source cached in %s", (_what, openStore) => {
	test("asks upstream once, and a later visit not at all", async () => {
		const name = randomUUID();
		const { source, reads } = upstream();
		const large = published.manifest.tensors.find(({ name }) => name.includes("gate_proj"))!;
		const norm = published.manifest.tensors[1]!;
		for (let visit = 0; visit < 2; visit++) {
			const store = await openStore(name);
			const cached = cachedSource(store, source);
			for (const tensor of [large, norm]) {
				let loaded = 0;
				const bytes = await cached.read(published, tensor, {
					onProgress: (now) => {
						loaded = now;
					},
				});
				// Compared as buffers: element by element takes a minute.
				expect(Buffer.compare(bytes, await sourceOfModel(seeded).read(published, tensor))).toBe(0);
				expect(bytes.buffer.byteLength).toBe(tensor.bytes);
				expect(loaded).toBe(tensor.bytes);
			}
			await store.close();
		}
		expect(reads()).toBe(2);
	}, 60_000);

	test("a record that is damaged is fetched again, and right from then on", async () => {
		const store = await openStore(randomUUID());
		const tensor = published.manifest.tensors[1]!;
		const { source, reads } = upstream();
		const damaging: ChunkStore = {
			...store,
			put: (key, bytes) => store.put(key, reads() === 1 ? bytes.map((byte) => byte ^ 1) : bytes),
		};
		for (let visit = 0; visit < 3; visit++) await cachedSource(damaging, source).read(published, tensor);
		expect(reads()).toBe(2);
		await store.close();
	});

	test("a store that is full is told of once, and everything goes on", async () => {
		const store = await openStore(randomUUID());
		const told: StorageQuotaError[] = [];
		let puts = 0;
		const full: ChunkStore = {
			...store,
			put: async () => {
				puts++;
				throw new StorageQuotaError("no room");
			},
		};
		const cached = cachedSource(full, upstream().source, { onStorageFull: (error) => told.push(error) });
		for (const tensor of published.manifest.tensors.slice(1, 4)) {
			expect((await cached.read(published, tensor)).byteLength).toBe(tensor.bytes);
		}
		expect(told).toHaveLength(1);
		expect(puts).toBe(1);
		await store.close();
	});

	test("clear and delete forget", async () => {
		const store = await openStore(randomUUID());
		await store.put("a", Uint8Array.of(1));
		await store.put("b", Uint8Array.of(2));
		await store.delete("a");
		await store.delete("a");
		expect(await store.get("a")).toBeUndefined();
		expect(await store.get("b")).toEqual(Uint8Array.of(2));
		await store.clear();
		expect(await store.get("b")).toBeUndefined();
		await store.close();
	});
});

describe("a store in a folder", () => {
	test("leaves no half record when writing fails", async () => {
		const location = join(folder, randomUUID());
		const store = await node.openChunkStore(location);
		// A folder stands where the record should go.
		const inner = await node.openChunkStore(join(location, "key"));
		await inner.put("x", Uint8Array.of(1));
		await expect(store.put("key", Uint8Array.of(2))).rejects.toThrow();
		expect(await readdir(location)).toEqual(["key"]);
	});

	test("is checked when it is read, whoever wrote into it", async () => {
		const location = join(folder, randomUUID());
		const store = await node.openChunkStore(location);
		const tensor = published.manifest.tensors[1]!;
		await cachedSource(store, upstream().source).read(published, tensor);
		const [file] = await readdir(location);
		const path = join(location, file!);
		await writeFile(path, (await readFile(path)).subarray(1));
		const offline: ShardSource = { read: () => Promise.reject(new ShardIntegrityError("offline")) };
		await expect(cachedSource(store, offline).read(published, tensor)).rejects.toThrow("offline");
	});
});

describe("a store in IndexedDB", () => {
	test("turns the browser's QuotaExceededError into a typed one", async () => {
		const store = await page.openChunkStore(randomUUID());
		const put = IDBObjectStore.prototype.put;
		IDBObjectStore.prototype.put = () => {
			throw new DOMException("full", "QuotaExceededError");
		};
		try {
			await expect(store.put("key", Uint8Array.of(1))).rejects.toThrow(StorageQuotaError);
		} finally {
			IDBObjectStore.prototype.put = put;
		}
		await store.close();
	});
});
