import type { PeerId } from "@libp2p/interface";
import type { KadDHT, KadDHTComponents, SingleKadDHT } from "@libp2p/kad-dht";
import { PeerUnreachableError, protocolId } from "@tabmesh/wire";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { create as createDigest } from "multiformats/hashes/digest";
import { sha256 } from "multiformats/hashes/sha2";
import type { ProviderRecords } from "./peer.ts";
import type { RelayLinks } from "./relayLinks.ts";

/** libp2p's Kademlia messages under a name of our own: our records are nobody else's, and nobody else's are ours. */
export const providerProtocol = protocolId("kad");

/** How long finding or telling may take: relays are connected already. */
const queryMs = 10_000;

/** The library tells what it provides again by itself; r1fs does, who knows what it still has. */
const neverMs = 2 ** 31 - 1;

export interface ProviderRecordsInit {
	id: PeerId;
	/** libp2p's components; there once the node is made. */
	components: () => Libp2pParts;
	relays: Pick<RelayLinks, "connected" | "connectedPeers" | "addressesOf" | "isRelay">;
}

/** What a libp2p node is made of, as far as a DHT needs it. */
export type Libp2pParts = Omit<KadDHTComponents, "ping">;

/** The library's type leaves out that it is started and stopped. */
export function startable(dht: KadDHT): { start(): Promise<void>; stop(): Promise<void> } {
	const service = dht as unknown as { start(): Promise<void>; stop(): Promise<void> };
	return { start: () => service.start(), stop: () => service.stop() };
}

/** What a DHT needs of libp2p, with what is ours instead of its own. Its components are a proxy and cannot be spread. */
export function dhtComponents(
	components: Libp2pParts,
	ours: Partial<KadDHTComponents> & Pick<KadDHTComponents, "datastore" | "ping">,
): KadDHTComponents {
	const { peerId, privateKey, registrar, addressManager, peerStore, connectionManager, events, logger } =
		components;
	return {
		peerId,
		privateKey,
		registrar,
		addressManager,
		peerStore,
		connectionManager,
		events,
		logger,
		...ours,
	};
}

/**
 * Records of who has what in a Kademlia DHT: the relays keep them, peers only ask and tell. The library is loaded when it
 * is first needed, which is in large swarms only.
 */
export class DhtProviderRecords implements ProviderRecords {
	readonly #init: ProviderRecordsInit;
	#opening: Promise<SingleKadDHT> | undefined;

	constructor(init: ProviderRecordsInit) {
		this.#init = init;
	}

	async provide(digest: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<void> {
		const dht = await this.#open();
		let taken = 0;
		for await (const event of dht.provide(contentOf(digest), { signal: limited(options.signal) })) {
			if (event.name === "PEER_RESPONSE" && event.messageName === "ADD_PROVIDER") taken++;
		}
		options.signal?.throwIfAborted();
		if (taken === 0) throw new PeerUnreachableError("No relay took the record of what is here.");
	}

	async *find(digest: Uint8Array, options: { signal?: AbortSignal } = {}): AsyncGenerator<string> {
		const dht = await this.#open();
		const self = this.#init.id.toString();
		const told = new Set<string>([self]);
		for await (const event of dht.findProviders(contentOf(digest), { signal: limited(options.signal) })) {
			if (event.name !== "PROVIDER") continue;
			for (const { id } of event.providers) {
				const peer = id.toString();
				if (told.has(peer)) continue;
				told.add(peer);
				yield peer;
			}
		}
		options.signal?.throwIfAborted();
	}

	async stop(): Promise<void> {
		const opening = this.#opening;
		this.#opening = undefined;
		const dht = await opening?.catch(() => undefined);
		if (dht) await startable(dht).stop();
	}

	async #open(): Promise<SingleKadDHT> {
		this.#opening ??= this.#load();
		this.#opening.catch(() => {
			this.#opening = undefined;
		});
		const dht = await this.#opening;
		// The library notices peers while they are identified, long before it was loaded. Its table is public, if not in its interface.
		const { routingTable } = dht as unknown as { routingTable: { add(peer: PeerId): Promise<void> } };
		await Promise.all(this.#init.relays.connectedPeers.map((relay) => routingTable.add(relay)));
		return dht;
	}

	async #load(): Promise<SingleKadDHT> {
		const { id, relays } = this.#init;
		const [{ kadDHT }, { BlackHoleDatastore }] = await Promise.all([
			import("@libp2p/kad-dht"),
			import("datastore-core/black-hole"),
		]);
		const components = this.#init.components();
		const dht = kadDHT({
			protocol: providerProtocol,
			clientMode: true,
			allowQueryWithZeroPeers: true,
			// Only relays answer: nobody else shall be dialled for being mentioned.
			peerInfoMapper: (peer) => (relays.isRelay(peer.id.toString()) ? peer : { ...peer, multiaddrs: [] }),
			reprovide: { interval: neverMs },
		})(
			dhtComponents(components, {
				datastore: new BlackHoleDatastore(),
				// Where we can be called: we listen nowhere.
				addressManager: Object.create(components.addressManager, {
					getAddresses: { value: () => relays.addressesOf(id) },
				}),
				// Whether a relay is there is known without asking it.
				ping: {
					async ping(peer) {
						if (!relays.connected.includes(peer.toString()))
							throw new PeerUnreachableError("No relay of ours.");
						return 0;
					},
				},
			}),
		) as SingleKadDHT;
		await startable(dht).start();
		return dht;
	}
}

function limited(signal: AbortSignal | undefined): AbortSignal {
	const limit = AbortSignal.timeout(queryMs);
	return signal ? AbortSignal.any([signal, limit]) : limit;
}

/** The key of content in the DHT. Only its hash counts. */
function contentOf(digest: Uint8Array): CID {
	return CID.createV1(raw.code, createDigest(sha256.code, digest));
}
