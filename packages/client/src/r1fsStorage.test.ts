import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import { StorageInUseError } from "@tabmesh/wire";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openStorage } from "./openStorage.ts";
import { R1fsStorage } from "./r1fsStorage.ts";

const MiB = 1024 * 1024;
const bytes = new Uint8Array(randomBytes(2 * MiB));
const places = [0, 1].map((i) => ({
	digest: createHash("sha256")
		.update(bytes.subarray(i * MiB, (i + 1) * MiB))
		.digest(),
	size: MiB,
	offset: i * MiB,
}));
const server = createServer((request, response) => {
	const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!.map(Number);
	response.writeHead(206).end(bytes.subarray(from, to! + 1));
});
let url: string;
let folder: string;
let cacheDir: string;
let files: R1fs;
let storage: R1fsStorage;

beforeAll(async () => {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	folder = await mkdtemp(join(tmpdir(), "tabmesh-storage-"));
});
afterAll(async () => {
	server.close();
	await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
	cacheDir = await mkdtemp(join(folder, "cache-"));
	files = createR1fs({ store: await openBlockStore({ folder: cacheDir }) });
	storage = new R1fsStorage(async () => files);
	return () => files.close();
});

/** Reads a part of a model from the web, or all of it. */
async function readModel(which = places): Promise<void> {
	const reading = files.openBlocks("a model's id", {
		origins: [{ kind: "parts", url, locate: (offset, length) => [{ url, offset, length }] }],
		about: { name: "stories", size: bytes.byteLength },
	});
	for (const place of which) await reading.read(place);
	await reading.settle();
	reading.close();
}

test("models and files are shown with all of their bytes by source, to others that look as well, and still after closing", async () => {
	await readModel(places.slice(0, 1));
	const { cid } = await files.add(new Uint8Array(1000), { name: "notes.txt" });
	const expected = {
		usedBytes: MiB + 1000,
		pinnedBytes: 1000,
		looseBytes: 0,
		memoryBytes: 0,
		degraded: undefined,
		kept: [
			{
				id: "a model's id",
				kind: "model",
				name: "stories",
				bytes: MiB,
				wholeBytes: 2 * MiB,
				blocks: 1,
				pinned: false,
				inUse: false,
				from: [{ kind: "web", name: url, bytes: MiB }],
			},
			{
				id: cid,
				kind: "file",
				name: "notes.txt",
				bytes: 1000,
				pinned: true,
				from: [{ kind: "device", name: "", bytes: 1000 }],
			},
		],
	};
	expect(await storage.view()).toMatchObject(expected);
	await files.close();
	const later = openStorage({ cacheDir });
	expect(await later.view()).toMatchObject(expected);
	await later.close();
});

test("what is lent is refused with a typed error and left when all that is unused goes; what is pinned stays, too", async () => {
	await readModel();
	const pinned = await files.add(randomBytes(500));
	const loose = await files.add(randomBytes(300), { pin: false });
	const lent = files.hold("a model's id");
	expect((await storage.view()).kept[0]?.inUse).toBe(true);
	await expect(storage.free("a model's id")).rejects.toBeInstanceOf(StorageInUseError);
	expect(await storage.freeUnused()).toBe(300);
	expect((await storage.view()).kept.map(({ id }) => id)).toEqual(["a model's id", pinned.cid]);
	expect(await files.stat(loose.cid)).toBeUndefined();
	lent();
	expect(await storage.freeUnused()).toBe(2 * MiB);
	expect(await storage.free(pinned.cid)).toBe(500);
	expect(await storage.view()).toMatchObject({ kept: [], usedBytes: 0 });
});

test("a smaller budget frees at once, and that is told", async () => {
	await readModel();
	await storage.view();
	const told = new Promise((resolve) => storage.addEventListener("change", resolve));
	await storage.setBudget(MiB);
	await told;
	const { budgetBytes, usedBytes } = await storage.view();
	expect(budgetBytes).toBe(MiB);
	expect(usedBytes).toBeLessThanOrEqual(MiB);
});
