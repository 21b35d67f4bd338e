import "fake-indexeddb/auto";
import { createHash, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { FileNotFoundError, StorageInUseError } from "@tabmesh/wire";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type BlockPlace, createR1fs, type HttpOrigin, type Providers } from "./index.ts";
import { openIndexedBlockStore } from "./indexedBlockStore.ts";
import { createMemoryBlockStore } from "./memoryBlockStore.ts";

const MiB = 1024 * 1024;
/** Four blocks and a bit: the bytes of something that is no file of ours. */
const bytes = new Uint8Array(randomBytes(4 * MiB + 5));
const places: BlockPlace[] = Array.from({ length: 5 }, (_, i) => {
	const part = bytes.subarray(i * MiB, (i + 1) * MiB);
	return { digest: createHash("sha256").update(part).digest(), size: part.byteLength, offset: i * MiB };
});

let relay: RelayPeer;
let server: Server;
let url: string;
let mode: "honest" | "wrong" | "gone" = "honest";
let requests: string[] = [];
const peers: Peer[] = [];

/** The bytes lie in two files, the second of which begins in the middle of a block. */
const cut = 2 * MiB + 1000;
const origin = (): HttpOrigin => ({
	kind: "parts",
	url: `${url}/`,
	locate: (offset, size) => {
		const first = { url: `${url}/a`, offset, length: Math.min(offset + size, cut) - offset };
		const from = Math.max(offset, cut);
		const second = { url: `${url}/b`, offset: from - cut, length: offset + size - from };
		return [first, second].filter(({ length }) => length > 0);
	},
});

beforeAll(async () => {
	relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
	server = createServer((request, response) => {
		requests.push(request.url!);
		const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!.map(Number);
		const file = request.url === "/a" ? bytes.subarray(0, cut) : bytes.subarray(cut);
		const part = new Uint8Array(file.slice(from, to! + 1));
		if (mode === "wrong") part[0]! ^= 1;
		response.writeHead(mode === "gone" ? 404 : 206).end(mode === "gone" ? undefined : part);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
	server.closeAllConnections();
	server.close();
	await Promise.all(peers.map((peer) => peer.stop()));
	await relay.stop();
});
beforeEach(() => {
	mode = "honest";
	requests = [];
});

async function newPeer(): Promise<Peer> {
	const peer = await createPeer({
		identity: await createIdentity(),
		relays: relay.addresses,
		agent: "test/1",
	});
	peers.push(peer);
	return peer;
}

const has = (...ids: string[]): Providers => ({
	async *find(name) {
		expect(name).toBe("a model");
		for (const peer of ids) yield { peer };
	},
	async provide() {},
});

async function readAll(reading: ReturnType<ReturnType<typeof createR1fs>["openBlocks"]>): Promise<Buffer> {
	return Buffer.concat(await Promise.all(places.map((place) => reading.read(place))));
}

test("blocks lie in parts of files on the web, are kept, and are then given to peers although the web is gone", async () => {
	const [giver, asker] = await Promise.all([newPeer(), newPeer()]);
	const first = createR1fs({ store: createMemoryBlockStore(64 * MiB), peer: giver });
	const web = first.openBlocks("a model", { origins: [origin()] });
	expect(Buffer.compare(await readAll(web), bytes)).toBe(0);
	expect(requests.sort()).toEqual(["/a", "/a", "/a", "/b", "/b", "/b"]);
	await web.settle();
	web.close();
	expect((await first.usage()).usedBytes).toBe(bytes.byteLength);
	expect((await first.survey()).parts).toMatchObject([
		{ whole: "a model", blocks: 5, from: { [`${url}/`]: bytes.byteLength } },
	]);

	mode = "gone";
	const second = createR1fs({
		store: createMemoryBlockStore(64 * MiB),
		peer: asker,
		providers: has(giver.id),
	});
	const swarm = second.openBlocks("a model", { origins: [origin()] });
	expect(Buffer.compare(await readAll(swarm), bytes)).toBe(0);
	expect(swarm.sources().find(({ name }) => name === giver.id)?.bytes).toBe(bytes.byteLength);
	await swarm.settle();
	swarm.close();
	expect((await second.survey()).parts).toMatchObject([{ from: { [giver.id]: bytes.byteLength } }]);
	requests = [];
	const again = second.openBlocks("a model", { origins: [origin()], offline: true });
	expect(Buffer.compare(await readAll(again), bytes)).toBe(0);
	expect(requests).toEqual([]);
	await Promise.all([first.close(), second.close()]);
});

test("an origin with wrong bytes is named and asked no more, and where nobody is left that is said", async () => {
	mode = "wrong";
	const files = createR1fs({ store: createMemoryBlockStore(64 * MiB) });
	const refused: string[] = [];
	const options = { origins: [origin()], onRefused: (source: string) => void refused.push(source) };
	const reading = files.openBlocks("a model", options);
	await expect(reading.read(places[0]!)).rejects.toBeInstanceOf(FileNotFoundError);
	expect(refused).toEqual([`${url}/`]);
	reading.close();
	requests = [];
	const later = files.openBlocks("a model", options);
	await expect(later.read(places[1]!)).rejects.toBeInstanceOf(FileNotFoundError);
	expect(requests).toEqual([]);
	await files.close();
});

test("one caller that gives up takes nothing from another, and the last one ends the fetching", async () => {
	const held = Promise.withResolvers<void>();
	const slow = createServer(async (_request, response) => {
		await held.promise;
		response.writeHead(206).end(bytes.subarray(0, MiB));
	});
	await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
	const at = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/`;
	const files = createR1fs({ store: createMemoryBlockStore(64 * MiB) });
	const reading = files.openBlocks("a model", {
		origins: [{ kind: "parts", url: at, locate: (offset, length) => [{ url: at, offset, length }] }],
	});
	const one = new AbortController();
	const other = new AbortController();
	const given = reading.read(places[0]!, { signal: one.signal });
	const stays = reading.read(places[0]!, { signal: other.signal });
	const alone = new AbortController();
	const lone = reading.read(places[1]!, { signal: alone.signal });
	one.abort(new Error("enough"));
	alone.abort(new Error("enough as well"));
	await expect(given).rejects.toThrow("enough");
	await expect(lone).rejects.toThrow("enough as well");
	held.resolve();
	expect(Buffer.compare(await stays, bytes.subarray(0, MiB))).toBe(0);
	await files.close();
	slow.closeAllConnections();
	slow.close();
});

test("what is read or held, here or in another tab, is not removed; when nobody uses it, it is", async () => {
	const name = "in-use";
	const here = createR1fs({ store: await openIndexedBlockStore({ name, budgetBytes: 64 * MiB }) });
	const elsewhere = createR1fs({ store: await openIndexedBlockStore({ name, budgetBytes: 64 * MiB }) });
	const about = { name: "A model", size: bytes.byteLength };
	const reading = here.openBlocks("a model", { origins: [origin()], about });
	await readAll(reading);
	await reading.settle();
	expect(await elsewhere.held()).toEqual(new Set(["a model"]));
	for (const files of [here, elsewhere])
		await expect(files.remove("a model")).rejects.toBeInstanceOf(StorageInUseError);
	const release = here.hold("a model");
	reading.close();
	await expect(elsewhere.remove("a model")).rejects.toBeInstanceOf(StorageInUseError);
	expect((await elsewhere.survey()).parts).toMatchObject([{ about, storedBytes: bytes.byteLength }]);
	release();
	while ((await elsewhere.held()).size > 0) await new Promise((resolve) => setTimeout(resolve));
	const told = Promise.withResolvers<void>();
	here.addEventListener("change", () => told.resolve());
	expect(await elsewhere.remove("a model")).toBe(bytes.byteLength);
	await told.promise;
	expect((await here.survey()).parts).toEqual([]);
	expect((await here.usage()).usedBytes).toBe(0);
	await Promise.all([here.close(), elsewhere.close()]);
});
