import "fake-indexeddb/auto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openRecordStore as openInPage } from "./openRecordStore.browser.ts";
import { openRecordStore as openInNode } from "./openRecordStore.ts";
import type { KeptRecord } from "./recordStore.ts";

let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "cstore-"));
});
afterAll(() => rm(folder, { recursive: true }));

const record = (n: number): KeptRecord => ({
	id: n.toString(16).padStart(64, "0"),
	wire: [new Uint8Array([n, 1, 2]), n % 2 ? [new Uint8Array(10).fill(n)] : []],
});

describe.each([
	["a file", () => openInNode({ file: join(folder, "records.sqlite") })],
	["IndexedDB", () => openInPage({ name: "records" })],
])("records in %s", (_, open) => {
	test("are there after a restart, each room's apart, and gone when removed", async () => {
		const store = await open();
		expect(store.degraded).toBeUndefined();
		await store.apply("a", [record(1), record(2)], []);
		await store.apply("b", [record(3)], []);
		await store.apply("a", [record(4)], [record(1).id]);
		await store.close();
		const again = await open();
		expect((await again.load("a")).map(({ id }) => id).sort()).toEqual([record(2).id, record(4).id]);
		expect(await again.load("b")).toEqual([record(3)]);
		await again.close();
	});

	test("can be written by two at once, and written twice", async () => {
		const [one, two] = [await open(), await open()];
		await Promise.all([
			...[10, 11, 12].map((n) => one.apply("c", [record(n)], [])),
			...[11, 12, 13].map((n) => two.apply("c", [record(n)], [record(99).id])),
		]);
		expect(await one.load("c")).toEqual([10, 11, 12, 13].map(record));
		expect(await two.load("c")).toEqual(await one.load("c"));
		await Promise.all([one.close(), two.close()]);
	});
});

test("a page that may keep nothing still gets a store, and is told so", async () => {
	vi.stubGlobal("indexedDB", {
		open() {
			throw new DOMException("denied", "SecurityError");
		},
	});
	const store = await openInPage();
	expect(store.degraded).toMatch(/SecurityError/);
	await store.apply("a", [record(1)], []);
	expect(await store.load("a")).toEqual([]);
	vi.unstubAllGlobals();
});
