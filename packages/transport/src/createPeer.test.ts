import { createEnvelopeSigner, createIdentity, type EnvelopeSigner } from "@tabmesh/dauth";
import {
	encodeCbor,
	InvalidParameterError,
	limits,
	MalformedMessageError,
	MessageTooLargeError,
	PeerBannedError,
	PeerUnreachableError,
	StageBusyError,
	StreamResetError,
	TimeoutError,
	UnsupportedVersionError,
} from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPeer, type MessageStream, type Peer, type StreamProtocol } from "./index.ts";
import { createRelayPeer, type RelayPeer, type RelayPeerInit } from "./relay.ts";

const echo: StreamProtocol = { id: "/tabmesh/echo/1", maxMessageBytes: 1 << 20 };
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (said: string) => new TextEncoder().encode(said);

async function newRelay(init: Partial<RelayPeerInit> = {}): Promise<RelayPeer> {
	return createRelayPeer({ identity: await createIdentity(), agent: "relay/1", ...init });
}

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

/** A signed record of shared state that writes one key. */
function recordOf(signer: EnvelopeSigner, name: string, value: Uint8Array) {
	return signer.seal("cstore", encodeCbor([new Uint8Array(8), [[0, name, value]]]));
}

async function until(condition: () => boolean) {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function heardOn(stream: MessageStream): Promise<Uint8Array[]> {
	const messages: Uint8Array[] = [];
	for await (const message of stream) messages.push(message);
	return messages;
}

describe("two peers behind a relay", () => {
	let relay: RelayPeer;
	let a: Awaited<ReturnType<typeof newPeer>>;
	let b: Awaited<ReturnType<typeof newPeer>>;
	beforeAll(async () => {
		relay = await newRelay();
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

	test("open any number of streams without leaving listeners behind on their connection", async () => {
		const warnings: Error[] = [];
		const warned = (warning: Error) => void warnings.push(warning);
		process.on("warning", warned);
		for (let i = 0; i < 30; i++) {
			const stream = await a.peer.open(b.peer.id, echo);
			await stream.close();
			await stream.closed;
		}
		// Warnings are given in a later turn.
		await new Promise((resolve) => setTimeout(resolve, 10));
		process.off("warning", warned);
		expect(warnings.map(({ message }) => message)).toEqual([]);
	});

	test("talk to themselves as to others: same messages, same limits, same errors, nothing held against anybody", async () => {
		const { peer } = await newPeer(relay);
		await expect(peer.open(peer.id, echo)).rejects.toThrow(UnsupportedVersionError);
		serveEcho(peer);
		const stream = await peer.open(peer.id, echo);
		expect(stream.remote).toBe(peer.id);
		const big = new Uint8Array(300_000).map((_, i) => i);
		await stream.send(big);
		await expect(stream.send(new Uint8Array(echo.maxMessageBytes + 1))).rejects.toThrow(MessageTooLargeError);
		await stream.close();
		expect(await heardOn(stream)).toEqual([big]);
		expect(await stream.closed).toBeUndefined();
		expect(text(await peer.request(peer.id, echo, bytesOf("me")))).toBe("me");

		const slow: StreamProtocol = { id: "/tabmesh/slow/1", maxMessageBytes: 1024, windowBytes: 4096 };
		const { promise: reads, resolve: read } = Promise.withResolvers<void>();
		peer.serve(slow, async (stream) => {
			await reads;
			await stream[Symbol.asyncIterator]().next();
			stream.abort(new StageBusyError("Enough."));
		});
		const waiting = await peer.open(peer.id, slow);
		let sent = 0;
		const sends = Array.from({ length: 8 }, () => waiting.send(new Uint8Array(1000)).then(() => sent++));
		await Promise.all(sends.slice(0, 3));
		expect(sent).toBe(3);
		read();
		const results = await Promise.allSettled(sends);
		expect(results.map(({ status }) => status)).toContain("rejected");
		expect(await waiting.closed).toBeInstanceOf(StageBusyError);
		expect(peer.score(peer.id)).toBe(0);
		expect(await peer.ping(peer.id)).toBe(0);
		expect(peer.connections.every((connection) => connection.peer !== peer.id)).toBe(true);
		await peer.stop();
		await expect(peer.open(peer.id, echo)).rejects.toThrow(PeerUnreachableError);
	});

	test("answer requests", async () => {
		const answer = await a.peer.request(b.peer.id, echo, bytesOf("again"));
		expect(text(answer)).toBe("again");
	});

	test("hear each other on a topic, and a newcomer asks the relay for what it missed", async () => {
		const heard: string[] = [];
		const topic = (peer: Peer) =>
			peer.topic("tabmesh/cstore/1/room", {
				maxMessageBytes: 4096,
				onMessage: (message) => void heard.push(`${peer.id.slice(-4)} ${message.byteLength}`),
			});
		const topicA = topic(a.peer);
		topic(b.peer);
		const message = await recordOf(a.signer, "a", bytesOf("I am here"));
		await topicA.publish(message);
		await until(() => heard.length >= 1);
		expect(heard).toEqual([`${b.peer.id.slice(-4)} ${message.byteLength}`]);
		const late = await newPeer(relay);
		expect(await late.peer.rendezvous("tabmesh/cstore/1/room")).toEqual([new Uint8Array(message)]);
		expect(await late.peer.rendezvous("tabmesh/cstore/1/nobody")).toEqual([]);
		await late.peer.stop();
	});

	test("share one dial however many streams are opened at once", async () => {
		const [c, d] = await Promise.all([newPeer(relay), newPeer(relay)]);
		serveEcho(d.peer);
		let connects = 0;
		c.peer.addEventListener("connect", ({ detail }) => {
			if (detail.peer === d.peer.id && detail.path === "direct") connects++;
		});
		const streams = await Promise.all(Array.from({ length: 10 }, () => c.peer.open(d.peer.id, echo)));
		await Promise.all(streams.map((stream) => stream.close()));
		await Promise.all(streams.map(heardOn));
		expect(connects).toBe(1);
		await Promise.all([c.peer.stop(), d.peer.stop()]);
	});

	test("get a handler's typed error, and only that stream ends", async () => {
		const stop = b.peer.serve({ id: "/tabmesh/busy/1", maxMessageBytes: 10 }, async () => {
			throw new StageBusyError("No memory left.");
		});
		const busy = { id: "/tabmesh/busy/1", maxMessageBytes: 10 };
		await expect(a.peer.request(b.peer.id, busy, new Uint8Array(1))).rejects.toBeInstanceOf(StageBusyError);
		stop();
		expect(text(await a.peer.request(b.peer.id, echo, bytesOf("still here")))).toBe("still here");
		expect(() => serveEcho(b.peer)).toThrow(InvalidParameterError);
		await expect(a.peer.request(b.peer.id, busy, new Uint8Array(1))).rejects.toBeInstanceOf(
			UnsupportedVersionError,
		);
	});

	test("give up a request that is not answered in time, or no longer wanted", async () => {
		const silent = { id: "/tabmesh/silent/1", maxMessageBytes: 10 };
		const ended: (Error | undefined)[] = [];
		b.peer.serve(silent, async (stream) => {
			ended.push(await stream.closed);
		});
		await expect(
			a.peer.request(b.peer.id, silent, new Uint8Array(1), { timeoutMs: 50 }),
		).rejects.toBeInstanceOf(TimeoutError);
		const controller = new AbortController();
		const request = a.peer.request(b.peer.id, silent, new Uint8Array(1), { signal: controller.signal });
		setTimeout(() => controller.abort(new Error("not any more")), 50);
		await expect(request).rejects.toThrow("not any more");
		await until(() => ended.length === 2);
		expect(ended.every((reason) => reason instanceof Error)).toBe(true);
	});

	test("have only so many streams of a protocol open", async () => {
		const narrow = { id: "/tabmesh/narrow/1", maxMessageBytes: 10, maxStreamsPerPeer: 2 };
		b.peer.serve(narrow, async (stream) => void (await stream.closed));
		const open = await Promise.all([1, 2].map(() => a.peer.open(b.peer.id, narrow)));
		const before = b.peer.score(a.peer.id);
		// The refusal may come before or after the protocol is agreed on.
		const third = await a.peer.open(b.peer.id, narrow).catch(() => undefined);
		if (third) expect(await third.closed).toBeInstanceOf(StreamResetError);
		expect(b.peer.score(a.peer.id)).toBeLessThan(before);
		for (const stream of open) stream.abort(new Error("done"));
	});

	test("reject what is malformed on a topic and hold it against the sender", async () => {
		const [c, d] = await Promise.all([newPeer(relay), newPeer(relay)]);
		serveEcho(d.peer);
		await c.peer.request(d.peer.id, echo, bytesOf("direct"));
		// The relay does not follow this one: what is said goes from peer to peer.
		const name = "private/topic";
		const heard: string[] = [];
		const onMessage = (message: Uint8Array) => {
			if (text(message) === "bad") throw new MalformedMessageError("Bad.");
			heard.push(text(message));
		};
		d.peer.topic(name, { maxMessageBytes: 100, onMessage });
		const topic = c.peer.topic(name, { maxMessageBytes: 100, onMessage: () => {} });
		for (let i = 0; heard.length === 0; i++) {
			await topic.publish(bytesOf(`hello ${i}`));
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		await topic.publish(bytesOf("bad"));
		await until(() => d.peer.score(c.peer.id) < 0);
		await topic.publish(bytesOf("good again"));
		await until(() => heard.includes("good again"));
		expect(heard).not.toContain("bad");
		await Promise.all([c.peer.stop(), d.peer.stop()]);
	}, 30_000);

	test("notice at once when one of them leaves, and its streams end with a StreamResetError", async () => {
		const c = await newPeer(relay);
		const stream = await c.peer.open(b.peer.id, echo);
		await stream.send(bytesOf("x"));
		await stream[Symbol.asyncIterator]().next();
		const gone = new Promise((resolve) =>
			b.peer.addEventListener("disconnect", ({ detail }) => detail.peer === c.peer.id && resolve(true)),
		);
		await c.peer.stop();
		expect(await gone).toBe(true);
		expect(await stream.closed).toBeInstanceOf(Error);
		await expect(c.peer.open(b.peer.id, echo)).rejects.toBeInstanceOf(PeerUnreachableError);
		await expect(b.peer.open(c.peer.id, echo)).rejects.toBeInstanceOf(PeerUnreachableError);
	});

	test("do not reach strangers, or what is no peer id", async () => {
		const stranger = (await createIdentity()).peer;
		for (const target of [stranger, "nobody"]) {
			await expect(a.peer.open(target, echo)).rejects.toBeInstanceOf(PeerUnreachableError);
		}
	});
});

describe("a ban", () => {
	test("cuts the connection, refuses its way back, and refuses to dial", async () => {
		const relay = await newRelay();
		const [a, b] = await Promise.all([newPeer(relay), newPeer(relay)]);
		serveEcho(a.peer);
		serveEcho(b.peer);
		const stream = await a.peer.open(b.peer.id, echo);
		const banned = new Promise((resolve) =>
			b.peer.addEventListener("banned", ({ detail }) => resolve(detail)),
		);
		b.peer.report(a.peer.id, "malformed");
		expect(b.peer.score(a.peer.id)).toBeCloseTo(-25, 1);
		b.peer.report(a.peer.id, "equivocation");
		expect(await banned).toEqual({ peer: a.peer.id, offence: "equivocation" });
		expect(b.peer.score(a.peer.id)).toBeCloseTo(-100, 1);
		expect(await stream.closed).toBeInstanceOf(Error);
		await expect(b.peer.open(a.peer.id, echo)).rejects.toBeInstanceOf(PeerBannedError);
		await expect(a.peer.open(b.peer.id, echo, { timeoutMs: 3000 })).rejects.toBeInstanceOf(Error);
		expect(b.peer.connections.some(({ peer }) => peer === a.peer.id)).toBe(false);
		await Promise.all([a.peer.stop(), b.peer.stop()]);
		await relay.stop();
	}, 30_000);
});

describe("a relay that goes away and comes back", () => {
	test("is found again, and peers reach each other through it as before", async () => {
		const identity = await createIdentity();
		const first = await newRelay({ identity });
		const [a, b] = await Promise.all([newPeer(first), newPeer(first)]);
		serveEcho(b.peer);
		const changes: boolean[] = [];
		a.peer.addEventListener("relay", ({ detail }) => changes.push(detail.connected));
		let back = 0;
		b.peer.addEventListener("relay", ({ detail }) => (back += detail.connected ? 1 : 0));
		const { port } = first;
		await first.stop();
		await until(() => changes.includes(false));
		await expect(a.peer.open(b.peer.id, echo, { timeoutMs: 1000 })).rejects.toBeInstanceOf(
			PeerUnreachableError,
		);
		const second = await newRelay({ identity, port });
		await until(() => changes.includes(true) && back === 1);
		expect(changes).toEqual([false, true]);
		expect(text(await a.peer.request(b.peer.id, echo, bytesOf("back")))).toBe("back");
		await Promise.all([a.peer.stop(), b.peer.stop()]);
		await second.stop();
	}, 60_000);
});

describe("a peer", () => {
	test("does not start without a relay that answers, or with an address that is none", async () => {
		const gone = await newRelay();
		const { addresses } = gone;
		await gone.stop();
		const identity = await createIdentity();
		await expect(createPeer({ identity, relays: addresses, agent: "test/1" })).rejects.toBeInstanceOf(
			PeerUnreachableError,
		);
		for (const relays of [["nonsense"], ["/ip4/127.0.0.1/tcp/1/ws"]]) {
			await expect(createPeer({ identity, relays, agent: "test/1" })).rejects.toBeInstanceOf(
				InvalidParameterError,
			);
		}
	});

	test("starts as soon as one of its relays answers", async () => {
		const [gone, relay] = await Promise.all([newRelay(), newRelay()]);
		await gone.stop();
		const peer = await createPeer({
			identity: await createIdentity(),
			relays: [...gone.addresses, ...relay.addresses],
			agent: "test/1",
		});
		expect(peer.connections.map(({ peer: id, path }) => [id, path])).toEqual([[relay.id, "socket"]]);
		await peer.stop();
		await relay.stop();
	});
});

describe("a relay", () => {
	test("hands on no message that is not signed, and remembers the newest that each author wrote of one thing, and until it leaves that it is here", async () => {
		const relay = await newRelay();
		const refused: string[] = [];
		relay.addEventListener("refused", ({ detail }) => refused.push(detail.reason));
		const [a, b] = await Promise.all([newPeer(relay), newPeer(relay)]);
		const name = "tabmesh/cstore/1/room";
		const heard: number[] = [];
		b.peer.topic(name, {
			maxMessageBytes: limits.envelopeBytes,
			onMessage: (m) => void heard.push(m.byteLength),
		});
		const topic = a.peer.topic(name, { maxMessageBytes: limits.envelopeBytes, onMessage: () => {} });
		await topic.publish(bytesOf("unsigned"));
		// The relay hands on to whom it knows to listen; news of that takes its time.
		while (heard.length === 0) {
			await topic.publish(await recordOf(a.signer, "a", new Uint8Array(10)));
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		const fresh = await recordOf(a.signer, "a", new Uint8Array(20));
		await topic.publish(fresh);
		await until(() => heard.at(-1) === fresh.byteLength);
		const digest = await a.signer.seal("cstore", encodeCbor([new Uint8Array(8), 1, new Uint8Array(16)]));
		await topic.publish(digest);
		await until(() => heard.at(-1) === digest.byteLength);
		expect(refused).toEqual(["MalformedMessage"]);
		expect(await b.peer.rendezvous(name)).toEqual([new Uint8Array(fresh), new Uint8Array(digest)]);
		expect(relay.load).toMatchObject({ connections: 2, reservations: 2, topics: 1, remembered: 2 });
		await a.peer.stop();
		await until(() => relay.load.connections === 1);
		expect(await b.peer.rendezvous(name)).toEqual([new Uint8Array(fresh)]);
		await b.peer.stop();
		await until(() => relay.load.topics === 0 && relay.load.reservations === 0);
		await relay.stop();
	}, 30_000);

	test("stops listening to a peer that publishes without end, and bans it when it goes on", async () => {
		const relay = await newRelay();
		const reasons = new Map<string, number>();
		relay.addEventListener("refused", ({ detail }) =>
			reasons.set(detail.reason, (reasons.get(detail.reason) ?? 0) + 1),
		);
		const banned = new Promise((resolve) =>
			relay.addEventListener("banned", ({ detail }) => resolve(detail)),
		);
		const { peer, signer } = await newPeer(relay);
		const topic = peer.topic("tabmesh/cstore/1/room", { maxMessageBytes: 4096, onMessage: () => {} });
		let lost = false;
		peer.addEventListener("relay", ({ detail }) => {
			lost ||= !detail.connected;
		});
		while (!lost) await topic.publish(await recordOf(signer, "a", new Uint8Array(1)));
		expect(await banned).toEqual({ peer: peer.id, offence: "flood" });
		expect([...reasons.keys()]).toContain("Flood");
		await peer.stop();
		await relay.stop();
	}, 60_000);
});
