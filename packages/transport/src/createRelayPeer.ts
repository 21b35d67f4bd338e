import { type CircuitRelayService, circuitRelayServer } from "@libp2p/circuit-relay-v2";
import { gossipsub, TopicValidatorResult } from "@libp2p/gossipsub";
import { identify } from "@libp2p/identify";
import type { Startable } from "@libp2p/interface";
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { peerIdFromString } from "@libp2p/peer-id";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { createEnvelopeSigner, createEnvelopeVerifier, type PeerIdentity } from "@tabmesh/dauth";
import {
	decodeCbor,
	EnvelopeTimeError,
	FloodError,
	limits,
	PortInUseError,
	ReplayedEnvelopeError,
} from "@tabmesh/wire";
import { createLibp2p } from "libp2p";
import { TypedEventEmitter } from "main-event";
import { gossipOptions } from "./gossip.ts";
import { missingProtocol, readMissing } from "./missing.ts";
import type { ConnectionView, Offence } from "./peer.ts";
import { type NodeServices, nodeGater, PeerNode } from "./peerNode.ts";
import { ProviderDatastore } from "./providerDatastore.ts";
import { dhtComponents, type Libp2pParts, providerProtocol, startable } from "./providerRecords.ts";
import { rendezvousProtocol, rendezvousRequestBytes, rendezvousRequestSchema } from "./rendezvous.ts";
import { RendezvousStore } from "./rendezvousStore.ts";
import { Reputation } from "./reputation.ts";
import { goneAfter, readStateMessage } from "./stateMessage.ts";
import { relayedTopics } from "./topics.ts";

export interface RelayPeerInit {
	identity: PeerIdentity;
	/** Where the WebSocket listener listens. @default "127.0.0.1": a web server in front of it faces the world */
	host?: string;
	/** @default 0, any free port */
	port?: number;
	/** Program and version for the hello. */
	agent: string;
	/** Most peers connected at once. @default 2,000 */
	maxPeers?: number;
}

export interface RelayPeerEvents {
	connect: CustomEvent<ConnectionView>;
	disconnect: CustomEvent<{ peer: string }>;
	banned: CustomEvent<{ peer: string; offence: Offence }>;
	/** A message was taken and handed on. */
	message: CustomEvent<{ topic: string; author: string; bytes: number }>;
	/** A message was dropped; `reason` is the error's code. */
	refused: CustomEvent<{ topic: string; from: string; reason: string }>;
	/** Somebody asked what was missed. */
	rendezvous: CustomEvent<{ topic: string; messages: number }>;
}

/** A running relay, as the program around it sees it. */
export interface RelayPeer {
	readonly id: string;
	/** TCP port of the WebSocket listener. */
	readonly port: number;
	/** Multiaddrs of the listener, each with `/p2p/…`. */
	readonly addresses: readonly string[];
	readonly connections: readonly ConnectionView[];
	readonly load: {
		/** Peers connected now. */
		readonly connections: number;
		/** Places booked: peers that others can call through this relay. */
		readonly reservations: number;
		/** Topics followed. */
		readonly topics: number;
		/** Messages remembered for newcomers. */
		readonly remembered: number;
		/** Records of who has what. */
		readonly provided: number;
	};
	addEventListener<K extends keyof RelayPeerEvents>(
		type: K,
		listener: (event: RelayPeerEvents[K]) => void,
	): void;
	removeEventListener<K extends keyof RelayPeerEvents>(
		type: K,
		listener: (event: RelayPeerEvents[K]) => void,
	): void;
	report(peer: string, offence: Offence): void;
	stop(): Promise<void>;
}

const defaultMaxPeers = 2_000;

/** Topics followed at once: one per room and part of it. Beyond it a relay would only serve whoever invents most names. */
const topicsAtOnce = 256;

/** How long after a peer left its topics are looked at: libp2p tells its services within a few ticks. */
const unfollowMs = 1_000;

/** How long a peer whose connection broke may take to come back before everybody hears that it is gone: a phone changes its network in that. */
const goneAfterMs = 3_000;
/** Remembered for as long as a newcomer could take what the peer said last for a sign of life. */
const goneSubject = { subject: "gone", lifeMs: 3 * 60_000, passing: false };
/** How long a peer that somebody misses may take to answer: a page that builds a model is busy for a second or two. */
const answerMs = 5_000;
/** Whoever is missed by many is asked once, and not again so soon. */
const askAgainMs = 10_000;

/** Messages a second that one peer may publish or hand on through us, and how many at once: a whole room arriving is 500. */
const messagesPerSecond = 20;
const messagesAtOnce = 500;

/** Records of who has what that one peer may leave with us: a person's files, or every model there is. */
const recordsOfPeer = 1_024;
/** Such records in all: 400 bytes each, 40 MB. */
const recordsInAll = 100_000;
/** Providers told to whoever asks for one content: a session of r1fs takes no more sources. */
const providersTold = 32;
/** How long a record holds that is not renewed; peers renew theirs four times in it. Said in the interface of `ProviderRecords`. */
const recordMs = 2 * 3_600_000;
/** How often expired records are looked for. */
const cleanUpMs = 600_000;

/** What runs through one relayed connection: a WebRTC handshake is 10 to 30 KB. libp2p's 128 KiB doubled, for many candidates. */
const relayedBytes = 256n * 1024n;
/** How long a relayed connection may live: a handshake on a bad line takes seconds; libp2p's own limit. */
const relayedMs = 120_000;

/**
 * Starts a relay: peers connect by WebSocket, book a place, call each other through it, gossip across it, and ask it
 * what they missed. All limits of libp2p that count per address are raised on purpose: many tabs share one address,
 * and behind a web server all of them come from loopback.
 *
 * @throws PortInUseError when the port belongs to another program
 */
export async function createRelayPeer(init: RelayPeerInit): Promise<RelayPeer> {
	const host = init.host ?? "127.0.0.1";
	const maxPeers = init.maxPeers ?? defaultMaxPeers;
	const reputation = new Reputation();
	const records = new ProviderDatastore({
		records: recordsInAll,
		recordsOfPeer,
		told: providersTold,
	});
	const libp2p = await createLibp2p<NodeServices & { circuit: CircuitRelayService; dht: Startable }>({
		privateKey: init.identity.privateKey,
		start: false,
		addresses: { listen: [`/${host.includes(":") ? "ip6" : "ip4"}/${host}/tcp/${init.port ?? 0}/ws`] },
		transports: [webSockets()],
		connectionEncrypters: [noise()],
		streamMuxers: [yamux()],
		connectionGater: nodeGater(reputation),
		connectionManager: {
			maxConnections: maxPeers,
			inboundConnectionThreshold: maxPeers,
			maxIncomingPendingConnections: maxPeers,
			reconnectRetries: 0,
		},
		services: {
			identify: identify({ runOnLimitedConnection: false }),
			dht: (components: Libp2pParts): Startable => {
				const dht = kadDHT({
					protocol: providerProtocol,
					clientMode: false,
					allowQueryWithZeroPeers: true,
					peerInfoMapper: passthroughMapper,
					reprovide: { validity: recordMs, interval: cleanUpMs },
				})(
					// No peer of ours is a server of the DHT: there is nobody to keep in its table, and nobody to ping.
					dhtComponents(components, { datastore: records, ping: { ping: async () => 0 } }),
				);
				// Its own wish for a ping service is met above.
				const { start, stop } = startable(dht);
				return { start, stop };
			},
			circuit: circuitRelayServer({
				reservations: {
					maxReservations: maxPeers,
					defaultDataLimit: relayedBytes,
					defaultDurationLimit: relayedMs,
				},
				// A peer that joins a ring may call all of its neighbours at once.
				maxInboundHopStreams: 128,
				maxOutboundStopStreams: 256,
			}),
			gossip: gossipsub({
				...gossipOptions((peer) => reputation.score(peer)),
				// A hub: everybody is its direct peer (below), so every message is one hop in and one hop out, with no
				// mesh to build first and nothing to gossip about.
				D: 0,
				Dlo: 0,
				Dhi: 0,
				Dscore: 0,
				Dout: 0,
				Dlazy: 0,
				gossipFactor: 0,
			}),
		},
	});

	const events = new TypedEventEmitter<RelayPeerEvents>();
	const node = new PeerNode({
		libp2p,
		reputation,
		agent: init.agent,
		features: ["relay"],
		isRelay: () => false,
		dial: (peer, signal) => libp2p.dial(peer, { signal }),
	});
	const store = new RendezvousStore();
	const { gossip, circuit } = libp2p.services;
	// They come in any order, by gossip and by repair.
	const verifier = createEnvelopeVerifier({ order: "any" });
	const budgets = new Map<string, { messages: number; at: number }>();

	const spend = (from: string): void => {
		const now = performance.now();
		const budget = budgets.get(from) ?? { messages: messagesAtOnce, at: now };
		const earned = ((now - budget.at) / 1000) * messagesPerSecond;
		budget.messages = Math.min(messagesAtOnce, budget.messages + earned);
		budget.at = now;
		budgets.set(from, budget);
		if (budget.messages < 1) throw new FloodError("A peer publishes without end.");
		budget.messages -= 1;
	};

	const follow = (topic: string): void => {
		if (gossip.topicValidators.has(topic) || gossip.topicValidators.size >= topicsAtOnce) return;
		gossip.topicValidators.set(topic, async (peer, { data }) => {
			const from = peer.toString();
			try {
				spend(from);
				const { author, sequence, remember } = await readStateMessage(verifier, data);
				if (remember) store.remember({ topic, author, sequence, message: data, ...remember });
				events.safeDispatchEvent("message", { detail: { topic, author, bytes: data.byteLength } });
				return TopicValidatorResult.Accept;
			} catch (error) {
				const reason = (error as { code?: string }).code ?? "Internal";
				events.safeDispatchEvent("refused", { detail: { topic, from, reason } });
				if (error instanceof ReplayedEnvelopeError || error instanceof EnvelopeTimeError) {
					return TopicValidatorResult.Ignore;
				}
				node.report(from, error instanceof FloodError ? "flood" : "malformed");
				return error instanceof FloodError ? TopicValidatorResult.Ignore : TopicValidatorResult.Reject;
			}
		});
		gossip.subscribe(topic);
	};
	const unfollow = (topic: string): void => {
		if (!gossip.topicValidators.has(topic) || gossip.getSubscribers(topic).length > 0) return;
		gossip.unsubscribe(topic);
		gossip.topicValidators.delete(topic);
	};
	gossip.addEventListener("subscription-change", ({ detail }) => {
		for (const { topic, subscribe } of detail.subscriptions) {
			if (subscribe && topic.length <= 128 && topic.startsWith(relayedTopics)) follow(topic);
			else unfollow(topic);
		}
	});

	node.serve(rendezvousProtocol, async (stream) => {
		for await (const request of stream) {
			const { topic } = decodeCbor(rendezvousRequestSchema, request, rendezvousRequestBytes);
			const messages = store.recall(topic);
			events.safeDispatchEvent("rendezvous", { detail: { topic, messages: messages.length } });
			let bytes = 0;
			for (const message of messages) {
				bytes += message.byteLength;
				if (bytes > limits.rendezvousBytes) break;
				await stream.send(message);
			}
			return;
		}
	});

	const signer = createEnvelopeSigner(init.identity);
	const leaving = new Map<string, ReturnType<typeof setTimeout>>();
	/** Tells those who heard a peer that it is gone, unless it comes back. */
	const sayGone = (peer: string): void => {
		const said = store.left(peer);
		if (said.length === 0) return;
		clearTimeout(leaving.get(peer));
		const timer = setTimeout(async () => {
			leaving.delete(peer);
			for (const { topic, sequence, message } of said) {
				const word = await signer.seal("cstore", goneAfter(message, sequence));
				store.remember({ ...goneSubject, topic, author: peer, sequence, message: word });
				if (gossip.topicValidators.has(topic)) await gossip.publish(topic, word).catch(() => {});
			}
		}, goneAfterMs);
		leaving.set(peer, timer);
	};

	const asked = new Map<string, ReturnType<typeof setTimeout>>();
	node.serve(missingProtocol, async (stream) => {
		for await (const message of stream) {
			const missing = readMissing(message);
			if (asked.has(missing) || libp2p.getConnections(peerIdFromString(missing)).length === 0) return;
			asked.set(
				missing,
				setTimeout(() => asked.delete(missing), askAgainMs),
			);
			await node.answers(missing, answerMs);
			return;
		}
	});

	// gossipsub takes direct peers only at its start; its set of them is public but not in its interface.
	const { direct } = gossip as unknown as { direct: Set<string> };
	node.addEventListener("connect", ({ detail }) => {
		direct.add(detail.peer);
		clearTimeout(leaving.get(detail.peer));
		leaving.delete(detail.peer);
		events.safeDispatchEvent("connect", { detail });
	});
	node.addEventListener("banned", ({ detail }) => events.safeDispatchEvent("banned", { detail }));
	node.addEventListener("disconnect", ({ detail }) => {
		// Who left need not be found any more, and libp2p would keep its place booked for two hours.
		direct.delete(detail.peer);
		if (!stopping) sayGone(detail.peer);
		records.forget(detail.peer);
		budgets.delete(detail.peer);
		for (const peer of circuit.reservations.keys()) {
			if (peer.toString() === detail.peer) circuit.reservations.delete(peer);
		}
		// gossipsub learns of it a little later than we do.
		setTimeout(() => {
			if (!stopping) for (const topic of gossip.getTopics()) unfollow(topic);
		}, unfollowMs).unref();
		events.safeDispatchEvent("disconnect", { detail });
	});

	let stopping = false;
	try {
		await libp2p.start();
		await node.start();
	} catch (error) {
		await node.stop().catch(() => {});
		if (/EADDRINUSE/.test(deepMessage(error))) {
			throw new PortInUseError(`Port ${init.port} belongs to another program.`, { cause: error });
		}
		throw error;
	}
	const addresses = libp2p.getMultiaddrs();
	const port = Number(addresses[0]?.getComponents().find(({ name }) => name === "tcp")?.value);

	return {
		id: node.id,
		port,
		addresses: addresses.map(String),
		get connections() {
			return node.connections;
		},
		get load() {
			return {
				connections: libp2p.getPeers().length,
				reservations: circuit.reservations.size,
				topics: gossip.topicValidators.size,
				remembered: store.size,
				provided: records.size,
			};
		},
		addEventListener: (type, listener) => events.addEventListener(type, listener),
		removeEventListener: (type, listener) => events.removeEventListener(type, listener),
		report: (peer, offence) => node.report(peer, offence),
		stop() {
			stopping = true;
			for (const timer of [...leaving.values(), ...asked.values()]) clearTimeout(timer);
			return node.stop();
		},
	};
}

function deepMessage(error: unknown): string {
	if (error instanceof AggregateError) return error.errors.map(deepMessage).join(" ");
	if (error instanceof Error) return `${error.message} ${deepMessage(error.cause)}`;
	return "";
}
