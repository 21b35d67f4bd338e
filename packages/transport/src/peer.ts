import type { PeerIdentity } from "@tabmesh/dauth";
import type { Agreement } from "@tabmesh/wire";

/** What went wrong with a peer, from a slip that happens to honest peers to a proof of malice. */
export type Offence =
	/** Too slow or silent where an answer was due. */
	| "timeout"
	/** More than its credit or its share of requests. */
	| "flood"
	/** Bytes that follow no schema. */
	| "malformed"
	/** A valid message at a moment that the protocol does not allow. */
	| "violation"
	/** Bytes that do not have the hash they were asked by. */
	| "wrong-bytes"
	/** NaN, wrong shapes, or results that a replay does not confirm. */
	| "wrong-result"
	/** A signature or token chain that proves two stories told. */
	| "equivocation";

/** One connection as people and planners see it. */
export interface ConnectionView {
	readonly peer: string;
	/** `direct`: WebRTC without help; `turn`: WebRTC through a TURN server; `relayed`: through a circuit relay (signalling only); `socket`: a WebSocket to a relay. */
	readonly path: "direct" | "turn" | "relayed" | "socket";
	/** Last measured round trip in milliseconds; undefined before the first. */
	readonly rttMs: number | undefined;
	/** Milliseconds since 1970. */
	readonly since: number;
	/** What the two hellos agreed on; undefined before they did. */
	readonly agreement: Agreement | undefined;
}

/**
 * A two-way stream of whole messages with credits: `send` waits when the receiver is behind, so neither side ever
 * buffers more than the window.
 */
export interface MessageStream extends AsyncIterable<Uint8Array> {
	readonly remote: string;
	readonly protocol: string;
	/**
	 * Resolves when the message has left for the transport; messages arrive whole and in order. One that is given in parts
	 * arrives as if they were one array, and need not be put together for it.
	 *
	 * @throws StreamResetError when the stream is gone, MessageTooLargeError beyond the protocol's limit
	 */
	send(message: Uint8Array | readonly Uint8Array[], options?: { signal?: AbortSignal }): Promise<void>;
	/** Ends our side in order; the other side's iteration ends after the last message. */
	close(): Promise<void>;
	/** Ends both sides at once. The other side sees a StreamResetError, or `error` where it is a TabmeshError. */
	abort(error: Error): void;
	/** Resolves when both sides are done: with undefined after an orderly end, else with the reason. */
	readonly closed: Promise<Error | undefined>;
}

/** How messages of one protocol are bounded and carried. The two sides of a protocol use the same numbers. */
export interface StreamProtocol {
	/** `protocolId("stage")` and the like. */
	readonly id: string;
	/** Longest message in bytes, both ways. */
	readonly maxMessageBytes: number;
	/** Bytes that may be under way without the receiver having taken them. @default 1 MiB, or one longest message */
	readonly windowBytes?: number;
	/** Streams that one remote peer may have open at once. @default 64 */
	readonly maxStreamsPerPeer?: number;
	/** `latency` slices messages to SCTP's first burst (about 4.6 KB, see FACTS), `bulk` uses pieces as large as the line carries in 32 ms. @default "latency" */
	readonly carriage?: "latency" | "bulk";
	/** Whether it may run over a relayed connection. Never for tensors or shards. @default false */
	readonly overRelay?: boolean;
}

/** A gossip topic. */
export interface Topic {
	publish(message: Uint8Array): Promise<void>;
	leave(): void;
}

export interface TopicOptions {
	maxMessageBytes: number;
	/** Called once per distinct message before it is forwarded. Throwing drops it and reports its sender (`malformed`). */
	onMessage(message: Uint8Array, from: string): Promise<void> | void;
}

export interface PeerEvents {
	connect: CustomEvent<ConnectionView>;
	disconnect: CustomEvent<{ peer: string }>;
	/** A relay connection came, went or came back. */
	relay: CustomEvent<{ address: string; connected: boolean }>;
	/** A peer fell under the score at which nothing more is accepted from it. */
	banned: CustomEvent<{ peer: string; offence: Offence }>;
}

export interface PeerInit {
	identity: PeerIdentity;
	/** Multiaddrs of relays, each with its `/p2p/…`. The peer keeps a connection to every one and comes back after a loss. */
	relays: readonly string[];
	/** STUN and TURN servers; none by default: nobody else's servers are asked without the operator's wish. */
	iceServers?: readonly RTCIceServer[];
	/** `relay` forces TURN. @default "all" */
	iceTransportPolicy?: RTCIceTransportPolicy;
	/** Program and version for the hello. */
	agent: string;
	/** Optional protocol abilities for the hello. */
	features?: readonly string[];
	signal?: AbortSignal;
}

/**
 * Who has what, as records that the relays keep: for swarms in which not everybody can be told everything. Claims only;
 * whoever asks a peer for content checks what comes.
 */
export interface ProviderRecords {
	/**
	 * Says that this peer has the content with this SHA-256. It holds for two hours at most, and until this peer leaves the relay.
	 *
	 * @throws PeerUnreachableError where no relay took it
	 */
	provide(digest: Uint8Array, options?: { signal?: AbortSignal }): Promise<void>;
	/** Ids of other peers that said so, at most 32 of each relay. */
	find(digest: Uint8Array, options?: { signal?: AbortSignal }): AsyncIterable<string>;
}

/** One libp2p node, reduced to what the rooms above need. */
export interface Peer {
	readonly id: string;
	readonly connections: readonly ConnectionView[];
	addEventListener<K extends keyof PeerEvents>(
		type: K,
		listener: (event: PeerEvents[K]) => void,
		options?: AddEventListenerOptions,
	): void;
	removeEventListener<K extends keyof PeerEvents>(type: K, listener: (event: PeerEvents[K]) => void): void;
	/**
	 * Joins a gossip topic. Relays follow topics whose names begin with `tabmesh/cstore/`, hand on signed envelopes of shared
	 * state, and remember for {@link rendezvous} who is here and what each author wrote last.
	 *
	 * @throws InvalidParameterError when it was joined already
	 */
	topic(name: string, options: TopicOptions): Topic;
	/**
	 * Serves a protocol until the returned function is called. An error thrown by `handler` aborts that stream only; when
	 * it returns, our side of the stream is ended and whatever still comes is thrown away.
	 *
	 * @throws InvalidParameterError when the protocol is served already
	 */
	serve(protocol: StreamProtocol, handler: (stream: MessageStream) => Promise<void>): () => void;
	/**
	 * Opens a stream, dialling the peer over WebRTC through a relay first where there is no direct connection. A stream to
	 * our own id stays on this device.
	 *
	 * @throws PeerUnreachableError, PeerBannedError, TimeoutError, UnsupportedVersionError when the peer does not speak
	 * the protocol
	 */
	open(
		peer: string,
		protocol: StreamProtocol,
		options?: { signal?: AbortSignal; timeoutMs?: number },
	): Promise<MessageStream>;
	/** One message there, one back. @throws what `open` throws, and what the handler's `abort` sent */
	request(
		peer: string,
		protocol: StreamProtocol,
		message: Uint8Array,
		options?: { signal?: AbortSignal; timeoutMs?: number },
	): Promise<Uint8Array>;
	/** Notes an offence: the peer loses score, feeds gossip scoring, and is cut off and refused below the threshold. */
	report(peer: string, offence: Offence): void;
	/** 0 for a stranger, down to −100 where a peer is refused; forgiven slowly. */
	score(peer: string): number;
	/**
	 * Asks the relays for what they remember of a topic that they follow: what a newcomer missed. The
	 * messages are as strangers wrote them; check them like any other.
	 *
	 * @returns the messages of all relays that answered, duplicates left out; empty where none did
	 */
	rendezvous(topic: string, options?: { signal?: AbortSignal }): Promise<Uint8Array[]>;
	readonly providerRecords: ProviderRecords;
	/**
	 * Whether a peer is there at the other end of our connection, asked now; false where none stands. A connection that
	 * gives no answer within `timeoutMs` is closed.
	 */
	answers(peer: string, timeoutMs: number): Promise<boolean>;
	/** Last measured round trip to a peer, measured now if unknown. */
	ping(peer: string, options?: { signal?: AbortSignal }): Promise<number>;
	stop(): Promise<void>;
}
