import type { Hop } from "@tabmesh/wire";
import { KEEP_MS, sharedLinks } from "../stage/keptPrefixes.ts";

/** Routes that are remembered: as many streams as two lenders keep for one asker. */
const MOST = 16;

interface RecentRoute {
	readonly model: string;
	readonly links: Uint8Array;
	readonly hops: readonly Hop[];
	/** By any steady clock, in milliseconds. */
	readonly at: number;
}

/** The routes that an asker's streams took lately: their stages may have kept what the next stream begins with. */
export class RecentRoutes {
	readonly #routes: RecentRoute[] = [];

	/** @param links - of the whole stream, as its stages were told them at the end */
	note(model: string, links: Uint8Array, hops: readonly Hop[], now: number): void {
		if (links.byteLength === 0) return;
		this.#routes.push({ model, links, hops, at: now });
		if (this.#routes.length > MOST) this.#routes.shift();
	}

	/** The newest route of those streams that have the longest beginning of the one with `links`. */
	find(model: string, links: Uint8Array, now: number): readonly Hop[] | undefined {
		let longest = 0;
		let found: readonly Hop[] | undefined;
		for (const route of this.#routes) {
			if (route.model !== model || now - route.at > KEEP_MS) continue;
			const shared = sharedLinks(links, route.links);
			if (shared === 0 || shared < longest) continue;
			longest = shared;
			found = route.hops;
		}
		return found;
	}
}
