import { readFile } from "node:fs/promises";
import { createIdentity } from "@tabmesh/dauth";
import { createDirectory, type Directory } from "@tabmesh/directory";
import { createPeer, type Peer } from "@tabmesh/transport";
import { protocolVersion } from "@tabmesh/wire";
import { startNetwork } from "./src/network.ts";
import { note, print } from "./src/report.ts";

// What a relay costs its operator: its process's memory with 100 Node peers joined behind one address, all of whom
// announce themselves and see each other.
const peersWanted = 100;
/** Time that the room is left alone before memory is read: several digests of everybody. */
const settleMs = 30_000;

const network = await startNetwork("--model", "stories15m");
const { relays } = (await (await fetch(`${network.url}/tabmesh.json`)).json()) as { relays: string[] };

async function residentMegabytes(field: "VmRSS" | "VmHWM"): Promise<number> {
	const status = await readFile(`/proc/${network.pid}/status`, "utf8");
	return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]) / 1024;
}

const joined: { peer: Peer; directory: Directory }[] = [];
const idleMb = await residentMegabytes("VmRSS");
const start = performance.now();
for (let i = 0; i < peersWanted; i++) {
	const identity = await createIdentity();
	const peer = await createPeer({ identity, relays, agent: "bench/1" });
	const directory = await createDirectory({ peer, identity, room: "public" });
	await directory.announce({
		rooms: ["public"],
		majors: [protocolVersion.oldestMajor, protocolVersion.major],
		kind: "node",
		joined: Date.now(),
		lends: {
			numericsClass: "bench/cpu/x64/f32/f32",
			memoryBytes: 1e9,
			freeBytes: 1e9,
			bytesPerMs: 1e6,
			models: [],
			spans: [],
			streams: 0,
		},
	});
	joined.push({ peer, directory });
	if ((i + 1) % 20 === 0) note(`${i + 1} of ${peersWanted} peers joined`);
}
const joinSeconds = (performance.now() - start) / 1000;
const seesAll = () => joined.filter(({ directory }) => directory.members.length >= peersWanted).length;
while (seesAll() < peersWanted) {
	await new Promise((resolve) => setTimeout(resolve, 100));
	if (performance.now() - start > 180_000) break;
}
const meetSeconds = (performance.now() - start) / 1000;
note(`${seesAll()} of ${peersWanted} see everybody after ${meetSeconds.toFixed(1)} s`);
await new Promise((resolve) => setTimeout(resolve, settleMs));
const relayMb = await residentMegabytes("VmRSS");

print(
	{
		bench: "relay",
		figures: { relay_mb: relayMb, peers_seeing_all: seesAll() },
		details: {
			idleMb,
			peakMb: await residentMegabytes("VmHWM"),
			joinSeconds,
			meetSeconds,
			peers: peersWanted,
		},
	},
	{ relay_mb: "≤ 200", peers_seeing_all: String(peersWanted) },
);
for (const { peer } of joined) await peer.stop();
await network.stop();
process.exit(0);
