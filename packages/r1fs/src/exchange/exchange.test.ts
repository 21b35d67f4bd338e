import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createIdentity } from "@tabmesh/dauth";
import { createPeer, type MessageStream, type Offence, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { FileNotFoundError, MalformedMessageError, MessageTooLargeError, TabmeshError } from "@tabmesh/wire";
import fc from "fast-check";
import { importBytes } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { CID } from "multiformats/cid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CreateR1fsInit, createR1fs, type Provider, type Providers, type R1fs } from "../index.ts";
import { createMemoryBlockStore } from "../memoryBlockStore.ts";
import { blockProtocol, decodeAnswer, decodeAsk, encodeAnswer, encodeAsk } from "./blockProtocol.ts";

const MiB = 1024 * 1024;

/** `npm run test:large` moves 160 MB in them. */
const leafBytes = process.env.TABMESH_LARGE === "1" ? 16 * 1024 : 256;

let relay: RelayPeer;
const peers: Peer[] = [];
const rooms: R1fs[] = [];

beforeAll(async () => {
	relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
});
afterAll(async () => {
	await Promise.all(rooms.map((room) => room.close()));
	await Promise.all(peers.map((peer) => peer.stop()));
	await relay.stop();
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

function newRoom(init: Partial<CreateR1fsInit> = {}): R1fs {
	const room = createR1fs({ store: createMemoryBlockStore(512 * MiB), ...init });
	rooms.push(room);
	return room;
}

/** Peers whose offences are noted. */
function witnessed(peer: Peer): { peer: Peer; reports: [string, Offence][] } {
	const reports: [string, Offence][] = [];
	const watched = new Proxy(peer, {
		get(target, name) {
			if (name === "report") {
				return (id: string, offence: Offence) => {
					reports.push([id, offence]);
					target.report(id, offence);
				};
			}
			const value = Reflect.get(target, name, target);
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
	return { peer: watched, reports };
}

function known(...found: Provider[]): Providers {
	return {
		async *find() {
			yield* found;
		},
		async provide() {},
	};
}

/** A giver of our protocol that does as it likes. */
function liar(peer: Peer, answer: (stream: MessageStream, number: number, cid: CID) => Promise<void>): void {
	peer.serve(blockProtocol, async (stream) => {
		for await (const message of stream) {
			for (const { number, cid } of decodeAsk(message).wants)
				void answer(stream, number, cid).catch(() => {});
		}
	});
}

/** Compares as memory does: the test runner's own equality takes seconds for megabytes. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
	expect(Buffer.compare(actual, expected)).toBe(0);
}

const silence = new Promise<never>(() => {});

describe("a file comes from peers", () => {
	test("from three at once, of which each has a part, and whoever then has it whole announces it", async () => {
		const [a, b, c, asker] = await Promise.all([newPeer(), newPeer(), newPeer(), newPeer()]);
		const bytes = new Uint8Array(randomBytes(9 * MiB + 17));
		const store = createMemoryBlockStore(64 * MiB);
		const { cid } = await newRoom({ store }).add(bytes);
		for (const [i, peer] of [a, b, c].entries()) {
			liar(peer, async (stream, number, want) => {
				const has = want.code === 0x70 || want.multihash.digest[5]! % 3 === i;
				await stream.send(encodeAnswer({ number, block: has ? await store.get(want) : undefined }));
			});
		}
		const provided: string[] = [];
		const providers: Providers = {
			...known(...[a, b, c].map(({ id }) => ({ peer: id }))),
			async provide(cids) {
				provided.push(...cids);
			},
		};
		const room = newRoom({ peer: asker, providers });
		let last: { bytes: number; totalBytes: number | undefined } | undefined;
		const onProgress = (progress: typeof last): void => {
			last = progress;
		};
		expectSame(await room.get(cid, { onProgress }).bytes(), bytes);
		expect(last).toMatchObject({ bytes: bytes.length, totalBytes: bytes.length });
		const kept = await room.stat(cid);
		expect(kept).toMatchObject({ pinned: false, size: bytes.length, blocks: 11 });
		expect(Object.values(kept!.from).reduce((sum, part) => sum + part)).toBe(kept!.storedBytes);
		expect(provided).toEqual([cid]);
	});

	test("although one of three has 10,000 blocks of which 1 % are wrong: every one is refused, the file is whole, the liar is reported and asked no more", async () => {
		const [good, alsoGood, wrong, asker] = await Promise.all([newPeer(), newPeer(), newPeer(), newPeer()]);
		// 10,000 leaves, as a tool with small chunks would cut them.
		const store = createMemoryBlockStore(512 * MiB);
		const bytes = new Uint8Array(randomBytes(10_000 * leafBytes));
		const leaves: string[] = [];
		const put = async (cid: CID, block: Uint8Array): Promise<CID> => {
			await store.put(cid, block);
			if (cid.code === 0x55) leaves.push(cid.toString());
			return cid;
		};
		const { cid } = await importBytes(
			bytes,
			{ put },
			{ profile: "unixfs-v1-2025", chunker: fixedSize({ chunkSize: leafBytes }) },
		);
		expect(new Set(leaves).size).toBe(10_000);
		for (const peer of [good, alsoGood]) newRoom({ peer, store });
		// Which hundred are wrong differs from run to run; that some of them are asked for is as good as certain.
		const wrongLeaves = new Set(leaves.sort(() => Math.random() - 0.5).slice(0, 100));
		let asked = 0;
		let liesTold = 0;
		liar(wrong, async (stream, number, want) => {
			const block = new Uint8Array((await store.get(want))!);
			asked++;
			if (wrongLeaves.has(want.toString())) {
				block[0]! ^= 1;
				liesTold++;
			}
			await stream.send(encodeAnswer({ number, block }));
		});
		const witness = witnessed(asker);
		const room = newRoom({
			peer: witness.peer,
			providers: known({ peer: wrong.id }, { peer: good.id }, { peer: alsoGood.id }),
		});
		expectSame(await room.get(cid.toString()).bytes(512 * MiB), bytes);
		expect(liesTold).toBeGreaterThan(0);
		expect(witness.reports).toEqual([[wrong.id, "wrong-bytes"]]);
		// What was kept is right, too.
		expectSame(await room.get(cid.toString(), { offline: true }).bytes(512 * MiB), bytes);
		const before = asked;
		await room.remove(cid.toString());
		const range = { start: 0, end: 20_000 };
		expectSame(await room.get(cid.toString(), { range }).bytes(), bytes.subarray(0, 20_000));
		expect(asked).toBe(before);
	});

	test("although one falls silent after its first blocks, and one gives up", async () => {
		const [good, silent, quitter, asker] = await Promise.all([newPeer(), newPeer(), newPeer(), newPeer()]);
		const bytes = new Uint8Array(randomBytes(12 * MiB));
		const giver = newRoom({ peer: good });
		const { cid } = await giver.add(bytes);
		const store = createMemoryBlockStore(64 * MiB);
		await newRoom({ store }).add(bytes);
		let answered = 0;
		liar(silent, async (stream, number, want) => {
			if (answered++ >= 2) await silence;
			await stream.send(encodeAnswer({ number, block: (await store.get(want))! }));
		});
		liar(quitter, async (stream) => stream.abort(new TabmeshError("no")));
		const room = newRoom({
			peer: asker,
			providers: known({ peer: silent.id }, { peer: quitter.id }, { peer: good.id }),
		});
		expectSame(await room.get(cid).bytes(), bytes);
	});

	test("by range: only what is needed is fetched, and later reading goes on from there", async () => {
		const [giverPeer, asker] = await Promise.all([newPeer(), newPeer()]);
		const giver = newRoom({ peer: giverPeer });
		const bytes = new Uint8Array(randomBytes(8 * MiB));
		const { cid, link } = await giver.add(bytes, { encrypt: true });
		const room = newRoom({ peer: asker, providers: known({ peer: giverPeer.id }) });
		expectSame(
			await room.get(link, { range: { start: 5 * MiB, end: 5 * MiB + 10 } }).bytes(),
			bytes.subarray(5 * MiB, 5 * MiB + 10),
		);
		expect((await room.usage()).usedBytes).toBeLessThan(2 * MiB);
		expect(await room.stat(cid)).toBeUndefined();
		const record = await room.pin(link);
		expect(record).toMatchObject({ pinned: true, encrypted: true, size: (await giver.stat(cid))!.size });
		expectSame(await room.get(link, { offline: true }).bytes(), bytes);
	});

	test("and where nobody has it, that is said", async () => {
		const [giverPeer, asker] = await Promise.all([newPeer(), newPeer()]);
		newRoom({ peer: giverPeer });
		const room = newRoom({ peer: asker, providers: known() });
		const nowhere = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
		await expect(room.get(nowhere).bytes()).rejects.toBeInstanceOf(FileNotFoundError);
		const other = await newPeer();
		const asked = newRoom({ peer: other, providers: known({ peer: giverPeer.id }) });
		const stop = new AbortController();
		setTimeout(() => stop.abort(new Error("told to stop")), 300);
		await expect(asked.get(nowhere, { signal: stop.signal }).bytes()).rejects.toThrow("told to stop");
	});
});

describe("a peer that gives blocks", () => {
	test("cuts off and reports one that asks for a thousand at once, and goes on serving others", async () => {
		const [giverPeer, flooder, asker] = await Promise.all([newPeer(), newPeer(), newPeer()]);
		const witness = witnessed(giverPeer);
		const giver = newRoom({ peer: witness.peer });
		// One block of a mebibyte: a thousand answers cannot all leave before the flood is seen.
		const bytes = new Uint8Array(randomBytes(MiB));
		const { cid } = await giver.add(bytes);
		const stream = await flooder.open(giverPeer.id, blockProtocol);
		const want = CID.parse(cid);
		for (let ask = 0; ask < 20; ask++) {
			const wants = Array.from({ length: 50 }, (_, i) => ({ number: ask * 50 + i, cid: want }));
			await stream.send(encodeAsk({ wants, cancels: [] })).catch(() => {});
		}
		expect(await stream.closed).toMatchObject({ code: "Flood" });
		expect(witness.reports).toContainEqual([flooder.id, "flood"]);
		const room = newRoom({ peer: asker, providers: known({ peer: giverPeer.id }) });
		expectSame(await room.get(cid).bytes(), bytes);
	});

	test("reports one that sends what is no question, and gives nothing to whom it may not", async () => {
		const [giverPeer, rude, barred] = await Promise.all([newPeer(), newPeer(), newPeer()]);
		const witness = witnessed(giverPeer);
		const giver = newRoom({ peer: witness.peer, maySend: (peer) => peer !== barred.id });
		const { cid } = await giver.add(new Uint8Array(1000));
		const stream = await rude.open(giverPeer.id, blockProtocol);
		await stream.send(new Uint8Array([1, 2, 3]));
		expect(await stream.closed).toMatchObject({ code: "MalformedMessage" });
		expect(witness.reports).toEqual([[rude.id, "malformed"]]);
		const room = newRoom({ peer: barred, providers: known({ peer: giverPeer.id }) });
		await expect(room.get(cid, { patienceMs: 500 }).bytes()).rejects.toBeInstanceOf(FileNotFoundError);
	});
});

describe("a file comes from the web", () => {
	let server: Server;
	let url: string;
	const store = createMemoryBlockStore(64 * MiB);
	const bytes = new Uint8Array(randomBytes(6 * MiB + 3));
	let cid: string;
	let mode: "honest" | "wrong" | "whole" | "long" = "honest";
	const requests: string[] = [];

	beforeAll(async () => {
		cid = (await newRoom({ store }).add(bytes)).cid;
		server = createServer(async (request, response) => {
			const path = request.url ?? "";
			requests.push(path);
			const block = /^\/gateway\/ipfs\/([a-z0-9]+)\?format=raw$/.exec(path)?.[1];
			if (block) {
				const found = await store.get(CID.parse(block));
				response.writeHead(found ? 200 : 404).end(found);
				return;
			}
			const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
			const [from, to] = [Number(range?.[1]) - 100, Number(range?.[2]) - 99];
			const part = new Uint8Array(bytes.slice(from, mode === "long" ? to + 1 : to));
			if (mode === "wrong") part[0]! ^= 1;
			if (mode === "whole") response.writeHead(200).end(bytes);
			else response.writeHead(206).end(part);
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	});
	afterAll(() => {
		server.closeAllConnections();
		server.close();
	});

	test("from a gateway alone, block by block", async () => {
		const room = newRoom();
		expectSame(await room.get(cid, { origins: [{ kind: "gateway", url: `${url}/gateway` }] }).bytes(), bytes);
		expect((await room.stat(cid))?.from).toEqual({ [url]: (await room.stat(cid))?.storedBytes });
	});

	test("as ranges of a plain file that begins somewhere in another one, the tree coming from a peer", async () => {
		const [giverPeer, asker] = await Promise.all([newPeer(), newPeer()]);
		liar(giverPeer, async (stream, number, want) => {
			// Has the tree and no leaf.
			const block = want.code === 0x70 ? await store.get(want) : undefined;
			await stream.send(encodeAnswer({ number, block }));
		});
		const room = newRoom({ peer: asker, providers: known({ peer: giverPeer.id }) });
		const origins = [{ kind: "file", url: `${url}/large`, offset: 100 }] as const;
		expectSame(await room.get(cid, { origins }).bytes(), bytes);
		expect((await room.stat(cid))?.from[url]).toBe(bytes.length);
	});

	test.each(["wrong", "whole", "long"] as const)(
		"but never from an origin that answers with %s bytes",
		async (how) => {
			mode = how;
			const [giverPeer, asker] = await Promise.all([newPeer(), newPeer()]);
			newRoom({ peer: giverPeer, store });
			const room = newRoom({ peer: asker, providers: known({ peer: giverPeer.id }) });
			expectSame(await room.get(cid, { origins: [{ kind: "file", url: `${url}/large` }] }).bytes(), bytes);
			expect((await room.stat(cid))?.from[url]).toBeUndefined();
			mode = "honest";
		},
	);
});

describe("messages of the block protocol", () => {
	const numRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
	const expected = (error: unknown): boolean =>
		error instanceof MalformedMessageError ||
		error instanceof MessageTooLargeError ||
		(error as TabmeshError).code === "InvalidCid";

	test("come back as they were", () => {
		const cid = CID.parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
		const ask = { wants: [{ number: 7, cid }], cancels: [1, 2] };
		expect(decodeAsk(encodeAsk(ask))).toEqual(ask);
		const block = new Uint8Array([1, 2, 3]);
		for (const answer of [
			{ number: 0xffff_ffff, block },
			{ number: 3, block: undefined },
		]) {
			expect(decodeAnswer(Uint8Array.from(encodeAnswer(answer).flatMap((part) => [...part])))).toEqual(
				answer,
			);
		}
	});

	test("are refused with a typed error when they are none", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
				for (const decode of [decodeAsk, decodeAnswer]) {
					try {
						decode(bytes);
					} catch (error) {
						if (!expected(error)) throw error;
					}
				}
			}),
			{ numRuns },
		);
	});

	test("are refused when a good one is damaged", () => {
		const cid = CID.parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
		const good = encodeAsk({
			wants: Array.from({ length: 8 }, (_, number) => ({ number, cid })),
			cancels: [1, 2, 3],
		});
		fc.assert(
			fc.property(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
				const bad = new Uint8Array(cut ? good.subarray(0, at) : good);
				if (!cut) bad[at] = value;
				try {
					decodeAsk(bad);
				} catch (error) {
					if (!expected(error)) throw error;
				}
			}),
			{ numRuns },
		);
	});
});
