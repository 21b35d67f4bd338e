import type { Hop } from "@tabmesh/wire";
import { KEEP_MS, sharedLinks } from "../stage/keptPrefixes.ts";

/** Routes that are remembered: as many streams as two lenders keep for one asker. */
const MOST = 16;

/** Positions of a stream, from the first to the one behind the last. */
export type Stretch = readonly [from: number, to: number];

/** What is remembered of a stream. */
export interface RecentRoute {
	readonly model: string;
	/** Of the whole stream, as its stages were told them at the end. */
	readonly links: Uint8Array;
	readonly hops: readonly Hop[];
	/** Positions that were computed one by one, in order: those of answers. */
	readonly decoded: readonly Stretch[];
	/** By any steady clock, in milliseconds. */
	readonly at: number;
}

/** The routes that an asker's streams took lately: their stages may have kept what the next stream begins with. */
export class RecentRoutes {
	readonly #routes: RecentRoute[] = [];

	/** @param route - as it was when the stream ended */
	note(route: RecentRoute): void {
		if (route.links.byteLength === 0) return;
		this.#routes.push(route);
		if (this.#routes.length > MOST) this.#routes.shift();
	}

	/** The newest route of those streams that have the longest beginning of the one with `links`. */
	find(model: string, links: Uint8Array, now: number): RecentRoute | undefined {
		let longest = 0;
		let found: RecentRoute | undefined;
		for (const route of this.#routes) {
			if (route.model !== model || now - route.at > KEEP_MS) continue;
			const shared = sharedLinks(links, route.links);
			if (shared === 0 || shared < longest) continue;
			longest = shared;
			found = route;
		}
		return found;
	}
}
