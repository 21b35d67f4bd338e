import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPeer, type Peer, type StreamProtocol } from "./index.ts";
import { createRelayPeer, type RelayPeer } from "./relay.ts";

const echo: StreamProtocol = { id: "/tabmesh/echo/1", maxMessageBytes: 1 << 20 };
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (said: string) => new TextEncoder().encode(said);

async function newPeer(relay: RelayPeer) {
	const identity = await createIdentity();
	const peer = await createPeer({ identity, relays: relay.addresses, agent: "test/1" });
	return { peer, signer: createEnvelopeSigner(identity) };
}

function serveEcho(peer: Peer) {
	return peer.serve(echo, async (stream) => {
		for await (const message of stream) await stream.send(message);
	});
}

async function until(condition: () => boolean) {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("two peers behind a relay", () => {
	let relay: RelayPeer;
	let a: Awaited<ReturnType<typeof newPeer>>;
	let b: Awaited<ReturnType<typeof newPeer>>;
	beforeAll(async () => {
		relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
		[a, b] = await Promise.all([newPeer(relay), newPeer(relay)]);
	});
	afterAll(async () => {
		await Promise.all([a.peer.stop(), b.peer.stop()]);
		await relay.stop();
	});

	test("reach each other over WebRTC and talk in whole messages", async () => {
		serveEcho(b.peer);
		const stream = await a.peer.open(b.peer.id, echo);
		await stream.send(bytesOf("hello"));
		await stream.send(new Uint8Array(0));
		const big = new Uint8Array(300_000).map((_, i) => i);
		await stream.send(big);
		await stream.close();
		const answers: Uint8Array[] = [];
		for await (const message of stream) answers.push(message);
		expect(answers.map((answer) => answer.byteLength)).toEqual([5, 0, 300_000]);
		expect(text(answers[0]!)).toBe("hello");
		expect(answers[2]).toEqual(big);
		expect(await stream.closed).toBeUndefined();
		const view = a.peer.connections.find(({ peer }) => peer === b.peer.id);
		expect(view?.path).toBe("direct");
		expect(await a.peer.ping(b.peer.id)).toBeGreaterThan(0);
		await until(() => a.peer.connections.find(({ peer }) => peer === b.peer.id)?.agreement !== undefined);
	});

	test("answer requests", async () => {
		const answer = await a.peer.request(b.peer.id, echo, bytesOf("again"));
		expect(text(answer)).toBe("again");
	});

	test("hear each other on a topic, and a newcomer asks the relay for what it missed", async () => {
		const heard: string[] = [];
		const topic = (peer: Peer) =>
			peer.topic("tabmesh/test/1/room", {
				maxMessageBytes: 4096,
				onMessage: (message) => void heard.push(`${peer.id.slice(-4)} ${message.byteLength}`),
			});
		const topicA = topic(a.peer);
		topic(b.peer);
		const message = await a.signer.seal("announcement", bytesOf("I am here"));
		await topicA.publish(message);
		await until(() => heard.length >= 1);
		expect(heard).toEqual([`${b.peer.id.slice(-4)} ${message.byteLength}`]);
		const late = await newPeer(relay);
		expect(await late.peer.rendezvous("tabmesh/test/1/room")).toEqual([new Uint8Array(message)]);
		expect(await late.peer.rendezvous("tabmesh/test/1/nobody")).toEqual([]);
		await late.peer.stop();
	});
});
