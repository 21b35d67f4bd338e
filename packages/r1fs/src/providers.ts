import type { HttpOrigin } from "./exchange/httpSource.ts";

/** Somebody who says they have a file. */
export type Provider = { readonly peer: string } | { readonly origin: HttpOrigin };

/** Who has what. Handed in: gossip announcements in a small swarm, a DHT in a large one. Claims only: every block is checked. */
export interface Providers {
	/** Providers of a file by its CID, as they become known; ends when no more are. */
	find(cid: string, options: { signal: AbortSignal }): AsyncIterable<Provider>;
	/**
	 * Tells others that these files can be had here.
	 *
	 * @param options.all - these and no others, the newest first; said again from time to time, because what is told is forgotten
	 */
	provide(cids: readonly string[], options?: { all?: boolean }): Promise<void>;
}
