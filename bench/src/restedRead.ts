import { setTimeout as rest } from "node:timers/promises";
import { median } from "./report.ts";

/** Floats of one cache line. */
const line = 16;

/**
 * Milliseconds that one thread takes to read `bytes` of memory which it last read `restMs` ago: the median of `reads`.
 *
 * What a model's weights cost a stage grows with its rest. The caches of a shared machine are the neighbours' in the meantime.
 */
export async function restedReadMs(bytes: number, restMs: number, reads = 60): Promise<number> {
	const memory = new Float32Array(bytes / 4).fill(1);
	const times: number[] = [];
	for (let read = 0; read < reads; read++) {
		if (restMs > 0) await rest(restMs);
		const started = performance.now();
		let sum = 0;
		for (let i = 0; i < memory.length; i += line) sum += memory[i]!;
		times.push(performance.now() - started);
		if (sum === 0) throw new Error("Nothing was read.");
	}
	return median(times.slice(5));
}
