import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { gossipsub } from "@libp2p/gossipsub";
import { identify } from "@libp2p/identify";
import type { PeerId } from "@libp2p/interface";
import { noise } from "@libp2p/noise";

import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import { equalBytes, PeerUnreachableError } from "@tabmesh/wire";
import { createLibp2p } from "libp2p";
import { orderHandshakes } from "#orderlyHandshake";
import { onPageFrozen, onPageGone } from "#pageLifetime";
import { gossipOptions } from "./gossip.ts";
import { missingProtocol, sayMissing } from "./missing.ts";
import { patientWebRTC } from "./patientWebRTC.ts";
import type { Peer, PeerInit, ProviderRecords } from "./peer.ts";
import { type NodeServices, nodeGater, PeerNode } from "./peerNode.ts";
import { longestPiece } from "./pieceSize.ts";
import { DhtProviderRecords, type Libp2pParts } from "./providerRecords.ts";
import { parseRelayAddress, RelayLinks } from "./relayLinks.ts";
import { askRendezvous, rendezvousProtocol } from "./rendezvous.ts";
import { Reputation } from "./reputation.ts";

/** Most connections of one peer: a few relays, the neighbours of a handful of rings, and room for strangers who come. */
const maxConnections = 128;
/** A peer whose connection broke may be back at once, by another way: who is not is missed. */
const missedAfterMs = 1_000;
/** How long telling a relay may take; it finds out by itself otherwise. */
const sayMissingMs = 10_000;
/** Bytes that may wait in one data channel; libp2p's default. Beyond it, sends wait for the channel to drain. */
const maxBufferedBytes = 2 * 1024 * 1024;

/**
 * Starts a peer: connects to its relays, books a place with each, and is reachable by WebRTC from then on.
 *
 * @returns when the first relay is connected; the others follow in the background
 * @throws PeerUnreachableError when no relay can be reached, InvalidParameterError for a bad relay address
 *
 * @example
 * ```ts
 * import { createIdentity } from "@tabmesh/dauth";
 * import { createPeer } from "@tabmesh/transport";
 * const peer = await createPeer({ identity: await createIdentity(), relays: [address], agent: "example/1.0" });
 * const stream = await peer.open(other, { id: "/tabmesh/echo/1", maxMessageBytes: 1024 });
 * ```
 */
export async function createPeer(init: PeerInit): Promise<Peer> {
	init.signal?.throwIfAborted();
	orderHandshakes();
	const reputation = new Reputation();
	let reserve: ((relay: PeerId) => Promise<unknown>) | undefined;
	// All at once: when the first place is booked, the library throws away, unanswered, what still waits for its turn.
	const circuit = circuitRelayTransport({ reservationConcurrency: Math.max(1, init.relays.length) });
	let components: Libp2pParts | undefined;

	const libp2p = await createLibp2p<NodeServices & { parts: unknown }>({
		privateKey: init.identity.privateKey,
		start: false,
		addresses: { listen: [] },
		transports: [
			webSockets(),
			patientWebRTC({
				rtcConfiguration: {
					iceServers: [...(init.iceServers ?? [])],
					iceTransportPolicy: init.iceTransportPolicy ?? "all",
				},
				// libp2p subtracts its own frame from this.
				dataChannel: { maxMessageSize: longestPiece + 64, maxBufferedAmount: maxBufferedBytes },
			}),
			(components) => {
				const transport = circuit(components);
				// Reservations are made here and not by listening: a listener never books again at a relay it once lost.
				const { reservationStore } = transport as unknown as {
					reservationStore: { addRelay(relay: PeerId, type: "configured"): Promise<unknown> };
				};
				reserve = (relay) => reservationStore.addRelay(relay, "configured");
				return transport;
			},
		],
		connectionEncrypters: [noise()],
		streamMuxers: [yamux()],
		connectionGater: nodeGater(reputation),
		connectionManager: {
			maxConnections,
			// Everybody behind one router or on one machine looks like one address.
			inboundConnectionThreshold: 1000,
			maxIncomingPendingConnections: 64,
			// Relays are kept by RelayLinks.
			reconnectRetries: 0,
			dialTimeout: 20_000,
			addressDialTimeout: 15_000,
		},
		services: {
			// Not over relayed connections, which live for the moment of a WebRTC handshake.
			identify: identify({ runOnLimitedConnection: false }),
			// No service: what services are made of, for one that is made later.
			parts: (made: Libp2pParts) => {
				components = made;
				return {};
			},
			gossip: gossipsub({
				...gossipOptions((peer) => (relays.isRelay(peer) ? 0 : reputation.score(peer))),
				directPeers: init.relays
					.map(parseRelayAddress)
					.map(({ peer, address }) => ({ id: peer, addrs: [address] })),
			}),
		},
	});

	const relays: RelayLinks = new RelayLinks({
		libp2p,
		addresses: init.relays,
		reserve: (relay) => reserve!(relay),
		onChange: (address, connected) =>
			void node.safeDispatchEvent("relay", { detail: { address, connected } }),
	});

	const providerRecords = new DhtProviderRecords({
		id: libp2p.peerId,
		components: () => components!,
		relays,
	});

	const node = new PeerNode({
		libp2p,
		reputation,
		agent: init.agent,
		features: init.features ?? [],
		isRelay: (peer) => relays.isRelay(peer),
		dial: async (peer, signal) => {
			const addresses = relays.addressesOf(peer);
			if (addresses.length === 0) {
				throw new PeerUnreachableError("No relay is connected through which the peer could be called.");
			}
			return libp2p.dial(addresses, { signal });
		},
		onStop: async () => {
			stopWatching();
			for (const timer of timers) clearTimeout(timer);
			await providerRecords.stop();
			relays.stop();
		},
	});

	const peer: Peer = Object.assign(node, {
		providerRecords: providerRecords as ProviderRecords,
		async rendezvous(topic: string, options: { signal?: AbortSignal } = {}): Promise<Uint8Array[]> {
			const answers = await Promise.allSettled(
				relays.connected.map(async (relay) => {
					const stream = await node.open(relay, rendezvousProtocol, { ...options, timeoutMs: 10_000 });
					return askRendezvous(stream, topic);
				}),
			);
			options.signal?.throwIfAborted();
			const messages: Uint8Array[] = [];
			for (const answer of answers) {
				if (answer.status !== "fulfilled") continue;
				for (const message of answer.value) {
					if (!messages.some((known) => equalBytes(known, message))) messages.push(message);
				}
			}
			return messages;
		},
	});

	const timers = new Set<ReturnType<typeof setTimeout>>();
	const sayIt = (missing: string): void => {
		if (node.connections.some(({ peer, path }) => peer === missing && path !== "relayed")) return;
		for (const relay of relays.connected) {
			node
				.open(relay, missingProtocol, { timeoutMs: sayMissingMs })
				.then((stream) => sayMissing(stream, missing))
				.catch(() => {});
		}
	};
	node.addEventListener("disconnect", ({ detail }) => {
		if (relays.isRelay(detail.peer)) return;
		const timer = setTimeout(() => {
			timers.delete(timer);
			sayIt(detail.peer);
		}, missedAfterMs);
		timers.add(timer);
	});

	const stopGone = onPageGone(() => void node.stop());
	// Nobody answers here while the page is stopped: whoever counts on us learns it at once, and we call anew afterwards.
	const stopFrozen = onPageFrozen(() => {
		for (const connection of libp2p.getConnections())
			connection.abort(new PeerUnreachableError("The browser stopped this page."));
	});
	const stopWatching = (): void => {
		stopGone();
		stopFrozen();
	};
	const cancel = (): void => relays.stop();
	init.signal?.addEventListener("abort", cancel, { once: true });
	try {
		await libp2p.start();
		await node.start();
		await relays.start();
		init.signal?.throwIfAborted();
		return peer;
	} catch (error) {
		await node.stop();
		throw init.signal?.aborted ? init.signal.reason : error;
	} finally {
		init.signal?.removeEventListener("abort", cancel);
	}
}
