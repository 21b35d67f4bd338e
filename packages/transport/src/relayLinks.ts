import type { Connection, Libp2p, PeerId } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { InvalidParameterError, PeerUnreachableError } from "@tabmesh/wire";

/** First pause before a lost relay is tried again … */
const firstRetryMs = 250;
/** … and the longest; each failure doubles it. Half of it is chance, so that a relay's return is no stampede. */
const longestRetryMs = 15_000;
/** How long one attempt may take. */
const attemptMs = 10_000;

export interface RelayLinksInit {
	libp2p: Libp2p;
	addresses: readonly string[];
	/** Books a place with a relay that we are connected to, so that others can reach us through it. */
	reserve: (relay: PeerId) => Promise<unknown>;
	onChange: (address: string, connected: boolean) => void;
}

/** One relay, as it was given. */
export interface RelayAddress {
	readonly text: string;
	readonly address: Multiaddr;
	readonly peer: PeerId;
	connected: boolean;
}

/** Keeps a connection and a reservation with every relay. */
export class RelayLinks {
	readonly #init: RelayLinksInit;
	readonly #relays: RelayAddress[];
	readonly #peers: ReadonlySet<string>;
	readonly #stopping = new AbortController();

	/** @throws InvalidParameterError for an address without a peer id */
	constructor(init: RelayLinksInit) {
		this.#init = init;
		this.#relays = init.addresses.map(parseRelayAddress);
		this.#peers = new Set(this.#relays.map(({ peer }) => peer.toString()));
	}

	isRelay(peer: string): boolean {
		return this.#peers.has(peer);
	}

	/** Peer ids of the relays that we are connected to. */
	get connected(): string[] {
		return [...new Set(this.connectedPeers.map(String))];
	}

	get connectedPeers(): PeerId[] {
		return this.#relays.filter((relay) => relay.connected).map(({ peer }) => peer);
	}

	/** Where `peer` can be called by WebRTC: through every relay that we are connected to. */
	addressesOf(peer: PeerId): Multiaddr[] {
		return this.#relays
			.filter((relay) => relay.connected)
			.map(({ address }) => multiaddr(`${address}/p2p-circuit/webrtc/p2p/${peer}`));
	}

	/**
	 * Resolves when the first relay is there; the others follow.
	 *
	 * @throws PeerUnreachableError when the first attempt failed with every relay
	 */
	async start(): Promise<void> {
		if (this.#relays.length === 0) return;
		const first = this.#relays.map((relay) => this.#keep(relay));
		try {
			await Promise.any(first);
		} catch (error) {
			const causes = error instanceof AggregateError ? error.errors : [error];
			throw new PeerUnreachableError("No relay can be reached.", {
				cause: causes[0],
				metaMessages: ["Check that the relay runs and that its address is right."],
				details: { relays: this.#relays.length },
			});
		}
	}

	stop(): void {
		this.#stopping.abort();
	}

	/** Keeps one relay for as long as we run; the promise is that of the first attempt. */
	#keep(relay: RelayAddress): Promise<void> {
		return new Promise((resolve, reject) => {
			const run = async (): Promise<void> => {
				let pause = firstRetryMs;
				while (!this.#stopping.signal.aborted) {
					try {
						const connection = await this.#connect(relay);
						pause = firstRetryMs;
						relay.connected = true;
						this.#init.onChange(relay.text, true);
						resolve();
						await gone(connection);
						relay.connected = false;
						if (!this.#stopping.signal.aborted) this.#init.onChange(relay.text, false);
					} catch (error) {
						reject(error);
					}
					await this.#pause(pause / 2 + (Math.random() * pause) / 2);
					pause = Math.min(longestRetryMs, pause * 2);
				}
			};
			void run();
		});
	}

	async #connect(relay: RelayAddress): Promise<Connection> {
		const signal = AbortSignal.any([AbortSignal.timeout(attemptMs), this.#stopping.signal]);
		const connection = await this.#init.libp2p.dial(relay.address, { signal });
		await this.#init.reserve(relay.peer);
		return connection;
	}

	#pause(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const done = (): void => {
				clearTimeout(timer);
				this.#stopping.signal.removeEventListener("abort", done);
				globalThis.removeEventListener?.("online", done);
				resolve();
			};
			const timer = setTimeout(done, ms);
			this.#stopping.signal.addEventListener("abort", done);
			// A device that finds its network again should not sit out a long pause.
			globalThis.addEventListener?.("online", done);
		});
	}
}

function gone(connection: Connection): Promise<void> {
	return new Promise((resolve) => {
		if (connection.status !== "open") resolve();
		else connection.addEventListener("close", () => resolve(), { once: true });
	});
}

/** @throws InvalidParameterError for what is no multiaddr, or names no peer */
export function parseRelayAddress(text: string): RelayAddress {
	try {
		const address = multiaddr(text);
		const id = address.getComponents().findLast(({ name }) => name === "p2p")?.value;
		if (id) return { text, address, peer: peerIdFromString(id), connected: false };
	} catch (cause) {
		throw new InvalidParameterError(`${text} is no multiaddr of a relay.`, { cause });
	}
	throw new InvalidParameterError(`The relay address ${text} names no peer.`, {
		metaMessages: ["It must end in /p2p/12D3KooW…"],
	});
}
