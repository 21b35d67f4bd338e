import type { Backend, WeightFormat } from "@tabmesh/model";

/**
 * What each backend runs best, best first; float32 runs everywhere. Measured on seven layers of TinyLlama with one thread, in ms for one
 * token and for a prompt of 24: on the CPU 34 and 165 in `i8`, 39 and 143 in `q8a8`, 109 and 194 in float32, more than 1,000 in `q8`.
 * WebGPU waits for memory, so the fewest bits are the fastest. On WebAssembly nothing is faster than float32: TinyLlama over three tabs
 * writes as fast in `i8` but reads a prompt 1.6 times as long; onnxruntime's kernels for blocks take ten times as long.
 */
const preferred: Readonly<Record<Backend, readonly WeightFormat[]>> = {
	cpu: ["i8", "q8a8"],
	webgpu: ["q4", "q8"],
	wasm: [],
};

/** What runs at all and takes less memory than float32; of equal bits the quicker first. */
const sparing: Readonly<Record<Backend, readonly WeightFormat[]>> = {
	cpu: ["i8", "q8a8", "q8", "q4"],
	webgpu: ["q8", "q4"],
	wasm: ["i8", "q8", "q4"],
};

/** Bits of one weight: formats of equal bits differ by the scales between them only. */
export const bitsPerWeight: Readonly<Record<WeightFormat, number>> = {
	f32: 32,
	q8: 8,
	q8a8: 8,
	i8: 8,
	q4: 4,
};

/**
 * The formats that a lender may run on each backend, out of those that a model is offered in: first what it runs best, behind that what
 * takes less memory and less again, for a swarm that has too little.
 */
export function weightChoice(
	offered: readonly WeightFormat[],
): Record<Backend, readonly [WeightFormat, ...WeightFormat[]]> {
	const choose = (backend: Backend): [WeightFormat, ...WeightFormat[]] => {
		const chosen: [WeightFormat, ...WeightFormat[]] = [
			preferred[backend].find((format) => offered.includes(format)) ?? "f32",
		];
		for (const format of sparing[backend]) {
			if (offered.includes(format) && bitsPerWeight[format] < bitsPerWeight[chosen.at(-1)!])
				chosen.push(format);
		}
		return chosen;
	};
	return { cpu: choose("cpu"), webgpu: choose("webgpu"), wasm: choose("wasm") };
}
