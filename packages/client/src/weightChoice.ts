import type { Backend, WeightFormat } from "@tabmesh/model";

/**
 * What each backend runs best, best first; float32 runs everywhere. Measured: on the CPU 8 bits take a third of the time and of the
 * memory of float32; WebGPU waits for memory, so the fewest bits are the fastest; onnxruntime's kernels for blocks are ten times
 * slower than float32 on WebAssembly.
 */
const preferred: Readonly<Record<Backend, readonly WeightFormat[]>> = {
	cpu: ["q8"],
	webgpu: ["q4", "q8"],
	wasm: [],
};

/** The format that a lender runs on each backend, out of those that a model is offered in. */
export function weightChoice(offered: readonly WeightFormat[]): Record<Backend, WeightFormat> {
	const choose = (backend: Backend): WeightFormat =>
		preferred[backend].find((format) => offered.includes(format)) ?? "f32";
	return { cpu: choose("cpu"), webgpu: choose("webgpu"), wasm: choose("wasm") };
}
