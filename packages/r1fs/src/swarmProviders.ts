import type { ProviderRecords } from "@tabmesh/transport";
import { parseCid } from "./cid.ts";
import type { Providers } from "./providers.ts";

/**
 * Peers from which on a swarm is large. Every peer hears every announcement and keeps it: 64 files of each of 200 peers are
 * half a megabyte for whoever comes, and any more grows with the square. A record goes to the relays and to who asks.
 */
const largeSwarm = 200;

/** Records that are told at once: relays answer in milliseconds, and hear from everybody. */
const toldAtOnce = 8;

export interface SwarmProvidersInit {
	/** Announcements that every peer of the swarm hears. */
	announced: Providers;
	/** Records that a DHT keeps: transport's. */
	records: ProviderRecords;
	/** Peers in the swarm now, as far as is known here. */
	peersHere: () => number;
	/** @default 200 */
	largeFrom?: number;
}

/** Who has what, from announcements in a small swarm; in a large one from the records of a DHT, too. */
export function swarmProviders(init: SwarmProvidersInit): Providers {
	const { announced, records, peersHere, largeFrom = largeSwarm } = init;
	const isLarge = (): boolean => peersHere() >= largeFrom;
	return {
		async *find(cid, options) {
			// What was announced is here already.
			yield* announced.find(cid, options);
			if (!isLarge()) return;
			for await (const peer of records.find(parseCid(cid).multihash.digest, options)) yield { peer };
		},
		async provide(cids, options) {
			if (!isLarge()) return announced.provide(cids, options);
			const left = cids.values();
			const tell = async (): Promise<void> => {
				for (const cid of left) await records.provide(parseCid(cid).multihash.digest);
			};
			await Promise.all(Array.from({ length: Math.min(toldAtOnce, cids.length) }, tell));
		},
	};
}
