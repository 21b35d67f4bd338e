import type { Backend, WeightFormat } from "@tabmesh/model";

/**
 * What each backend runs best, best first; float32 runs everywhere. Measured: on the CPU 8 bits take a third of the time and of the
 * memory of float32; WebGPU waits for memory, so the fewest bits are the fastest; onnxruntime's kernels for blocks are ten times
 * slower than float32 on WebAssembly, where products of whole numbers are as fast as it in a quarter of the memory.
 */
const preferred: Readonly<Record<Backend, readonly WeightFormat[]>> = {
	cpu: ["q8a8"],
	webgpu: ["q4", "q8"],
	wasm: ["i8"],
};

/**
 * The format that a lender runs on each backend, out of those that a model is offered in.
 *
 * @param fits - whether the whole model fits in float32: WebAssembly gains nothing from fewer bits but room
 */
export function weightChoice(offered: readonly WeightFormat[], fits: boolean): Record<Backend, WeightFormat> {
	const choose = (backend: Backend): WeightFormat =>
		(backend === "wasm" && fits ? [] : preferred[backend]).find((format) => offered.includes(format)) ??
		"f32";
	return { cpu: choose("cpu"), webgpu: choose("webgpu"), wasm: choose("wasm") };
}
