import { createEnvelopeSigner, createEnvelopeVerifier, createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { type Announcement, encodeCbor, protocolVersion } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { announceTopic, createDirectory } from "./createDirectory.ts";
import type { Directory } from "./directory.ts";

const room = "public";
const self = (joined: number, streams = 0): Announcement => ({
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

async function join(inRoom = room) {
	const identity = await createIdentity();
	const peer = await createPeer({ identity, relays: relay.addresses, agent: "test/1" });
	const signer = createEnvelopeSigner(identity);
	const directory = await createDirectory({
		peer,
		signer,
		verifier: createEnvelopeVerifier(),
		room: inRoom,
		now: () => Date.now() + clock,
	});
	running.push({ peer, directory });
	return { peer, signer, directory };
}

/** Resolves when the directory shows what `holds` looks for; the test's own time limit is the only clock. */
async function shows(directory: Directory, holds: (directory: Directory) => boolean): Promise<void> {
	while (!holds(directory)) {
		await new Promise((resolve) => directory.addEventListener("change", resolve));
	}
}

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
	const [a, b] = await Promise.all([join(), join()]);
	await Promise.all([a.directory.announce(self(1)), b.directory.announce(self(2))]);
	await Promise.all([
		shows(a.directory, (d) => d.member(b.peer.id)?.joined === 2),
		shows(b.directory, (d) => d.member(a.peer.id)?.joined === 1),
	]);
	expect(a.directory.members.map((member) => member.peer)).toEqual([a.peer.id, b.peer.id].sort());

	await b.directory.announce(self(2, 5));
	await shows(a.directory, (d) => d.member(b.peer.id)?.lends?.streams === 5);

	const late = await join();
	expect(late.directory.member(a.peer.id)?.joined).toBe(1);
	await late.directory.announce(self(3));
	await shows(a.directory, (d) => d.member(late.peer.id) !== undefined);

	await b.directory.leave();
	await shows(a.directory, (d) => d.member(b.peer.id) === undefined);
	expect(b.directory.member(b.peer.id)).toBeUndefined();
});

test("who falls silent is forgotten, and we never forget ourselves", async () => {
	const a = await join("silence");
	const b = await join("silence");
	await a.directory.announce({ ...self(1), rooms: ["silence"] });
	await b.directory.announce({ ...self(2), rooms: ["silence"] });
	await shows(a.directory, (d) => d.member(b.peer.id) !== undefined);
	const running = setInterval(() => {
		clock += 5_000;
	}, 1_000);
	await shows(a.directory, (d) => d.member(b.peer.id) === undefined);
	clearInterval(running);
	clock = 0;
	expect(a.directory.member(a.peer.id)).toBeDefined();
}, 30_000);

test("after a sleep nobody is forgotten before he had the time to be heard again", async () => {
	const a = await join("sleep");
	const b = await join("sleep");
	await b.directory.announce({ ...self(2), rooms: ["sleep"] });
	await shows(a.directory, (d) => d.member(b.peer.id) !== undefined);
	clock = 600_000;
	// Longer than the next look for what has expired.
	await new Promise((resolve) => setTimeout(resolve, 3_000));
	expect(a.directory.member(b.peer.id)).toBeDefined();
	clock = 0;
});

test("an announcement for another room, forged or malformed, never shows up and costs its sender score", async () => {
	const a = await join("strict");
	const b = await join("strict");
	const liar = await join("other");
	await b.directory.announce({ ...self(2), rooms: ["strict"] });
	await shows(a.directory, (d) => d.member(b.peer.id) !== undefined);
	const topic = liar.peer.topic(announceTopic("strict"), { maxMessageBytes: 16_384, onMessage: () => {} });
	const genuine = await liar.signer.seal("announcement", encodeCbor({ ...self(9), rooms: ["other"] }));
	const forged = (
		await liar.signer.seal("announcement", encodeCbor({ ...self(9), rooms: ["strict"] }))
	).slice();
	forged[forged.length - 1]! ^= 1;
	const shapeless = await liar.signer.seal("announcement", encodeCbor({ rooms: ["strict"] }));
	for (const message of [genuine, forged, shapeless, new Uint8Array(40)])
		await topic.publish(message).catch(() => {});
	// A true announcement behind the false ones: when it is here, the others have been through as well.
	await topic.publish(await liar.signer.seal("announcement", encodeCbor({ ...self(7), rooms: ["strict"] })));
	await shows(a.directory, (d) => d.member(liar.peer.id) !== undefined);
	expect(a.directory.member(liar.peer.id)?.joined).toBe(7);
	expect(a.directory.members).toHaveLength(2);
});
