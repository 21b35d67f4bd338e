import { fork } from "node:child_process";
import { once } from "node:events";
import { createCstore, createMemoryRecordStore } from "@tabmesh/cstore";
import { createIdentity, mintCapability, type PeerIdentity, privateRoomId } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { type Announcement, protocolVersion } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { announcementName, createDirectory, directoryPart } from "./createDirectory.ts";
import type { Directory } from "./directory.ts";

const self = (room: string, joined: number, streams = 0): Announcement => ({
	rooms: [room],
	majors: [protocolVersion.oldestMajor, protocolVersion.major],
	kind: "node",
	joined,
	lends: {
		numericsClass: "test/cpu",
		memoryBytes: 1e9,
		freeBytes: 1e9,
		bytesPerMs: 1e6,
		models: [],
		spans: [],
		streams,
	},
});

let relay: RelayPeer;
const running: { peer: Peer; directory: Directory }[] = [];
let clock = 0;
const now = () => Date.now() + clock;

async function join(
	room: string,
	more: { identity?: PeerIdentity; capability?: string; now?: () => number } = {},
) {
	const identity = more.identity ?? (await createIdentity());
	const peer = await createPeer({ identity, relays: relay.addresses, agent: "test/1" });
	const directory = await createDirectory({ peer, room, now, ...more, identity });
	running.push({ peer, directory });
	return { peer, identity, directory };
}

/** Resolves when the directory shows what `holds` looks for; the test's own time limit is the only clock. */
async function shows(directory: Directory, holds: (directory: Directory) => boolean): Promise<void> {
	while (!holds(directory)) {
		await new Promise((resolve) => directory.addEventListener("change", resolve));
	}
}

/** A member that can be frozen and killed. */
async function startMember(room: string) {
	const child = fork(new URL("./memberProcess.ts", import.meta.url), [relay.addresses[0]!, room]);
	const [id] = (await once(child, "message")) as [string];
	return { id, child };
}

const calledNobody = (peer: Peer) => peer.connections.every(({ path }) => path === "socket");

beforeAll(async () => {
	relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
});
afterAll(async () => {
	for (const { peer, directory } of running) {
		await directory.stop();
		await peer.stop();
	}
	await relay.stop();
});

test("everybody sees everybody, changes arrive, a newcomer knows the room at once, and leaving is heard", async () => {
	const room = "public";
	const [a, b] = await Promise.all([join(room), join(room)]);
	await Promise.all([a.directory.announce(self(room, 1)), b.directory.announce(self(room, 2))]);
	await Promise.all([
		shows(a.directory, (d) => d.member(b.peer.id)?.joined === 2),
		shows(b.directory, (d) => d.member(a.peer.id)?.joined === 1),
	]);
	expect(a.directory.members.map((member) => member.peer)).toEqual([a.peer.id, b.peer.id].sort());

	await b.directory.announce(self(room, 2, 5));
	await shows(a.directory, (d) => d.member(b.peer.id)?.lends?.streams === 5);

	const late = await join(room);
	expect(late.directory.member(a.peer.id)?.joined).toBe(1);
	expect(late.directory.member(b.peer.id)?.lends?.streams).toBe(5);
	await late.directory.announce(self(room, 3));
	await shows(a.directory, (d) => d.member(late.peer.id) !== undefined);

	await b.directory.leave();
	expect(b.directory.member(b.peer.id)).toBeUndefined();
	await shows(a.directory, (d) => d.member(b.peer.id) === undefined);
	expect((await join(room)).directory.members).toHaveLength(2);
	await b.directory.announce(self(room, 4));
	await shows(a.directory, (d) => d.member(b.peer.id)?.joined === 4);
	// Who stops is gone at once, too.
	await b.directory.stop();
	await shows(a.directory, (d) => d.member(b.peer.id) === undefined);
});

test("what changes is told at once after a clock was put back", async () => {
	let mine = 0;
	const early = await join("back", { now: () => Date.now() + mine });
	const other = await join("back");
	const streams = (count: number) => (directory: Directory) =>
		directory.member(early.identity.peer)?.lends?.streams === count;
	await early.directory.announce(self("back", 1, 1));
	await shows(other.directory, streams(1));
	mine = -60_000;
	await early.directory.announce(self("back", 1, 2));
	await shows(other.directory, streams(2));
});

test("looking at a swarm that comes, changes and goes makes nobody call anybody, and visitors say nothing", async () => {
	const room = "quiet";
	const lenders = await Promise.all([0, 1, 2].map(() => join(room)));
	const heard: string[] = [];
	const digests = new Set<string>();
	relay.addEventListener("message", ({ detail }) => {
		if (!detail.topic.includes(`/${room}/`)) return;
		heard.push(detail.author);
		// An announcement is larger.
		if (detail.bytes < 180) digests.add(detail.author);
	});
	await Promise.all(lenders.map(({ directory }, i) => directory.announce(self(room, i))));
	const visitors = await Promise.all([0, 1, 2].map(() => join(room)));
	const gone = lenders[2]!.peer;
	await lenders[2]!.directory.stop();
	await gone.stop();
	// Killed: nobody hears that it leaves.
	const killed = await join(room);
	await killed.directory.announce(self(room, 4));
	await Promise.all(
		visitors.map(({ directory }) => shows(directory, (d) => d.member(killed.peer.id)?.joined === 4)),
	);
	await killed.peer.stop();
	visitors.push(await join(room));
	digests.clear();
	// Until both who still lend have said what they keep, while that changes all the time.
	for (let streams = 1; !lenders.slice(0, 2).every(({ peer }) => digests.has(peer.id)); streams++) {
		await lenders[streams % 2]!.directory.announce(self(room, streams % 2, streams));
		await new Promise((resolve) => setTimeout(resolve, 300));
	}
	for (const { directory } of lenders.slice(0, 2)) await directory.announce(self(room, 5));
	visitors.push(await join(room), await join(room));
	// Longer than anybody waits before it compares.
	await new Promise((resolve) => setTimeout(resolve, 2_000));
	for (const { peer } of [...lenders.slice(0, 2), ...visitors]) expect(calledNobody(peer)).toBe(true);
	for (const { peer } of visitors) expect(heard).not.toContain(peer.id);
	expect(visitors.at(-1)!.directory.members.length).toBeGreaterThanOrEqual(2);
});

test.concurrent("who falls silent is forgotten, and we never forget ourselves", async () => {
	const room = "silence";
	const a = await join(room);
	await a.directory.announce(self(room, 1));
	const { id, child } = await startMember(room);
	await shows(a.directory, (d) => d.member(id) !== undefined);
	// Its relay knows nothing of it, and nobody is connected to it who could.
	child.kill("SIGSTOP");
	const running = setInterval(() => {
		clock += 5_000;
	}, 1_000);
	await shows(a.directory, (d) => d.member(id) === undefined);
	clearInterval(running);
	clock = 0;
	child.kill("SIGKILL");
	expect(a.directory.member(a.peer.id)).toBeDefined();
	// It was forgotten by us, not by the relay; a newcomer must not believe that it is here.
	const late = await join(room);
	await shows(late.directory, (d) => d.member(a.peer.id) !== undefined);
}, 40_000);

test.concurrent("who is killed is gone for all within moments: for whom it was connected to, and for whoever only looks", async () => {
	const room = "killed";
	// No time passes for these: silence alone would make nobody go.
	const started = Date.now();
	const still = { now: () => started };
	const [neighbour, visitor] = await Promise.all([join(room, still), join(room, still)]);
	const { id, child } = await startMember(room);
	await Promise.all([neighbour, visitor].map(({ directory }) => shows(directory, (d) => !!d.member(id))));
	await neighbour.peer.ping(id);
	child.kill("SIGKILL");
	await Promise.all([neighbour, visitor].map(({ directory }) => shows(directory, (d) => !d.member(id))));
	expect((await join(room)).directory.member(id)).toBeUndefined();
}, 40_000);

test.concurrent("who stands still is missed by its neighbours, and gone when its relay finds it so; it comes back by itself", async () => {
	const room = "frozen";
	const started = Date.now();
	const still = { now: () => started };
	const [neighbour, visitor] = await Promise.all([join(room, still), join(room, still)]);
	const { id, child } = await startMember(room);
	await Promise.all([neighbour, visitor].map(({ directory }) => shows(directory, (d) => !!d.member(id))));
	await neighbour.peer.ping(id);
	child.kill("SIGSTOP");
	await Promise.all([neighbour, visitor].map(({ directory }) => shows(directory, (d) => !d.member(id))));
	child.kill("SIGCONT");
	await Promise.all([neighbour, visitor].map(({ directory }) => shows(directory, (d) => !!d.member(id))));
	child.kill("SIGKILL");
}, 60_000);

test("after a sleep, however long, nobody is forgotten before he had the time to be heard again", async () => {
	const room = "sleep";
	const a = await join(room);
	const b = await join(room);
	await b.directory.announce(self(room, 2));
	await shows(a.directory, (d) => d.member(b.peer.id) !== undefined);
	for (const slept of [600_000, 24 * 3_600_000]) {
		clock = slept;
		// Longer than the next look for who has fallen silent.
		await new Promise((resolve) => setTimeout(resolve, 3_000));
		expect(a.directory.member(b.peer.id)).toBeDefined();
	}
	clock = 0;
});

test("an announcement for another room or malformed never shows up and costs its author score", async () => {
	const room = "strict";
	const a = await join(room);
	const b = await join(room);
	await b.directory.announce(self(room, 2));
	await shows(a.directory, (d) => d.member(b.peer.id) !== undefined);
	const identity = await createIdentity();
	const peer = await createPeer({ identity, relays: relay.addresses, agent: "test/1" });
	const store = await createCstore({
		peer,
		identity,
		room,
		part: directoryPart,
		presence: true,
		store: createMemoryRecordStore(),
	});
	const key = `peer/${peer.id}/${announcementName}`;
	for (const value of [self("other", 9), { rooms: [room] }]) {
		const before = a.peer.score(peer.id);
		await store.set(key, value);
		while (a.peer.score(peer.id) >= before) await new Promise((resolve) => setTimeout(resolve, 20));
	}
	// A true announcement behind the false ones: when it is here, the others have been through as well.
	await store.set(key, self(room, 7));
	await shows(a.directory, (d) => d.member(peer.id) !== undefined);
	expect(a.directory.member(peer.id)?.joined).toBe(7);
	expect(a.directory.members).toHaveLength(2);
	await store.stop();
	await peer.stop();
});

test("a private room shows its members, those that never met its owner as well, and lets nobody else in", async () => {
	const owner = await createIdentity();
	const room = privateRoomId("family", owner.publicKey);
	const capability = await mintCapability(owner, {
		room,
		actions: ["lend"],
		expires: Date.now() + 3_600_000,
	});
	await expect(join(room)).rejects.toMatchObject({ code: "Capability" });
	const host = await join(room, { identity: owner });
	const guest = await join(room, { capability });
	await guest.directory.announce(self(room, 1));
	await shows(host.directory, (d) => d.member(guest.peer.id)?.joined === 1);
	const late = await join(room, { capability });
	expect(late.directory.member(guest.peer.id)?.joined).toBe(1);
	await late.directory.announce(self(room, 2));
	await shows(guest.directory, (d) => d.member(late.peer.id)?.joined === 2);
});
