import { halfTable } from "./halfTable.ts";

// JavaScript engines run on little-endian machines only, as model files are: whole arrays can be reinterpreted.

export function fromF32(source: Uint8Array, out: Float32Array): void {
	new Uint8Array(out.buffer, out.byteOffset, source.byteLength).set(source);
}

export function fromF16(source: Uint8Array, out: Float32Array, count: number): void {
	const half = halfTable();
	for (let i = 0; i < count; i++) out[i] = half[source[2 * i]! | (source[2 * i + 1]! << 8)]!;
}

/** bfloat16 is the upper half of a float32. */
export function fromBF16(source: Uint8Array, out: Float32Array, count: number): void {
	const words = new Uint32Array(out.buffer, out.byteOffset, count);
	for (let i = 0; i < count; i++) words[i] = (source[2 * i]! << 16) | (source[2 * i + 1]! << 24);
}
