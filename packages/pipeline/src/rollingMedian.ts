/** Measurements that count: enough for a steady median, few enough to follow a device that heats up. */
const WINDOW = 32;

/** The median of the latest measurements. */
export class RollingMedian {
	readonly #latest: number[] = [];
	#next = 0;

	add(value: number): void {
		this.#latest[this.#next] = value;
		this.#next = (this.#next + 1) % WINDOW;
	}

	/** 0 before the first measurement. */
	get value(): number {
		const sorted = this.#latest.toSorted((a, b) => a - b);
		return sorted[sorted.length >>> 1] ?? 0;
	}
}
