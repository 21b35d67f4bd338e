import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createIdentity } from "@tabmesh/dauth";
import { createPeer, type Peer } from "@tabmesh/transport";
import { createRelayPeer, type RelayPeer } from "@tabmesh/transport/relay";
import { RTCPeerConnection } from "node-datachannel/polyfill";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LatencyLab, startLatencyLab } from "../../e2e/lab/latencyLab.ts";
import { type LineQuality, SlowLine } from "../../e2e/lab/slowLine.ts";
import { ensureCoturn } from "../../e2e/setup/ensureCoturn.ts";

const loopback = "127.0.0.1";

/** Sends `count` numbered datagrams through a line; the numbers that arrive, and how long each took, in their order. */
async function through(
	quality: LineQuality,
	seed: number,
	count: number,
): Promise<{ number: number; ms: number }[]> {
	const server = createSocket("udp4").bind(0, loopback);
	const client = createSocket("udp4").bind(0, loopback);
	await Promise.all([once(server, "listening"), once(client, "listening")]);
	const line = new SlowLine(server.address().port, quality, seed);
	const port = await line.open();
	const sent: number[] = [];
	const arrived: { number: number; ms: number }[] = [];
	server.on("message", (datagram) => {
		const number = datagram.readUInt16LE();
		arrived.push({ number, ms: performance.now() - sent[number]! });
	});
	for (let number = 0; number < count; number++) {
		sent.push(performance.now());
		client.send(Uint8Array.of(number & 0xff, number >> 8), port, loopback);
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	for (let lost = 0, carried = 0; lost + carried < count; ) {
		await new Promise((resolve) => setTimeout(resolve, 5));
		const counts = line.takeCounts();
		lost += counts.lost;
		carried += counts.carried;
	}
	// The last ones are on their way from the line to the server.
	await new Promise((resolve) => setTimeout(resolve, 20));
	line.close();
	client.close();
	server.close();
	return arrived;
}

describe("a slow line", () => {
	it("holds every datagram for its delay, and none overtakes another whatever the jitter", async () => {
		const arrived = await through({ delayMs: 20, jitterMs: 10 }, 1, 50);
		expect(arrived.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, i) => i));
		// Timers count whole milliseconds.
		for (const { ms } of arrived) expect(ms).toBeGreaterThan(9);
	});

	it("loses the same datagrams for the same seed, about as many as it is told", async () => {
		const numbers = async (seed: number) =>
			(await through({ delayMs: 1, loss: 0.2 }, seed, 200)).map(({ number }) => number);
		const [once, again, other] = [await numbers(1), await numbers(1), await numbers(2)];
		expect(again).toEqual(once);
		expect(other).not.toEqual(once);
		expect(once.length).toBeGreaterThan(130);
		expect(once.length).toBeLessThan(190);
	});
});

const coturn = ensureCoturn();
if (coturn === undefined) console.warn("No coturn was found: the latency lab's tests are left out.");

describe.skipIf(coturn === undefined)("the latency lab", () => {
	const delayMs = 20;
	let lab: LatencyLab;
	let peers: (Peer | RelayPeer)[] = [];
	beforeAll(async () => {
		lab = await startLatencyLab(coturn!);
	});
	afterAll(() => lab.stop());
	afterEach(async () => {
		await Promise.all(peers.map((peer) => peer.stop()));
		peers = [];
		await lab.set({ delayMs: 0 });
	});

	it("delays a bare data channel once each way", async () => {
		const configuration = { iceServers: [{ ...lab.iceServer }], iceTransportPolicy: "relay" as const };
		const [near, far] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
		near.onicecandidate = ({ candidate }) => void (candidate && far.addIceCandidate(candidate));
		far.onicecandidate = ({ candidate }) => void (candidate && near.addIceCandidate(candidate));
		far.ondatachannel = ({ channel }) => {
			channel.onmessage = ({ data }) => channel.send(data);
		};
		const channel = near.createDataChannel("raw");
		const opened = new Promise((resolve) => {
			channel.onopen = resolve;
		});
		await near.setLocalDescription(await near.createOffer());
		await far.setRemoteDescription(near.localDescription!);
		await far.setLocalDescription(await far.createAnswer());
		await near.setRemoteDescription(far.localDescription!);
		await opened;
		const roundTrip = async (): Promise<number> => {
			const start = performance.now();
			await new Promise((resolve) => {
				channel.onmessage = resolve;
				channel.send("there and back");
			});
			return performance.now() - start;
		};
		const best = async (): Promise<number> =>
			Math.min(await roundTrip(), await roundTrip(), await roundTrip(), await roundTrip());
		expect(await best()).toBeLessThan(2 * delayMs);
		await lab.set({ delayMs });
		const slow = await best();
		expect(slow).toBeGreaterThanOrEqual(2 * delayMs);
		// Not twice on one way.
		expect(slow).toBeLessThan(4 * delayMs);
		expect((await lab.counts()).heldMs).toBeGreaterThan(delayMs - 1);
		near.close();
		far.close();
	});

	it("is between two peers that are told to meet through it only", async () => {
		const relay = await createRelayPeer({ identity: await createIdentity(), agent: "relay/1" });
		const [one, other] = await Promise.all(
			["one", "other"].map(async () =>
				createPeer({
					identity: await createIdentity(),
					relays: relay.addresses,
					iceServers: [lab.iceServer],
					iceTransportPolicy: "relay",
					agent: "test/1",
				}),
			),
		);
		peers = [one!, other!, relay];
		await lab.set({ delayMs });
		expect(await one!.ping(other!.id)).toBeGreaterThanOrEqual(2 * delayMs);
		const view = () => one!.connections.find(({ peer }) => peer === other!.id)!;
		while (view().path !== "turn") await new Promise((resolve) => setTimeout(resolve, 10));
	});

	it("takes its server with it", async () => {
		const other = await startLatencyLab(coturn!, 2);
		const runs = (): boolean => {
			try {
				return process.kill(other.serverPid, 0);
			} catch {
				return false;
			}
		};
		expect(runs()).toBe(true);
		await other.stop();
		while (runs()) await new Promise((resolve) => setTimeout(resolve, 10));
	});
});
