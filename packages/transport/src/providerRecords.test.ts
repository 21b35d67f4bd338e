import { randomBytes } from "node:crypto";
import { createIdentity } from "@tabmesh/dauth";
import { PeerUnreachableError } from "@tabmesh/wire";
import { Key } from "interface-datastore";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPeer, type Peer } from "./index.ts";
import { ProviderDatastore } from "./providerDatastore.ts";
import { createRelayPeer, type RelayPeer } from "./relay.ts";

const crowd = 24;

async function all(found: AsyncIterable<string>): Promise<string[]> {
	const ids: string[] = [];
	for await (const id of found) ids.push(id);
	return ids.sort();
}

async function until(condition: () => boolean) {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const ids = (peers: readonly Peer[]) => peers.map(({ id }) => id).sort();

describe(`records of who has what, among ${crowd} peers behind two relays`, () => {
	const relays: RelayPeer[] = [];
	const peers: Peer[] = [];
	beforeAll(async () => {
		for (let i = 0; i < 2; i++)
			relays.push(await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" }));
		for (let i = 0; i < crowd; i++) {
			peers.push(
				await createPeer({
					identity: await createIdentity(),
					relays: relays.flatMap(({ addresses }) => addresses),
					agent: "test/1",
				}),
			);
		}
		// The second relay follows in the background.
		await until(() => peers.every(({ connections }) => connections.length === relays.length));
	});
	afterAll(async () => {
		await Promise.all(peers.map((peer) => peer.stop()));
		await Promise.all(relays.map((relay) => relay.stop()));
	});

	test("are found by everybody, each content's apart, without anybody being called", async () => {
		const [one, other, nobodys] = [randomBytes(32), randomBytes(32), randomBytes(32)];
		await Promise.all(peers.slice(0, 5).map((peer) => peer.providerRecords.provide(one)));
		await peers[5]!.providerRecords.provide(other);
		await until(() => relays.every(({ load }) => load.provided === 6));
		for (const asker of peers.slice(6)) {
			expect(await all(asker.providerRecords.find(one))).toEqual(ids(peers.slice(0, 5)));
			expect(await all(asker.providerRecords.find(other))).toEqual([peers[5]!.id]);
			expect(await all(asker.providerRecords.find(nobodys))).toEqual([]);
		}
		// Nobody is told of itself.
		expect(await all(peers[5]!.providerRecords.find(other))).toEqual([]);
		const called = peers.flatMap(({ connections }) => connections.filter(({ path }) => path !== "socket"));
		expect(called).toEqual([]);
	});

	test("go with the peer that left them, and stay when one of two relays is gone", async () => {
		const content = randomBytes(32);
		const [stays, leaves, asker] = peers as [Peer, Peer, Peer];
		await Promise.all([stays.providerRecords.provide(content), leaves.providerRecords.provide(content)]);
		expect(await all(asker.providerRecords.find(content))).toEqual(ids([stays, leaves]));
		// Telling waits for no answer.
		await until(() => relays.every(({ load }) => load.provided >= 2));
		const before = relays.map(({ load }) => load.provided);
		await leaves.stop();
		await until(() => relays.every(({ load }, i) => load.provided < before[i]!));
		expect(await all(asker.providerRecords.find(content))).toEqual([stays.id]);
		await relays.shift()!.stop();
		expect(await all(asker.providerRecords.find(content))).toEqual([stays.id]);
	});

	test("cannot be left where no relay is", async () => {
		const alone = await createPeer({ identity: await createIdentity(), relays: [], agent: "test/1" });
		await expect(alone.providerRecords.provide(randomBytes(32))).rejects.toBeInstanceOf(PeerUnreachableError);
		expect(await all(alone.providerRecords.find(randomBytes(32)))).toEqual([]);
		await alone.stop();
	});
});

describe("the place where a relay keeps them", () => {
	const record = (content: string, peer: string) => new Key(`/dht/provider/${content}/${peer}`);
	const value = new Uint8Array([1]);

	function found(store: ProviderDatastore, prefix: string): string[] {
		return [...store.query({ prefix })].map(({ key }) => key.toString()).sort();
	}

	test("is bounded, for each peer and in all: the oldest go first", () => {
		const store = new ProviderDatastore({ records: 100, recordsOfPeer: 10, told: 32 });
		for (let i = 0; i < 50; i++) store.put(record(`c${i}`, "greedy"), value);
		expect(found(store, "")).toHaveLength(10);
		expect(store.has(record("c49", "greedy"))).toBe(true);
		expect(store.has(record("c39", "greedy"))).toBe(false);
		for (let i = 0; i < 200; i++) store.put(record("c", `p${i}`), value);
		expect(store.size).toBe(100);
		expect(store.has(record("c", "p199"))).toBe(true);
		expect(store.has(record("c", "p99"))).toBe(false);
		// A record that is renewed is young again.
		store.put(record("c", "p100"), value);
		store.put(record("c", "new"), value);
		expect(store.has(record("c", "p100"))).toBe(true);
		expect(store.has(record("c", "p101"))).toBe(false);
	});

	test("tells some of many providers, not always the same, and forgets a peer altogether", () => {
		const store = new ProviderDatastore({ records: 1_000, recordsOfPeer: 10, told: 32 });
		for (let i = 0; i < 200; i++) store.put(record("popular", `p${i}`), value);
		const [once, again] = [found(store, "/dht/provider/popular"), found(store, "/dht/provider/popular")];
		expect(once).toHaveLength(32);
		expect(new Set(once).size).toBe(32);
		expect(again).not.toEqual(once);
		for (let i = 0; i < 200; i++) if (i !== 7) store.forget(`p${i}`);
		expect(found(store, "/dht/provider/popular")).toEqual(["/dht/provider/popular/p7"]);
	});

	test("keeps nothing else that strangers send", () => {
		const store = new ProviderDatastore({ records: 10, recordsOfPeer: 10, told: 32 });
		for (const key of ["/dht/record/abc", "/dht/provider/only", "/other/provider/a/b/c", "/peers/x"])
			expect(() => store.put(new Key(key), value)).toThrow();
		expect(store.size).toBe(0);
	});
});
