import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type Cstore, createCstore, openRecordStore } from "@tabmesh/cstore";
import { createEnvelopeVerifier, createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { note, print } from "./src/report.ts";

// What it costs to bring two halves of a room together again: each half has a relay of its own and half of the peers,
// and for the right half the way to the left one's relay is cut. Both halves write, partly to the same keys, then the
// way is opened. `repair_bytes_ratio` is all that was said to repair (comparisons, records, and every digest that a peer
// heard) over the size of the records that the peers lacked at that moment and have at the end.
const peersWanted = Number(process.env.BENCH_PEERS ?? 50);
const writesWanted = Number(process.env.BENCH_WRITES ?? 5_000);
/** Keys that everybody writes, so that halves contradict each other. */
const contestedKeys = 200;
/** How long the halves may take to agree, each by itself and then together, before the bench says that they did not. */
const patienceMs = 300_000;
const room = "public";
/** A status of a peer, as `directory` would share it. */
const valueBytes = 100;

async function startRelay(): Promise<RelayPeer> {
	const verifier = createEnvelopeVerifier({ order: "any" });
	return createRelayPeer({
		identity: await createIdentity(),
		agent: "bench/1",
		originOf: (_topic, message) => verifier.open(message, "cstore"),
	});
}

/** A TCP port before a relay that lets nobody through until it is opened. */
async function cutWay(relay: RelayPeer) {
	let cut = true;
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
		inside.pipe(outside).pipe(inside);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		address: relay.addresses[0]!.replace(`/tcp/${relay.port}/`, `/tcp/${port}/`),
		open: () => {
			cut = false;
		},
	};
}

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
		await new Promise((resolve) => setTimeout(resolve, 100));
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

const [leftRelay, rightRelay] = [await startRelay(), await startRelay()];
const way = await cutWay(leftRelay);
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
	if (n % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 20));
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
let lackedBytes = 0;
for (const { peer, cstore } of all) {
	for (const { id, wireBytes } of cstore.records())
		if (!before.get(peer.id)!.has(id)) lackedBytes += wireBytes;
}

print(
	{
		bench: "cstore",
		figures: { diverged, repair_bytes_ratio: (repairBytes + digestBytes) / lackedBytes },
		details: {
			peers: peersWanted,
			writes: writesWanted,
			records: all[0]!.cstore.size,
			lackedBytes,
			repairBytes,
			digestBytes,
			writeSeconds,
			settleSeconds,
			healSeconds,
		},
	},
	{ diverged: "0", repair_bytes_ratio: "≤ 3" },
);
for (const { cstore, peer } of all) {
	await cstore.stop();
	await peer.stop();
}
process.exit(0);
