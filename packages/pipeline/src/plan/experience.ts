import type { Hop } from "@tabmesh/wire";
import { RecentRoutes } from "./recentRoutes.ts";

/** How far one answer moves what is believed of its stages: half-way, so that a single odd one is soon forgotten. */
const STEP = 0.5;
/** What is believed of a peer counts half after so long: devices cool down, neighbours stop downloading. */
const HALF_LIFE_MS = 10 * 60_000;
/** What a failure counts as: a lap that nobody would choose while there is another. It doubles with every further one. */
const FAILURE_MS = 1_000;
/** What a refusal counts as: honest peers refuse what they announced for as long as news travels, and serve again; it doubles, too. */
const REFUSAL_MS = 50;
/** So long the directory shows a peer that vanished (decision 0013: two and a half periods of 10 s, and 10 s), and a little longer. */
const NOTICED_MS = 40_000;
/** Peers that something is remembered of; the oldest are forgotten first. */
const MOST_PEERS = 1_000;

interface Belief {
	readonly ms: number;
	readonly at: number;
	/** Whether it failed then. */
	readonly failed: boolean;
}

/**
 * What an asker learned of peers by being served. A peer's own figures are where a plan begins; what its laps took is what
 * counts then, so that whoever announces too much loses the streams again.
 *
 * A lap's excess over what was expected is shared out among its stages (Kaczmarz, 1937): over routes with changing
 * neighbours each peer's own share comes out, without any peer having to be believed.
 *
 * Times are passed in, in milliseconds of any steady clock.
 */
export class Experience {
	/** Where the latest answers came from. */
	readonly routes = new RecentRoutes();
	readonly #beliefs = new Map<string, Belief>();

	/** Milliseconds per lap that a peer took longer than it announces; 0 where nothing is known. */
	extraMs(peer: string, now: number): number {
		const belief = this.#beliefs.get(peer);
		return belief ? belief.ms * 0.5 ** (Math.max(0, now - belief.at) / HALF_LIFE_MS) : 0;
	}

	/** Whether it failed so lately that it may be gone, although the directory shows it. */
	isDoubtful(peer: string, now: number): boolean {
		const belief = this.#beliefs.get(peer);
		return belief?.failed === true && now - belief.at < NOTICED_MS;
	}

	/**
	 * Notes how long laps over `hops` took.
	 *
	 * @param announcedMs - what `lapTime` says of the route without any `extraMs`
	 * @param lapMs - median milliseconds between two tokens, as they arrived here
	 */
	served(hops: readonly Hop[], announcedMs: number, lapMs: number, now: number): void {
		const believed = hops.reduce((sum, { peer }) => sum + this.extraMs(peer, now), announcedMs);
		const each = (STEP * (lapMs - believed)) / hops.length;
		for (const { peer } of hops) this.#note(peer, Math.max(0, this.extraMs(peer, now) + each), now, false);
	}

	/** Notes that a peer does not hold what it announces: it is here, and asked after others. */
	refused(peer: string, now: number): void {
		this.#note(peer, Math.max(REFUSAL_MS, 2 * this.extraMs(peer, now)), now, false);
	}

	/** Notes that a peer broke off or sent what is wrong. */
	failed(peer: string, now: number): void {
		this.#note(peer, Math.max(FAILURE_MS, 2 * this.extraMs(peer, now)), now, true);
	}

	#note(peer: string, ms: number, at: number, failed: boolean): void {
		this.#beliefs.delete(peer);
		this.#beliefs.set(peer, { ms, at, failed });
		if (this.#beliefs.size <= MOST_PEERS) return;
		const [oldest] = this.#beliefs.keys();
		this.#beliefs.delete(oldest!);
	}
}
