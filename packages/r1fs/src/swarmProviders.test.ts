import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cstore, createCstore, openRecordStore } from "@tabmesh/cstore";
import { createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
	announcedProviders,
	createR1fs,
	openBlockStore,
	type Providers,
	type R1fs,
	swarmProviders,
} from "./index.ts";
import { createMemoryBlockStore } from "./memoryBlockStore.ts";

const crowd = 20;
const MiB = 1024 * 1024;

interface Member {
	peer: Peer;
	cstore: Cstore;
	announced: Providers;
}

async function providersOf(providers: Providers, cid: string): Promise<string[]> {
	const found: string[] = [];
	for await (const provider of providers.find(cid, { signal: AbortSignal.timeout(20_000) }))
		if ("peer" in provider) found.push(provider.peer);
	return found.sort();
}

async function until(condition: () => boolean | Promise<boolean>) {
	while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe(`in a swarm of ${crowd} peers`, () => {
	let relay: RelayPeer;
	const members: Member[] = [];
	const rooms: R1fs[] = [];

	function open(member: Member, largeFrom: number): R1fs {
		const providers = swarmProviders({
			announced: member.announced,
			records: member.peer.providerRecords,
			peersHere: () => crowd,
			largeFrom,
		});
		const room = createR1fs({ store: createMemoryBlockStore(64 * MiB), peer: member.peer, providers });
		rooms.push(room);
		return room;
	}

	beforeAll(async () => {
		relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
		for (let i = 0; i < crowd; i++) {
			const identity = await createIdentity();
			const peer = await createPeer({ identity, relays: relay.addresses, agent: "test/1" });
			const cstore = await createCstore({ peer, identity, room: "public", store: await openRecordStore() });
			members.push({ peer, cstore, announced: announcedProviders(cstore, peer.id) });
		}
	});
	afterAll(async () => {
		await Promise.all(rooms.map((room) => room.close()));
		await Promise.all(members.map(({ cstore }) => cstore.stop()));
		await Promise.all(members.map(({ peer }) => peer.stop()));
		await relay.stop();
	});

	test("that is large, files are found by records on the relay, and nobody else hears of them", async () => {
		const [giver, again, ...others] = members as [Member, Member, ...Member[]];
		const bytes = new Uint8Array(randomBytes(3 * MiB));
		const { cid } = await open(giver, crowd).add(bytes);
		await until(() => relay.load.provided === 1);
		// Whoever fetched it has it to give, too.
		expect(Buffer.compare(await open(again, crowd).get(cid).bytes(), bytes)).toBe(0);
		await until(() => relay.load.provided === 2);
		for (const { peer, announced } of others) {
			expect(await providersOf(announced, cid)).toEqual([]);
			const large = swarmProviders({
				announced,
				records: peer.providerRecords,
				peersHere: () => crowd,
				largeFrom: crowd,
			});
			expect(await providersOf(large, cid)).toEqual([giver.peer.id, again.peer.id].sort());
		}
		await Promise.all(rooms.splice(0).map((room) => room.close()));
	});

	test("that is small, they are announced to everybody, and the relay keeps no record", async () => {
		const [giver, , asker] = members as [Member, Member, Member];
		const before = relay.load.provided;
		const bytes = new Uint8Array(randomBytes(MiB));
		const room = open(giver, crowd + 1);
		const { cid } = await room.add(bytes);
		for (const { announced, peer } of members) {
			if (peer === giver.peer) continue;
			await until(async () => (await providersOf(announced, cid)).join() === giver.peer.id);
		}
		expect(
			Buffer.compare(
				await open(asker, crowd + 1)
					.get(cid)
					.bytes(),
				bytes,
			),
		).toBe(0);
		expect(relay.load.provided).toBe(before);
	});

	test("a returning peer says again what it has, and no more than that", async () => {
		const member = members[5]!;
		const folder = await mkdtemp(join(tmpdir(), "r1fs-"));
		const first = createR1fs({ store: await openBlockStore({ folder }), peer: member.peer });
		const kept = await first.add("kept");
		await first.close();
		await member.announced.provide(["bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"]);
		const store = await openBlockStore({ folder });
		const second = createR1fs({ store, peer: member.peer, providers: member.announced });
		await until(() => (member.cstore.get(`peer/${member.peer.id}/files`) as unknown[]).length === 1);
		const elsewhere = members[6]!.announced;
		await until(async () => (await providersOf(elsewhere, kept.cid)).length === 1);
		await second.close();
		await rm(folder, { recursive: true });
	});
});

test("of a thousand files a peer announces the newest, and garbage of others is read as nothing", async () => {
	const state = new Map<string, unknown>([
		["peer/12D3a/files", "no list"],
		["peer/12D3b/files", [1, null, "x", new Uint8Array(3)]],
		["peer/12D3c/other", [new Uint8Array(32)]],
	]);
	const announced = announcedProviders(
		{
			get: (key) => state.get(key),
			keys: (prefix) => [...state.keys()].filter((key) => key.startsWith(prefix)),
			async set(key, value) {
				state.set(key, value);
				return { id: "", stamp: 0, acks: [] };
			},
		},
		"12D3self",
	);
	const files = createR1fs({ store: createMemoryBlockStore(MiB) });
	const cids: string[] = [];
	for (let i = 0; i < 100; i++) cids.push((await files.add(`file ${i}`)).cid);
	for (const cid of cids) await announced.provide([cid]);
	expect(state.get("peer/12D3self/files")).toHaveLength(64);
	const other = announcedProviders(
		{ get: (key) => state.get(key), keys: () => [...state.keys()], set: never },
		"me",
	);
	expect(await providersOf(other, cids.at(-1)!)).toEqual(["12D3self"]);
	expect(await providersOf(other, cids[0]!)).toEqual([]);
	await announced.provide(cids.slice(0, 2), { all: true });
	expect(await providersOf(other, cids[0]!)).toEqual(["12D3self"]);
	expect(await providersOf(other, cids.at(-1)!)).toEqual([]);
	await files.close();
});

async function never(): Promise<never> {
	throw new Error("nothing is written");
}
