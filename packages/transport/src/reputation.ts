import type { Offence } from "./peer.ts";

/**
 * What an offence costs. Nothing that a slow network can cause adds up to a ban within the minutes in which it is
 * forgiven; a proof of malice is one at once.
 */
const costs: Record<Offence, number> = {
	timeout: 5,
	flood: 20,
	malformed: 25,
	violation: 25,
	"wrong-bytes": 50,
	"wrong-result": 50,
	equivocation: 100,
};

/** At this score a peer is cut off … */
const banAt = -100;
/** … and it is let in again at this one: 25 minutes later. */
const forgiveAt = -50;
/** Points that come back per millisecond: two a minute. */
const recovery = 2 / 60_000;
/** Peers remembered at once. New keys cost nothing, so memory for bad ones must. */
const capacity = 10_000;

interface Record_ {
	score: number;
	at: number;
	banned: boolean;
}

/** What we hold against peers. Our own judgement only; it is never passed on. */
export class Reputation {
	readonly #records = new Map<string, Record_>();
	readonly #now: () => number;

	/** @param now - a clock that nobody sets, in milliseconds */
	constructor(now: () => number = () => performance.now()) {
		this.#now = now;
	}

	/** Whether this offence was the one that bans the peer. */
	report(peer: string, offence: Offence): boolean {
		const now = this.#now();
		const before = this.#current(peer, now);
		const score = Math.max(banAt, (before?.score ?? 0) - costs[offence]);
		const banned = (before?.banned ?? false) || score <= banAt;
		// Back to the end: the map is in the order of the last offences.
		this.#records.delete(peer);
		this.#records.set(peer, { score, at: now, banned });
		if (this.#records.size > capacity) this.#forget(now);
		return banned && !before?.banned;
	}

	score(peer: string): number {
		return this.#current(peer, this.#now())?.score ?? 0;
	}

	banned(peer: string): boolean {
		return this.#current(peer, this.#now())?.banned ?? false;
	}

	#current(peer: string, now: number): Record_ | undefined {
		const record = this.#records.get(peer);
		if (!record) return undefined;
		const score = Math.min(0, record.score + (now - record.at) * recovery);
		if (score === 0) {
			this.#records.delete(peer);
			return undefined;
		}
		return { score, at: record.at, banned: record.banned && score <= forgiveAt };
	}

	#forget(now: number): void {
		for (const peer of this.#records.keys()) this.#current(peer, now);
		// A tenth at once, so that a flood of new keys does not pay for a search each time.
		const left = capacity * 0.9;
		for (const [peer, { banned }] of this.#records) {
			if (this.#records.size <= left) return;
			if (!banned) this.#records.delete(peer);
		}
		for (const peer of this.#records.keys()) {
			if (this.#records.size <= left) return;
			this.#records.delete(peer);
		}
	}
}
