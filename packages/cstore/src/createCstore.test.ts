import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	createIdentity,
	mintCapability,
	privateRoomId,
	publicKeyFromPeerId,
	readCapability,
} from "@tabmesh/dauth";
import type { RelayPeer } from "@tabmesh/transport/relay";
import {
	AuthorQuotaError,
	CapabilityError,
	encodeCbor,
	InvalidParameterError,
	KeySpaceError,
	limits,
	MalformedMessageError,
	WriteQuorumError,
} from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cstoreProtocol } from "./exchange.ts";
import { stampOf } from "./hybridClock.ts";
import { type Cstore, cstoreTopic, openRecordStore } from "./index.ts";
import { placeTag, sealPayload } from "./record.ts";
import { TestRoom, until } from "./testRoom.ts";
import { encodeValue } from "./value.ts";

const room = new TestRoom();
let relay: RelayPeer;
let folder: string;

beforeAll(async () => {
	relay = await room.relay();
	folder = await mkdtemp(join(tmpdir(), "cstore-"));
});
afterAll(async () => {
	await room.stop();
	await rm(folder, { recursive: true });
});

const equal = (...stores: Cstore[]) =>
	stores.every(({ fingerprint }) => fingerprint === stores[0]!.fingerprint);

test("what one peer writes, the others read; a newcomer gets what was written before it came", async () => {
	const [a, b] = await Promise.all([room.join(relay.addresses), room.join(relay.addresses)]);
	await a.cstore.set("public/greeting", { hello: "world" });
	await b.cstore.hset("public/scores", "b", 2);
	await a.cstore.hset("public/scores", "a", new Uint8Array([1]));
	await a.cstore.set(`peer/${a.peer.id}/status`, "here");
	const large = new Uint8Array(60_000).fill(3);
	await a.cstore.set("room/public/large", large);
	const complete = (store: Cstore) =>
		store.get("public/greeting") !== undefined &&
		store.hgetall("public/scores").size === 2 &&
		store.get("room/public/large") !== undefined;
	await until(() => complete(a.cstore) && complete(b.cstore));
	expect(b.cstore.get("public/greeting")).toEqual({ hello: "world" });
	expect(b.cstore.get("room/public/large")).toEqual(large);
	expect([...b.cstore.hgetall("public/scores")]).toEqual([
		["a", new Uint8Array([1])],
		["b", 2],
	]);
	expect(b.cstore.entry(`peer/${a.peer.id}/status`)?.author).toBe(a.peer.id);
	expect(b.cstore.keys("public/")).toEqual(["public/greeting", "public/scores"]);

	const late = await room.join(relay.addresses);
	await until(() => equal(a.cstore, b.cstore, late.cstore));
	expect(late.cstore.get("public/greeting")).toEqual({ hello: "world" });

	// A later deletion wins everywhere, and a later value wins over it again.
	await late.cstore.delete("public/scores");
	await until(
		() => a.cstore.hgetall("public/scores").size === 0 && b.cstore.hgetall("public/scores").size === 0,
	);
	await b.cstore.hset("public/scores", "c", 3);
	await until(
		() => a.cstore.hget("public/scores", "c") === 3 && late.cstore.hget("public/scores", "c") === 3,
	);
	expect(a.cstore.hgetall("public/scores").size).toBe(1);
});

test("a transaction is seen whole, and watchers hear of it once", async () => {
	const [a, b] = await Promise.all([
		room.join(relay.addresses, { room: "whole" }),
		room.join(relay.addresses, { room: "whole" }),
	]);
	const heard: string[][] = [];
	const stop = b.cstore.watch("public/", (changes) => {
		heard.push(changes.map(({ key }) => key));
		expect(b.cstore.get("public/from")).toBe(90);
		expect(b.cstore.get("public/to")).toBe(110);
	});
	await until(() => b.cstore.peers.includes(a.peer.id) && a.cstore.peers.includes(b.peer.id));
	await a.cstore.transaction((t) => {
		t.set("public/from", 90);
		t.set("public/to", 110);
		t.hset("room/whole/log", "1", "moved 10");
	});
	await until(() => heard.length > 0);
	expect(heard).toEqual([["public/from", "public/to"]]);
	stop();
	await expect(a.cstore.transaction(() => {})).rejects.toBeInstanceOf(InvalidParameterError);
	await expect(
		a.cstore.transaction((t) => {
			t.set("public/x", 1);
			t.set("public/x", 2);
		}),
	).rejects.toBeInstanceOf(InvalidParameterError);
	expect(a.cstore.get("public/x")).toBeUndefined();
});

test("two halves that could not hear each other agree after they meet, having moved little more than what differed", async () => {
	const other = await room.relay();
	const door = await room.door(relay);
	const left = await Promise.all([0, 1].map(() => room.join(relay.addresses, { room: "split" })));
	const right = await Promise.all(
		[0, 1].map(() => room.join([...other.addresses, door.address], { room: "split" })),
	);
	const all = [...left, ...right].map(({ cstore }) => cstore);
	const payload = "x".repeat(100);
	for (const [i, { cstore, peer }] of [...left, ...right].entries()) {
		for (let n = 0; n < 25; n++) await cstore.set(`peer/${peer.id}/${n}`, payload);
		await cstore.set("public/contested", i);
		if (i === 3) await cstore.delete("public/contested");
	}
	await until(() => equal(all[0]!, all[1]!) && equal(all[2]!, all[3]!));
	expect(equal(...all)).toBe(false);
	const before = all.map(({ traffic }) => traffic.repairSentBytes);
	door.open();
	await until(() => equal(...all));
	expect(all.map((cstore) => cstore.get("public/contested"))).toEqual([
		undefined,
		undefined,
		undefined,
		undefined,
	]);
	expect(all[0]!.get(`peer/${right[1]!.peer.id}/24`)).toBe(payload);
	// Each of the four lacked about 51 records of some 330 bytes.
	const moved = all.reduce((sum, { traffic }, i) => sum + traffic.repairSentBytes - before[i]!, 0);
	expect(moved).toBeGreaterThan(4 * 50 * 200);
	expect(moved).toBeLessThan(3 * 4 * 51 * 330);
});

test("entries that are forged, from the future or for another room are taken by nobody, by gossip or by stream", async () => {
	const honest = await room.join(relay.addresses, { room: "strict" });
	const { peer, identity } = await room.peer(relay.addresses);
	const victim = await createIdentity();
	const now = stampOf(Date.now());
	const seal = (key: string, stamp: number, tag = placeTag("strict"), who = identity) =>
		sealPayload(who, stamp, [tag, [[2, key, encodeValue(1)]]]);
	const flipped = (await seal("flipped", now)).slice();
	flipped[flipped.length - 1]! ^= 1;
	const bad = [
		flipped,
		await seal("tomorrow", now + stampOf(24 * 3_600_000)),
		await seal("elsewhere", now, placeTag("elsewhere")),
		await seal("stolen", now, placeTag("strict"), { ...identity, publicKey: victim.publicKey }),
		await sealPayload(identity, now, [placeTag("strict"), [[1, "bad name", encodeValue(1)]]]),
		new Uint8Array(50),
	];
	// The liar publishes through the relay, which checks signatures itself, and by streams, where nobody stands between.
	const topic = peer.topic(cstoreTopic("strict"), {
		maxMessageBytes: limits.envelopeBytes,
		onMessage: () => {},
	});
	for (const envelope of bad.slice(1, 3)) await topic.publish(envelope).catch(() => {});
	for (const envelope of bad) {
		const stream = await peer.open(honest.peer.id, cstoreProtocol);
		await stream.send(encodeCbor({ type: "open", room: "strict" }));
		await stream.send(encodeCbor({ type: "give", records: [[envelope, []]] }));
		await stream.close();
		const answers: Uint8Array[] = [];
		try {
			for await (const answer of stream) answers.push(answer);
		} catch {}
		stream.abort(new Error("done"));
		if (honest.peer.score(peer.id) < -80) break;
	}
	// A true one behind them: when it is here, the others have been through.
	const truth = await room.join(relay.addresses, { room: "strict" });
	await truth.cstore.set("public/true", 1);
	await until(() => honest.cstore.get("public/true") === 1);
	expect(honest.cstore.keys("")).toEqual(["public/true"]);
	expect(honest.peer.score(peer.id)).toBeLessThan(0);
	await expect(honest.cstore.set(`peer/${victim.peer}/x`, 1)).rejects.toBeInstanceOf(KeySpaceError);
});

test("a stranger's word makes nobody gone, in its own name or forged in that of a relay", async () => {
	// Whoever looks calls nobody, and has to believe what it hears.
	const words = { room: "words", presence: true };
	const [watcher, there, stranger] = await Promise.all(
		[0, 1, 2].map(() => room.join(relay.addresses, words)),
	);
	await there!.cstore.set(`peer/${there!.peer.id}/there`, 1);
	await until(() => watcher!.cstore.peers.includes(there!.peer.id));
	const liar = await room.peer(relay.addresses);
	const topic = liar.peer.topic(cstoreTopic("words"), {
		maxMessageBytes: limits.envelopeBytes,
		onMessage: () => {},
	});
	const lie = [placeTag("words"), there!.identity.publicKey, Number.MAX_SAFE_INTEGER];
	const now = stampOf(Date.now());
	const publicKey = publicKeyFromPeerId(relay.id);
	await topic.publish(await sealPayload({ ...liar.identity, publicKey }, now, lie));
	await topic.publish(await sealPayload(liar.identity, now, lie));
	await stranger!.cstore.set("public/after", 1);
	await until(() => watcher!.cstore.get("public/after") === 1);
	expect(watcher!.cstore.peers).toContain(there!.peer.id);
});

test("a write with a quorum resolves with the signatures of distinct peers, or says who answered", async () => {
	const [a, b, c] = await Promise.all([0, 1, 2].map(() => room.join(relay.addresses, { room: "quorum" })));
	await until(() => a!.cstore.peers.length === 2);
	const { acks } = await a!.cstore.set("public/agreed", 1, { acks: 2 });
	expect(acks.map(({ peer }) => peer).sort()).toEqual([b!.peer.id, c!.peer.id].sort());
	expect(b!.cstore.get("public/agreed")).toBe(1);
	await c!.cstore.stop();
	const failure = await a!.cstore
		.set("public/agreed", 2, { acks: 2, timeoutMs: 3_000 })
		.catch((error) => error);
	expect(failure).toBeInstanceOf(WriteQuorumError);
	expect(failure.answered).toEqual([b!.peer.id]);
	expect(a!.cstore.get("public/agreed")).toBe(2);
});

test("an author's quota stops its own writes with numbers, and what goes beyond it is kept by nobody", async () => {
	const quota = { bytes: 20_000, records: 10 };
	const a = await room.join(relay.addresses, { room: "small", quota });
	for (let n = 0; n < 10; n++) await a.cstore.set(`public/${n}`, n);
	await expect(a.cstore.set("public/more", 1)).rejects.toBeInstanceOf(AuthorQuotaError);
	// Writing anew what is there needs no more room.
	await a.cstore.set("public/3", "again");
	await expect(a.cstore.set("public/4", new Uint8Array(30_000))).rejects.toBeInstanceOf(AuthorQuotaError);
	// A peer that gives itself more is cut down by the others to its newest.
	const greedy = await room.join(relay.addresses, { room: "small", quota: { bytes: 1e9, records: 1e9 } });
	for (let n = 0; n < 30; n++) await greedy.cstore.set(`peer/${greedy.peer.id}/${n}`, n);
	await until(() => a.cstore.get(`peer/${greedy.peer.id}/29`) === 29);
	expect(a.cstore.keys(`peer/${greedy.peer.id}/`)).toHaveLength(10);
	expect(a.cstore.get(`peer/${greedy.peer.id}/0`)).toBeUndefined();
	await greedy.cstore.stop();
});

test("a private room is its members': others can neither write nor compare, and members need not meet the owner", async () => {
	const owner = await createIdentity();
	const id = privateRoomId("family", owner.publicKey);
	const expires = Date.now() + 3_600_000;
	const capability = await mintCapability(owner, { room: id, actions: ["ask"], expires });
	await expect(room.join(relay.addresses, { room: id })).rejects.toBeInstanceOf(CapabilityError);
	const host = await room.join(relay.addresses, { room: id, identity: owner });
	const guest = await room.join(relay.addresses, { room: id, capability });
	await guest.cstore.set(`room/${id}/milk`, true);
	await until(() => host.cstore.get(`room/${id}/milk`) === true);
	const second = await room.join(relay.addresses, { room: id, capability });
	await until(() => second.cstore.get(`room/${id}/milk`) === true);
	// A stranger that knows the room's name: signed and well-formed, and still taken by nobody.
	const { peer, identity } = await room.peer(relay.addresses);
	const stream = await peer.open(host.peer.id, cstoreProtocol);
	await stream.send(encodeCbor({ type: "open", room: id }));
	expect(await stream.closed).toBeInstanceOf(CapabilityError);
	const topic = peer.topic(cstoreTopic(id), { maxMessageBytes: limits.envelopeBytes, onMessage: () => {} });
	const entry = [[1, "milk", encodeValue(false)]];
	await topic.publish(await sealPayload(identity, stampOf(Date.now()), [placeTag(id), entry]));
	await guest.cstore.set(`room/${id}/after`, true);
	await until(
		() => host.cstore.get(`room/${id}/after`) === true && second.cstore.get(`room/${id}/after`) === true,
	);
	expect(host.cstore.get(`room/${id}/milk`)).toBe(true);
	expect(second.cstore.keys("room/")).toHaveLength(2);
});

test("who is shown the door leaves nothing behind, and a copy of an old invitation takes nobody's place away", async () => {
	const owner = await createIdentity();
	const id = privateRoomId("club", owner.publicKey);
	const grant = { room: id, actions: ["ask"], expires: Date.now() + 3_600_000 };
	const out = new Set<string>();
	const revoked = (link: string) => out.has(link);
	const host = await room.join(relay.addresses, { room: id, identity: owner, revoked });
	const guest = await room.join(relay.addresses, {
		room: id,
		capability: await mintCapability(owner, grant),
	});
	await guest.cstore.set("public/a", 1);
	await until(() => host.cstore.get("public/a") === 1);
	// Unsigned, in the guest's name: a capability that is long over.
	const stale = await mintCapability(owner, { ...grant, expires: 1000, to: guest.peer.id });
	const { peer, identity } = await room.peer(relay.addresses);
	const entry = [[0, "@capability", encodeValue(stale)]];
	const forger = { ...identity, publicKey: guest.identity.publicKey };
	const topic = peer.topic(cstoreTopic(id), { maxMessageBytes: limits.envelopeBytes, onMessage: () => {} });
	await topic
		.publish(await sealPayload(forger, stampOf(Date.now() + 60_000), [placeTag(id), entry]))
		.catch(() => {});
	await guest.cstore.set("public/a", 2);
	await until(() => host.cstore.get("public/a") === 2);

	const token = host.cstore.get(`peer/${guest.peer.id}/@capability`) as string;
	for (const link of (await readCapability(token)).ids) out.add(link);
	await guest.cstore.set("public/b", 3);
	await host.cstore.repair(guest.peer.id).catch(() => {});
	expect(host.cstore.keys("")).toEqual([]);
	expect(host.cstore.get("public/b")).toBeUndefined();
});

test("what was written is there after a restart, deletions too; what is over is not, and is accepted no more", async () => {
	const file = join(folder, "state.sqlite");
	const identity = await createIdentity();
	let clock = 0;
	const retentionMs = 1_000_000;
	const now = () => Date.now() + clock;
	const start = async () => {
		const store = await openRecordStore({ file });
		const joined = await room.join(relay.addresses, { room: "kept", identity, store, now, retentionMs });
		return { ...joined, store };
	};
	const first = await start();
	await first.cstore.set("public/kept", [1, 2, 3]);
	await first.cstore.set("public/gone", 1);
	await first.cstore.set("public/large", new Uint8Array(50_000).fill(9));
	await first.cstore.delete("public/gone");
	const { fingerprint, size } = first.cstore;
	expect(size).toBe(3);
	await first.cstore.stop();
	await first.store.close();
	await first.peer.stop();

	const second = await start();
	expect(second.cstore.fingerprint).toBe(fingerprint);
	expect(second.cstore.get("public/kept")).toEqual([1, 2, 3]);
	expect(second.cstore.get("public/large")).toEqual(new Uint8Array(50_000).fill(9));
	expect(second.cstore.get("public/gone")).toBeUndefined();
	const { stamp } = await second.cstore.set("public/kept", [4]);
	await second.cstore.stop();
	await second.store.close();
	await second.peer.stop();

	clock = retentionMs * 1.2;
	const third = await start();
	expect(third.cstore.size).toBe(0);
	// An old copy of it comes along, after the deletion was forgotten.
	const { peer } = await room.peer(relay.addresses);
	const old = await sealPayload(identity, stamp, [placeTag("kept"), [[2, "gone", encodeValue(1)]]]);
	const stream = await peer.open(third.peer.id, cstoreProtocol);
	await stream.send(encodeCbor({ type: "open", room: "kept" }));
	await stream.send(encodeCbor({ type: "give", records: [[old, []]] }));
	for await (const _ of stream) break;
	stream.abort(new Error("done"));
	expect(third.cstore.get("public/gone")).toBeUndefined();
	expect(third.cstore.size).toBe(0);
	await third.cstore.stop();
	await third.store.close();
});

test("a request that is no request costs its sender score, and a store that cannot be opened says so", async () => {
	const host = await room.join(relay.addresses, { room: "fuzzed" });
	const { peer } = await room.peer(relay.addresses);
	const stream = await peer.open(host.peer.id, cstoreProtocol);
	await stream.send(encodeCbor({ type: "open", room: "fuzzed" }));
	await stream.send(new Uint8Array([1, 2, 3]));
	expect(await stream.closed).toBeInstanceOf(MalformedMessageError);
	expect(host.peer.score(peer.id)).toBeLessThan(0);
	const elsewhere = await peer.open(host.peer.id, cstoreProtocol);
	await elsewhere.send(encodeCbor({ type: "open", room: "unknown" }));
	expect(await elsewhere.closed).toBeInstanceOf(KeySpaceError);

	const store = await openRecordStore({ file: join("/dev/null", "x", "state.sqlite") });
	expect(store.degraded).toMatch(/memory/);
	const degraded = await room.join(relay.addresses, { room: "memory", store });
	await degraded.cstore.set("public/a", 1);
	expect(degraded.cstore.degraded).toBe(store.degraded);
	expect(degraded.cstore.get("public/a")).toBe(1);
});
