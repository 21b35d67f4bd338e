import { cpus } from "node:os";

/** What the processors did since the system started, and this process since it did; milliseconds of one processor. */
export interface ProcessorTimes {
	readonly total: number;
	readonly idle: number;
	readonly own: number;
}

/** Reads the counters of the system; they say nothing alone, two readings do. */
export function processorTimes(): ProcessorTimes {
	let [total, idle] = [0, 0];
	for (const { times } of cpus()) {
		total += times.user + times.nice + times.sys + times.idle + times.irq;
		idle += times.idle;
	}
	const { user, system } = process.cpuUsage();
	return { total, idle, own: (user + system) / 1000 };
}

/**
 * Which share of the processors other programs used between two readings, 0 to 1. A load average would count our own
 * work, and one system has none.
 */
export function othersShare(before: ProcessorTimes, after: ProcessorTimes): number {
	const total = after.total - before.total;
	if (total <= 0) return 0;
	const busy = total - (after.idle - before.idle);
	return Math.min(1, Math.max(0, (busy - (after.own - before.own)) / total));
}

/** Between two readings. */
export const loadEveryMs = 2000;
/** A burst is no load: it is one when it lasts six seconds. */
const above = 3;
/** Whoever works comes back after a pause of reading; half a minute of quiet is none. */
const below = 15;

/** Tells from one reading after the other whether others need the machine; slow to change its mind, so that nothing flutters. */
export class LoadGate {
	readonly #most: number;
	#row = 0;
	#closed = false;

	/** @param most - share of the processors that others may use while we work, 0 to 1 */
	constructor(most: number) {
		this.#most = most;
	}

	/** @returns whether we should hold still after this reading */
	add(share: number): boolean {
		this.#row = share > this.#most === this.#closed ? 0 : this.#row + 1;
		if (this.#row >= (this.#closed ? below : above)) {
			this.#closed = !this.#closed;
			this.#row = 0;
		}
		return this.#closed;
	}
}
