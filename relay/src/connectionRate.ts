/** How many new connections one address may open. */
export interface ConnectionRate {
	/** Connections at once after a quiet time. */
	readonly burst: number;
	/** Connections regained per second. */
	readonly perSecond: number;
}

/**
 * A token bucket per client address. Generous by default in the relay, because a lecture hall opens its tabs behind
 * one address; its purpose is to slow a loop that reconnects, not to count people.
 */
export class ConnectionLimiter {
	readonly #rate: ConnectionRate;
	readonly #now: () => number;
	readonly #buckets = new Map<string, { tokens: number; time: number }>();

	/** @param now - milliseconds, monotonic */
	constructor(rate: ConnectionRate, now: () => number = () => performance.now()) {
		this.#rate = rate;
		this.#now = now;
	}

	/** Takes one connection from the address's share; false when it has none left. */
	take(address: string): boolean {
		const time = this.#now();
		const bucket = this.#buckets.get(address) ?? { tokens: this.#rate.burst, time };
		const regained = ((time - bucket.time) / 1000) * this.#rate.perSecond;
		const tokens = Math.min(this.#rate.burst, bucket.tokens + regained);
		const allowed = tokens >= 1;
		this.#buckets.delete(address);
		this.#buckets.set(address, { tokens: allowed ? tokens - 1 : tokens, time });
		// Oldest first, so that a flood of addresses cannot fill memory. 10,000 buckets are about 2 MB.
		if (this.#buckets.size > 10_000) this.#buckets.delete(this.#buckets.keys().next().value!);
		return allowed;
	}
}
