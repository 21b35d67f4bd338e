import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type Cstore, createCstore, openRecordStore } from "@tabmesh/cstore";
import { createIdentity } from "@tabmesh/dauth";
import { createDirectory, type Directory } from "@tabmesh/directory";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { type Announcement, protocolVersion } from "@tabmesh/wire";
import { note, print, type Report } from "./src/report.ts";

// What shared state costs, in two parts (BENCH_PARTS=repair,presence).
//
// repair: what it costs to bring two halves of a room together again: each half has a relay of its own and half of the peers,
// and for the right half the way to the left one's relay is cut. Both halves write, partly to the same keys, then the
// way is opened. `repair_bytes_ratio` is all that was said to repair (comparisons, records, and every digest that a peer
// heard) over the size of the records that the peers lacked at that moment and have at the end.
//
// presence: what it costs to know who is there. Peers that lend announce themselves in one room behind one relay; when all
// see all, they are left alone. `announcement_bytes` is the mean size of what they then say (a signed envelope),
// `bytes_per_peer_s` all that comes to one of them through its socket, whatever it is: TCP's payload.
const parts = (process.env.BENCH_PARTS ?? "repair,presence").split(",");
const peersWanted = Number(process.env.BENCH_PEERS ?? 50);
const writesWanted = Number(process.env.BENCH_WRITES ?? 5_000);
/** Keys that everybody writes, so that halves contradict each other. */
const contestedKeys = 200;
/** How long the halves may take to agree, each by itself and then together, before the bench says that they did not. */
const patienceMs = 300_000;
const lendersWanted = Number(process.env.BENCH_LENDERS ?? 100);
/** Every peer says at least once in this time that it is here. */
const steadySeconds = Number(process.env.BENCH_SECONDS ?? 60);
/** What is left of joining when all see all. */
const restMs = 5_000;
const room = "public";
/** A status of a peer, as `directory` would share it. */
const valueBytes = 100;

async function startRelay(): Promise<RelayPeer> {
	return createRelayPeer({ identity: await createIdentity(), agent: "bench/1" });
}

/** A TCP port before a relay that lets nobody through until it is opened, and counts what comes out of it. */
async function openWay(relay: RelayPeer) {
	let cut = true;
	let outBytes = 0;
	const server = createServer((inside) => {
		inside.on("error", () => {});
		if (cut) {
			inside.destroy();
			return;
		}
		const outside: Socket = connect(relay.port, "127.0.0.1");
		outside.on("error", () => inside.destroy());
		inside.on("close", () => outside.destroy());
		outside.on("close", () => inside.destroy());
		outside.on("data", (piece) => {
			outBytes += piece.byteLength;
		});
		inside.pipe(outside).pipe(inside);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		address: relay.addresses[0]!.replace(`/tcp/${relay.port}/`, `/tcp/${port}/`),
		open: () => {
			cut = false;
		},
		get outBytes() {
			return outBytes;
		},
	};
}

type Measured = Pick<Report, "figures" | "details">;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Member {
	peer: Peer;
	cstore: Cstore;
}

async function join(relays: readonly string[]): Promise<Member> {
	const identity = await createIdentity();
	const peer = await createPeer({ identity, relays, agent: "bench/1" });
	return { peer, cstore: await createCstore({ peer, identity, room, store: await openRecordStore() }) };
}

/** Different states among these members. */
const states = (members: readonly Member[]) => new Set(members.map(({ cstore }) => cstore.fingerprint)).size;

async function untilAgreed(members: readonly (readonly Member[])[]): Promise<number> {
	const start = performance.now();
	while (members.some((half) => states(half) > 1) && performance.now() - start < patienceMs) {
		await pause(100);
	}
	return (performance.now() - start) / 1000;
}

// A generator of its own, so that every run writes the same (Marsaglia's xorshift32).
let seed = 0x2545f491;
function random(below: number): number {
	seed ^= seed << 13;
	seed ^= seed >>> 17;
	seed ^= seed << 5;
	return (seed >>> 0) % below;
}

async function measureRepair(): Promise<Measured> {
	const [leftRelay, rightRelay] = [await startRelay(), await startRelay()];
	const way = await openWay(leftRelay);
	const left: Member[] = [];
	const right: Member[] = [];
	for (let i = 0; i < peersWanted; i++) {
		if (i % 2 === 0) left.push(await join(leftRelay.addresses));
		else right.push(await join([...rightRelay.addresses, way.address]));
		if ((i + 1) % 10 === 0) note(`${i + 1} of ${peersWanted} peers joined`);
	}
	const all = [...left, ...right];

	const writing = performance.now();
	const value = () => Uint8Array.from({ length: valueBytes }, () => random(256));
	for (let n = 0; n < writesWanted; n++) {
		const { peer, cstore } = all[n % all.length]!;
		// Half to keys of their own, most of them new, half to keys that all write; one in twenty deletes.
		if (n % 20 === 19) await cstore.delete(`public/${random(contestedKeys)}`);
		else if (random(2) === 0) await cstore.set(`peer/${peer.id}/${random(1_000)}`, value());
		else await cstore.set(`public/${random(contestedKeys)}`, value());
		if (n % 50 === 49) await pause(20);
		if ((n + 1) % 1_000 === 0) note(`${n + 1} of ${writesWanted} writes`);
	}
	const writeSeconds = (performance.now() - writing) / 1000;
	const settleSeconds = await untilAgreed([left, right]);
	note(`halves agree after ${settleSeconds.toFixed(1)} s: ${states(left)} and ${states(right)} states`);

	const traffic = (kind: "repairSentBytes" | "gossipReceivedBytes") =>
		all.reduce((sum, { cstore }) => sum + cstore.traffic[kind], 0);
	const before = new Map(
		all.map(({ peer, cstore }) => [peer.id, new Set(cstore.records().map(({ id }) => id))]),
	);
	const repairBefore = traffic("repairSentBytes");
	const gossipBefore = traffic("gossipReceivedBytes");
	way.open();
	const healSeconds = await untilAgreed([all]);
	const diverged = states(all) - 1;
	const repairBytes = traffic("repairSentBytes") - repairBefore;
	const digestBytes = traffic("gossipReceivedBytes") - gossipBefore;
	const records = all[0]!.cstore.size;
	let lackedBytes = 0;
	for (const { peer, cstore } of all) {
		for (const { id, wireBytes } of cstore.records())
			if (!before.get(peer.id)!.has(id)) lackedBytes += wireBytes;
	}
	for (const { cstore, peer } of all) {
		await cstore.stop();
		await peer.stop();
	}
	return {
		figures: { diverged, repair_bytes_ratio: (repairBytes + digestBytes) / lackedBytes },
		details: {
			peers: peersWanted,
			writes: writesWanted,
			records,
			lackedBytes,
			repairBytes,
			digestBytes,
			writeSeconds,
			settleSeconds,
			healSeconds,
		},
	};
}

/** What a peer that holds a third of a model says of itself. */
const lending = (): Announcement => ({
	rooms: [room],
	majors: [protocolVersion.oldestMajor, protocolVersion.major],
	kind: "page",
	joined: Date.now(),
	lends: {
		numericsClass: "ort1.30/wasm/x64/f32/f32",
		memoryBytes: 2e9,
		freeBytes: 1_234_567_890,
		bytesPerMs: 23_456_789.123,
		models: [model],
		spans: [{ model, from: 7, to: 15, embed: false, head: false, ready: true, msPerToken: 41.73 }],
		streams: 0,
	},
});
const model = `b${"a".repeat(58)}`;

async function measurePresence(): Promise<Measured> {
	const relay = await startRelay();
	const way = await openWay(relay);
	way.open();
	const joined: { peer: Peer; directory: Directory }[] = [];
	const start = performance.now();
	for (let i = 0; i < lendersWanted; i++) {
		const identity = await createIdentity();
		const peer = await createPeer({ identity, relays: [way.address], agent: "bench/1" });
		const directory = await createDirectory({ peer, identity, room });
		await directory.announce(lending());
		joined.push({ peer, directory });
		if ((i + 1) % 20 === 0) note(`${i + 1} of ${lendersWanted} lenders joined`);
	}
	const seeAll = () => joined.every(({ directory }) => directory.members.length === lendersWanted);
	while (!seeAll() && performance.now() - start < patienceMs) await pause(100);
	const meetSeconds = (performance.now() - start) / 1000;
	await pause(restMs);
	const said: number[] = [];
	relay.addEventListener("message", ({ detail }) => said.push(detail.bytes));
	const before = way.outBytes;
	let seeingAll = true;
	for (let second = 0; second < steadySeconds; second++) {
		await pause(1_000);
		seeingAll &&= seeAll();
	}
	const bytes = way.outBytes - before;
	const called = joined.filter(({ peer }) => peer.connections.some(({ path }) => path !== "socket")).length;
	// The largest thing that is ever said: an announcement, at a change and every six minutes.
	const steady = [...said];
	await joined[0]!.directory.announce({ ...lending(), kind: "node" });
	while (said.length === steady.length) await pause(10);
	const announcedBytes = Math.max(...said.slice(steady.length));
	for (const { peer, directory } of joined) {
		await directory.stop();
		await peer.stop();
	}
	return {
		figures: {
			announcement_bytes: steady.reduce((sum, size) => sum + size, 0) / steady.length,
			bytes_per_peer_s: bytes / lendersWanted / steadySeconds,
		},
		details: {
			lenders: lendersWanted,
			steadySeconds,
			meetSeconds,
			seeingAll,
			messages: steady.length,
			changedAnnouncementBytes: announcedBytes,
			peersThatCalledOthers: called,
		},
	};
}

const measured: Measured[] = [];
if (parts.includes("repair")) measured.push(await measureRepair());
if (parts.includes("presence")) measured.push(await measurePresence());
print(
	{
		bench: "cstore",
		figures: Object.assign({}, ...measured.map(({ figures }) => figures)),
		details: Object.assign({}, ...measured.map(({ details }) => details)),
	},
	{ diverged: "0", repair_bytes_ratio: "≤ 3", announcement_bytes: "≤ 200", bytes_per_peer_s: "≤ 2,000" },
);
process.exit(0);
