const MINUTE_MS = 60_000;

/** What is left to whoever asked. */
export interface Allowance {
	readonly allowed: boolean;
	readonly limit: number;
	/** Whole requests that may come at once now. */
	readonly remaining: number;
	/** Until one more may come. */
	readonly waitMs: number;
}

/** A token bucket for each key: so many requests at once, and as many again within each minute. */
export class RequestRate {
	readonly #perMinute: number;
	readonly #now: () => number;
	readonly #buckets = new Map<number, { tokens: number; time: number }>();

	/** @param now - milliseconds, monotonic */
	constructor(perMinute: number, now: () => number = () => performance.now()) {
		this.#perMinute = perMinute;
		this.#now = now;
	}

	/** Takes one request from the share of the key at `place`. */
	take(place: number): Allowance {
		const time = this.#now();
		const limit = this.#perMinute;
		const bucket = this.#buckets.get(place) ?? { tokens: limit, time };
		const tokens = Math.min(limit, bucket.tokens + ((time - bucket.time) * limit) / MINUTE_MS);
		const allowed = tokens >= 1;
		const left = allowed ? tokens - 1 : tokens;
		this.#buckets.set(place, { tokens: left, time });
		const waitMs = left >= 1 ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / limit);
		return { allowed, limit, remaining: Math.floor(left), waitMs };
	}
}
