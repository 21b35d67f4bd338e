/** The longest time between two looks at this clock that counts: while a device sleeps, or its only thread loads a model, nobody looks. */
const longestGapMs = 10_000;

/** Counts the time in which this device could have heard somebody. */
export class AwakeClock {
	readonly #now: () => number;
	#last: number;
	#awakeMs = 0;

	/** @param now - milliseconds since 1970 */
	constructor(now: () => number) {
		this.#now = now;
		this.#last = now();
	}

	/** Milliseconds awake since this clock was made. */
	now(): number {
		const now = this.#now();
		this.#awakeMs += Math.min(Math.max(0, now - this.#last), longestGapMs);
		this.#last = now;
		return this.#awakeMs;
	}
}
