import { halfTable } from "./halfTable.ts";

// Blocks of 32 weights with one scale each. Nibble j holds weight j, the upper nibble weight j + 16.

/** half d · 16 bytes of nibbles: d · (q − 8). */
export function fromQ4_0(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 18, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		for (let j = 0; j < 16; j++) {
			const byte = source[at + 2 + j]!;
			out[to + j] = d * ((byte & 15) - 8);
			out[to + j + 16] = d * ((byte >>> 4) - 8);
		}
	}
}

/** half d · half m · 16 bytes of nibbles: d · q + m. */
export function fromQ4_1(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 20, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const m = half[source[at + 2]! | (source[at + 3]! << 8)]!;
		for (let j = 0; j < 16; j++) {
			const byte = source[at + 4 + j]!;
			out[to + j] = d * (byte & 15) + m;
			out[to + j + 16] = d * (byte >>> 4) + m;
		}
	}
}

/** half d · 32 fifth bits · 16 bytes of nibbles: d · (q − 16). */
export function fromQ5_0(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 22, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const low = source[at + 2]! | (source[at + 3]! << 8);
		const high = source[at + 4]! | (source[at + 5]! << 8);
		for (let j = 0; j < 16; j++) {
			const byte = source[at + 6 + j]!;
			out[to + j] = d * (((byte & 15) | (((low >>> j) & 1) << 4)) - 16);
			out[to + j + 16] = d * (((byte >>> 4) | (((high >>> j) & 1) << 4)) - 16);
		}
	}
}

/** half d · half m · 32 fifth bits · 16 bytes of nibbles: d · q + m. */
export function fromQ5_1(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 24, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const m = half[source[at + 2]! | (source[at + 3]! << 8)]!;
		const low = source[at + 4]! | (source[at + 5]! << 8);
		const high = source[at + 6]! | (source[at + 7]! << 8);
		for (let j = 0; j < 16; j++) {
			const byte = source[at + 8 + j]!;
			out[to + j] = d * ((byte & 15) | (((low >>> j) & 1) << 4)) + m;
			out[to + j + 16] = d * ((byte >>> 4) | (((high >>> j) & 1) << 4)) + m;
		}
	}
}

/** half d · 32 int8: d · q. */
export function fromQ8_0(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	const signed = new Int8Array(source.buffer, source.byteOffset, source.byteLength);
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 34, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		for (let j = 0; j < 32; j++) out[to + j] = d * signed[at + 2 + j]!;
	}
}

/** The sixteen levels of the IQ4 formats, finer around zero (`kvalues_iq4nl` in ggml). */
export const iq4Levels = Int8Array.of(
	-127,
	-104,
	-83,
	-65,
	-49,
	-35,
	-22,
	-10,
	1,
	13,
	25,
	38,
	53,
	69,
	89,
	113,
);

/** half d · 16 bytes of nibbles: d · level[q]. */
export function fromIQ4_NL(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 18, to += 32) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		for (let j = 0; j < 16; j++) {
			const byte = source[at + 2 + j]!;
			out[to + j] = d * iq4Levels[byte & 15]!;
			out[to + j + 16] = d * iq4Levels[byte >>> 4]!;
		}
	}
}
