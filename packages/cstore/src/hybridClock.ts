/** Events that one stamp's millisecond can tell apart; what goes beyond borrows from the next millisecond. */
const eventsPerMs = 1000;

/** The stamp at which the millisecond `ms` begins. */
export function stampOf(ms: number): number {
	return Math.floor(ms) * eventsPerMs;
}

/** The milliseconds since 1970 in a stamp. */
export function timeOf(stamp: number): number {
	return Math.floor(stamp / eventsPerMs);
}

/**
 * A hybrid logical clock: stamps that follow the wall clock, and yet every stamp is above all that this peer has made
 * or seen, so that what was written in answer to something is newer than it, whatever the two devices' clocks say.
 *
 * A stamp is one integer, `milliseconds × 1000 + counter`: the pair (l, c) of the paper with the counter's carry running
 * into the milliseconds, below 2^53 until the year 2255. It is the sequence number of the envelope that carries it.
 *
 * @see Kulkarni, Demirbas, Madappa, Avva, Leone: Logical Physical Clocks, OPODIS 2014, figure 5
 */
export class HybridClock {
	readonly #now: () => number;
	#last = 0;

	/** @param now - milliseconds since 1970 */
	constructor(now: () => number) {
		this.#now = now;
	}

	/** Milliseconds since 1970, never behind what was seen: what peers that hear each other agree on. */
	get time(): number {
		return Math.max(this.#now(), timeOf(this.#last));
	}

	/** The stamp of something that happens here now. */
	tick(): number {
		this.#last = Math.max(this.#last + 1, stampOf(this.#now()));
		return this.#last;
	}

	/** Takes notice of a stamp from elsewhere. Whoever calls has refused stamps from the future. */
	observe(stamp: number): void {
		if (stamp > this.#last) this.#last = stamp;
	}
}
