import type { GossipSub } from "@libp2p/gossipsub";
import type { Connection, ConnectionGater, Libp2p, PeerId, Stream } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import {
	FloodError,
	type Hello,
	InvalidParameterError,
	MalformedMessageError,
	PeerBannedError,
	PeerUnreachableError,
	protocolVersion,
	StreamResetError,
	TabmeshError,
	TimeoutError,
	UnsupportedVersionError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import { pathOf, usesTurn } from "./connectionPath.ts";
import { Acquaintance, helloProtocol } from "./hello.ts";
import { loopbackPair } from "./loopback.ts";
import { CreditedStream } from "./messageStream.ts";
import type { ConnectionView, MessageStream, Offence, Peer, PeerEvents, StreamProtocol } from "./peer.ts";
import type { Reputation } from "./reputation.ts";
import { Topics } from "./topics.ts";

/** The libp2p services that every node of ours has. */
export type NodeServices = { gossip: GossipSub; identify: unknown };

/** How long reaching a peer may take unless the caller says otherwise: signalling and ICE through a TURN server on a slow line. */
const openTimeoutMs = 20_000;
/** How long an answer may take unless the caller says otherwise. */
const requestTimeoutMs = 30_000;
/** Streams of one protocol and peer unless the protocol says otherwise. */
const defaultStreamsPerPeer = 64;
/** How often the round trip of a connection is measured: often enough for a planner, too seldom to matter. */
const pingEveryMs = 30_000;
/** When it is measured first: the moment of a handshake says more about the handshake than about the path. */
const firstPingMs = 1_000;
/** A peer that leaves this unanswered is gone, whatever its transport believes. */
const pingTimeoutMs = 10_000;
/** Silence after which a connection that the other side should ping is closed: throttled tabs run timers once a minute. */
const silenceMs = 180_000;
/** What `@libp2p/webrtc` sends offers, answers and candidates over. */
const signallingProtocol = "/webrtc-signaling/0.0.1";
/** How long a peer whose versions do not meet ours is not dialled again. */
const refusedForMs = 60_000;

/** A protocol and who answers it here. */
interface Service {
	readonly protocol: StreamProtocol;
	readonly handler: (stream: MessageStream) => Promise<void>;
}

/** A connection and what we know of it. */
interface Link {
	readonly connection: Connection;
	readonly peer: string;
	path: ConnectionView["path"];
	readonly since: number;
	acquaintance: Acquaintance | undefined;
	agreement: ConnectionView["agreement"];
	timer: ReturnType<typeof setTimeout> | undefined;
}

export interface PeerNodeInit {
	libp2p: Libp2p<NodeServices>;
	reputation: Reputation;
	agent: string;
	features: readonly string[];
	/** Whether a peer is one of our relays. */
	isRelay: (peer: string) => boolean;
	/** Makes a direct connection to a peer, or throws PeerUnreachableError. */
	dial: (peer: PeerId, signal: AbortSignal) => Promise<Connection>;
	/** The rest of the Peer's shutdown, before libp2p stops. */
	onStop?: () => Promise<void>;
}

/** The gater of every node: loopback and plain WebSockets are welcome, banned peers are not. */
export function nodeGater(reputation: Reputation): ConnectionGater {
	const banned = (peer: PeerId): boolean => reputation.banned(peer.toString());
	return {
		// libp2p's own gater refuses loopback, private addresses and ws:// in browsers.
		denyDialMultiaddr: () => false,
		denyDialPeer: banned,
		denyInboundEncryptedConnection: banned,
		denyInboundRelayedConnection: (_relay, peer) => banned(peer),
		denyInboundRelayReservation: banned,
		denyOutboundRelayedConnection: (source, target) => banned(source) || banned(target),
	};
}

/** What pages, Node peers and relays share: connections with their hellos, streams, topics, offences. */
export class PeerNode
	extends TypedEventEmitter<PeerEvents>
	implements Omit<Peer, "rendezvous" | "providerRecords">
{
	readonly id: string;
	readonly #libp2p: Libp2p<NodeServices>;
	readonly #init: PeerNodeInit;
	readonly #topics: Topics;
	readonly #links = new Map<string, Link>();
	readonly #linksOf = new Map<string, Link[]>();
	readonly #dials = new Map<string, PromiseWithResolvers<Connection>>();
	readonly #refused = new Map<string, { error: UnsupportedVersionError; until: number }>();
	/** Open streams by protocol and peer, both directions. */
	readonly #streams = new Map<string, number>();
	readonly #served = new Map<string, Service>();
	readonly #stopping = new AbortController();
	#stopped: Promise<void> | undefined;

	constructor(init: PeerNodeInit) {
		super();
		this.#init = init;
		this.#libp2p = init.libp2p;
		this.id = init.libp2p.peerId.toString();
		this.#topics = new Topics({
			gossip: init.libp2p.services.gossip,
			report: (peer, offence) => this.report(peer, offence),
			isRelay: init.isRelay,
			relays: () => [...this.#links.values()].filter(({ peer }) => init.isRelay(peer)),
		});
		init.libp2p.addEventListener("connection:open", ({ detail }) => this.#opened(detail));
		init.libp2p.addEventListener("connection:close", ({ detail }) => this.#closed(detail));
	}

	/** Serves what every node serves, and takes notice of connections that are there already. */
	async start(): Promise<void> {
		this.serve(helloProtocol, async (stream) => {
			// Which of several connections it came over does not matter: it speaks for the peer, and dies with its own.
			const connection = this.#connectionOf.get(stream);
			const link = connection && this.#links.get(connection.id);
			if (!link || link.acquaintance) throw new StreamResetError("One hello for each connection.");
			await this.#greet(link, stream);
			await stream.closed;
		});
		for (const connection of this.#libp2p.getConnections()) this.#opened(connection);
	}

	get connections(): readonly ConnectionView[] {
		const views: ConnectionView[] = [];
		for (const links of this.#linksOf.values()) {
			const best = links.find(({ path }) => path !== "relayed") ?? links[0];
			if (best) views.push(viewOf(best));
		}
		return views;
	}

	topic(name: string, options: Parameters<Peer["topic"]>[1]): ReturnType<Peer["topic"]> {
		return this.#topics.join(name, options);
	}

	readonly #connectionOf = new WeakMap<MessageStream, Connection>();

	serve(protocol: StreamProtocol, handler: (stream: MessageStream) => Promise<void>): () => void {
		if (this.#served.has(protocol.id)) {
			throw new InvalidParameterError(`The protocol ${protocol.id} is served already.`);
		}
		const service = { protocol, handler };
		this.#served.set(protocol.id, service);
		const most = protocol.maxStreamsPerPeer ?? defaultStreamsPerPeer;
		const ready = this.#libp2p.handle(
			protocol.id,
			(stream, connection) => this.#accept(stream, connection.remotePeer.toString(), service, connection),
			{
				// Ours is the limit that counts, over all connections of a peer; libp2p's is the wall behind it.
				maxInboundStreams: most * 2,
				maxOutboundStreams: most * 2,
				runOnLimitedConnection: protocol.overRelay === true,
			},
		);
		return () => {
			this.#served.delete(protocol.id);
			void ready.then(() => this.#libp2p.unhandle(protocol.id));
		};
	}

	#accept(stream: Stream, peer: string, { protocol, handler }: Service, connection?: Connection): void {
		if (this.#init.reputation.banned(peer)) {
			stream.abort(new PeerBannedError("This peer is banned here."));
			return;
		}
		const key = `${protocol.id} ${peer} in`;
		if ((this.#streams.get(key) ?? 0) >= (protocol.maxStreamsPerPeer ?? defaultStreamsPerPeer)) {
			stream.abort(new FloodError("Too many streams."));
			this.report(peer, "flood");
			return;
		}
		const messages = this.#wrap(stream, peer, protocol, key);
		if (connection) this.#connectionOf.set(messages, connection);
		handler(messages)
			.then(() => messages.finish())
			.catch((error) => messages.abort(error instanceof Error ? error : new Error(String(error))));
	}

	#wrap(stream: Stream, remote: string, protocol: StreamProtocol, key: string): CreditedStream {
		this.#streams.set(key, (this.#streams.get(key) ?? 0) + 1);
		return new CreditedStream({
			stream,
			remote,
			protocol,
			onOffence: (offence) => this.report(remote, offence),
			onClosed: () => {
				const open = (this.#streams.get(key) ?? 1) - 1;
				if (open > 0) this.#streams.set(key, open);
				else this.#streams.delete(key);
			},
		});
	}

	async open(
		peer: string,
		protocol: StreamProtocol,
		options: { signal?: AbortSignal; timeoutMs?: number } = {},
	): Promise<MessageStream> {
		const signal = deadline(options.signal, options.timeoutMs ?? openTimeoutMs, this.#stopping.signal);
		try {
			signal.throwIfAborted();
			if (peer === this.id) return this.#openToSelf(protocol);
			const connection = await this.#reach(peer, protocol.overRelay === true, signal);
			return await this.#openOn(connection, protocol, signal);
		} catch (error) {
			throw this.#openError(error, peer, options.signal, signal);
		}
	}

	async #openOn(
		connection: Connection,
		protocol: StreamProtocol,
		signal: AbortSignal,
	): Promise<CreditedStream> {
		const most = protocol.maxStreamsPerPeer ?? defaultStreamsPerPeer;
		const stream = await connection.newStream(protocol.id, {
			signal,
			runOnLimitedConnection: protocol.overRelay === true,
			maxOutboundStreams: most * 2,
		});
		const remote = connection.remotePeer.toString();
		const messages = this.#wrap(stream, remote, protocol, `${protocol.id} ${remote} out`);
		this.#connectionOf.set(messages, connection);
		return messages;
	}

	/** A peer that serves and asks is its own neighbour: the same streams with the same limits, and no network between. */
	#openToSelf(protocol: StreamProtocol): CreditedStream {
		const service = this.#served.get(protocol.id);
		if (!service) throw new UnsupportedVersionError("This peer does not serve the protocol itself.");
		const [near, far] = loopbackPair(protocol.id, this.#libp2p.logger);
		const messages = this.#wrap(near, this.id, protocol, `${protocol.id} ${this.id} out`);
		this.#accept(far, this.id, service);
		return messages;
	}

	async request(
		peer: string,
		protocol: StreamProtocol,
		message: Uint8Array,
		options: { signal?: AbortSignal; timeoutMs?: number } = {},
	): Promise<Uint8Array> {
		const signal = deadline(options.signal, options.timeoutMs ?? requestTimeoutMs, this.#stopping.signal);
		const stream = await this.open(peer, protocol, { signal, timeoutMs: requestTimeoutMs }).catch((error) => {
			throw this.#openError(error, peer, options.signal, signal);
		});
		const cancel = (): void =>
			stream.abort(this.#openError(signal.reason, peer, options.signal, signal) as Error);
		signal.addEventListener("abort", cancel, { once: true });
		try {
			await stream.send(message, { signal });
			await stream.close();
			for await (const answer of stream) {
				void (stream as CreditedStream).finish();
				return answer;
			}
			throw new MalformedMessageError("A peer ended a request without an answer.");
		} catch (error) {
			stream.abort(error as Error);
			throw error;
		} finally {
			signal.removeEventListener("abort", cancel);
		}
	}

	report(peer: string, offence: Offence): void {
		// Who meets his own mistake is told by its error.
		if (peer === this.id) return;
		if (!this.#init.reputation.report(peer, offence)) return;
		for (const { connection } of [...(this.#linksOf.get(peer) ?? [])]) {
			connection.abort(new PeerBannedError("This peer is banned here."));
		}
		this.safeDispatchEvent("banned", { detail: { peer, offence } });
	}

	score(peer: string): number {
		return this.#init.reputation.score(peer);
	}

	async answers(peer: string, timeoutMs: number): Promise<boolean> {
		const links = this.#linksOf.get(peer)?.filter(({ agreement }) => agreement !== undefined) ?? [];
		const answered = await Promise.all(
			links.map((link) =>
				link.acquaintance!.ping(timeoutMs).then(
					() => true,
					(error) => {
						this.#drop(link, error);
						return false;
					},
				),
			),
		);
		return answered.includes(true);
	}

	async ping(peer: string, options: { signal?: AbortSignal } = {}): Promise<number> {
		if (peer === this.id) return 0;
		const known = this.#greeted(peer);
		if (known?.rttMs !== undefined) return known.rttMs;
		const signal = deadline(options.signal, openTimeoutMs, this.#stopping.signal);
		try {
			await this.#reach(peer, false, signal);
			for (;;) {
				signal.throwIfAborted();
				const acquaintance = this.#greeted(peer);
				if (acquaintance) return acquaintance.rttMs ?? (await acquaintance.ping(pingTimeoutMs));
				await new Promise((resolve) => setTimeout(resolve, 20));
				if (!this.#linksOf.has(peer)) throw new PeerUnreachableError("The peer left.");
			}
		} catch (error) {
			throw this.#openError(error, peer, options.signal, signal);
		}
	}

	stop(): Promise<void> {
		this.#stopped ??= (async () => {
			this.#stopping.abort(new PeerUnreachableError("This peer has stopped."));
			await this.#init.onStop?.();
			for (const link of this.#links.values()) clearTimeout(link.timer);
			await this.#libp2p.stop();
			this.#links.clear();
			this.#linksOf.clear();
		})();
		return this.#stopped;
	}

	// Connections

	/** A connection that streams may run on: an existing one, or the one dial that all callers share. */
	async #reach(peer: string, overRelay: boolean, signal: AbortSignal): Promise<Connection> {
		if (this.#init.reputation.banned(peer)) {
			throw new PeerBannedError("This peer is banned here.", { details: { peer } });
		}
		const refused = this.#refused.get(peer);
		if (refused && refused.until > performance.now()) throw refused.error;
		const connection = this.#openTo(peer, overRelay);
		if (connection) return connection;
		let dial = this.#dials.get(peer);
		if (!dial) {
			dial = Promise.withResolvers();
			dial.promise.catch(() => {});
			this.#dials.set(peer, dial);
			// Not the caller's signal: others may wait for the same dial.
			const limit = AbortSignal.any([AbortSignal.timeout(openTimeoutMs), this.#stopping.signal]);
			const { resolve, reject } = dial;
			this.#dial(peer, limit)
				.then(resolve, reject)
				.finally(() => {
					if (this.#dials.get(peer) === dial) this.#dials.delete(peer);
				});
		}
		return abortable(dial.promise, signal);
	}

	/** The peer is here, by whichever side's dial: nobody waits for ours any longer. */
	#reached({ peer, connection }: Link): void {
		this.#dials.get(peer)?.resolve(connection);
		this.#dials.delete(peer);
	}

	#openTo(peer: string, overRelay: boolean): Connection | undefined {
		const links = this.#linksOf.get(peer)?.filter(({ connection }) => connection.status === "open") ?? [];
		return (links.find(({ path }) => path !== "relayed") ?? (overRelay ? links[0] : undefined))?.connection;
	}

	async #dial(peer: string, signal: AbortSignal): Promise<Connection> {
		let id: PeerId;
		try {
			id = peerIdFromString(peer);
		} catch (cause) {
			throw new PeerUnreachableError(`${peer.slice(0, 80)} is no peer id.`, { cause });
		}
		// A handshake that broke rather than timed out deserves a second chance: both sides may have dialled at once.
		const connection = await this.#init.dial(id, signal).catch((error) => {
			if (signal.aborted || error instanceof TabmeshError) throw error;
			return this.#openTo(peer, false) ?? this.#init.dial(id, signal);
		});
		this.#hangUp(peer);
		return connection;
	}

	/**
	 * Closes what runs to a peer through relays, where signalling is done: it would only count against everybody's
	 * reservation. The other side may dial at the same time, over the same connection, and would wait for an answer until
	 * its deadline.
	 */
	#hangUp(peer: string): void {
		for (const { path, connection } of [...(this.#linksOf.get(peer) ?? [])]) {
			if (path !== "relayed") continue;
			const signalling = connection.streams.find(({ protocol }) => protocol === signallingProtocol);
			if (signalling) signalling.addEventListener("close", () => this.#hangUp(peer), { once: true });
			else connection.close().catch((error) => connection.abort(error));
		}
	}

	#opened(connection: Connection): void {
		if (this.#links.has(connection.id)) return;
		const peer = connection.remotePeer.toString();
		const link: Link = {
			connection,
			peer,
			path: pathOf(connection),
			since: connection.timeline.open,
			acquaintance: undefined,
			agreement: undefined,
			timer: undefined,
		};
		this.#links.set(connection.id, link);
		const links = this.#linksOf.get(peer);
		if (links) links.push(link);
		else this.#linksOf.set(peer, [link]);
		this.safeDispatchEvent("connect", { detail: viewOf(link) });
		if (link.path === "relayed") return;
		if (link.path === "direct") {
			void usesTurn(connection).then((turn) => {
				if (turn) link.path = "turn";
			});
		}
		if (connection.direction === "outbound") {
			this.#openOn(connection, helloProtocol, AbortSignal.timeout(pingTimeoutMs))
				.then((stream) => this.#greet(link, stream))
				.catch((error) => this.#drop(link, error));
		} else {
			link.timer = setTimeout(() => {
				if (!link.acquaintance) this.#drop(link, new TimeoutError("A peer did not say hello."));
			}, pingTimeoutMs * 2);
		}
	}

	#closed(connection: Connection): void {
		const link = this.#links.get(connection.id);
		if (!link) return;
		clearTimeout(link.timer);
		this.#links.delete(connection.id);
		const left = this.#linksOf.get(link.peer)?.filter((other) => other !== link) ?? [];
		if (left.length > 0) {
			this.#linksOf.set(link.peer, left);
			return;
		}
		this.#linksOf.delete(link.peer);
		this.#topics.forget(link.peer);
		this.safeDispatchEvent("disconnect", { detail: { peer: link.peer } });
	}

	async #greet(link: Link, stream: MessageStream): Promise<void> {
		const acquaintance = new Acquaintance(stream, this.#hello());
		link.acquaintance = acquaintance;
		// Browsers notice a lost peer connection after many seconds, its data channels at once.
		void stream.closed.then((reason) =>
			this.#drop(link, reason ?? new StreamResetError("The peer said goodbye.")),
		);
		try {
			link.agreement = await acquaintance.agreement;
			this.#reached(link);
		} catch (error) {
			if (error instanceof UnsupportedVersionError) {
				this.#refused.set(link.peer, { error, until: performance.now() + refusedForMs });
				if (this.#refused.size > 1000) this.#refused.delete(this.#refused.keys().next().value!);
			}
			throw error;
		}
		clearTimeout(link.timer);
		this.#keepMeasuring(link, acquaintance);
	}

	#keepMeasuring(link: Link, acquaintance: Acquaintance): void {
		const outbound = link.connection.direction === "outbound";
		const measure = (): void => {
			acquaintance.ping(pingTimeoutMs).catch((error) => this.#drop(link, error));
		};
		const tick = (): void => {
			// The side that dialled pings, the other listens: half the traffic, and a relay has nothing to do.
			if (outbound) measure();
			else if (performance.now() - acquaintance.heardAt > silenceMs) {
				this.#drop(link, new TimeoutError("A peer fell silent."));
				return;
			}
			link.timer = setTimeout(tick, pingEveryMs);
		};
		// Both ends of a direct connection measure at least once, so that planners have a number for everybody.
		link.timer = setTimeout(() => {
			if (!outbound && link.path !== "socket") measure();
			tick();
		}, firstPingMs);
	}

	#drop(link: Link, reason: Error): void {
		if (!this.#links.has(link.connection.id)) return;
		clearTimeout(link.timer);
		link.connection.abort(reason);
	}

	#greeted(peer: string): Acquaintance | undefined {
		return this.#linksOf.get(peer)?.find(({ agreement }) => agreement !== undefined)?.acquaintance;
	}

	#hello(): Hello {
		return {
			majors: [protocolVersion.oldestMajor, protocolVersion.major],
			minor: protocolVersion.minor,
			features: [...this.#init.features],
			agent: this.#init.agent.slice(0, 64),
		};
	}

	#openError(error: unknown, peer: string, ours: AbortSignal | undefined, limit: AbortSignal): unknown {
		if (ours?.aborted) return ours.reason;
		if (this.#stopping.signal.aborted) return this.#stopping.signal.reason;
		if (error instanceof TabmeshError) return error;
		const refused = this.#refused.get(peer);
		if (refused && refused.until > performance.now()) return refused.error;
		const details = { peer };
		if (limit.aborted || (error as Error | undefined)?.name === "TimeoutError") {
			return new TimeoutError("A peer did not answer in time.", { cause: error, details });
		}
		if ((error as Error | undefined)?.name === "UnsupportedProtocolError") {
			return new UnsupportedVersionError("The peer does not speak this protocol.", { cause: error, details });
		}
		return new PeerUnreachableError("No connection to the peer could be made, or it broke.", {
			cause: error,
			details,
		});
	}
}

function viewOf(link: Link): ConnectionView {
	return {
		peer: link.peer,
		path: link.path,
		rttMs: link.acquaintance?.rttMs,
		since: link.since,
		agreement: link.agreement,
	};
}

function deadline(ours: AbortSignal | undefined, timeoutMs: number, stopping: AbortSignal): AbortSignal {
	const signals = [AbortSignal.timeout(timeoutMs), stopping];
	if (ours) signals.push(ours);
	return AbortSignal.any(signals);
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
	if (signal.aborted) return Promise.reject(signal.reason);
	return new Promise((resolve, reject) => {
		const cancel = (): void => reject(signal.reason);
		signal.addEventListener("abort", cancel, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", cancel));
	});
}
