import { iq4Levels } from "./blocksOf32.ts";
import { halfTable } from "./halfTable.ts";
import { iq2Grid, iq2Signs } from "./iq2Tables.ts";

// Blocks of 256 weights ("K" formats and their kin): scales of 16 or 32 weights, themselves quantised under one float scale.
//
// All arithmetic is exact in doubles (a half, a 6-bit scale and a 6-bit weight have at most 25 significant bits), so the one
// rounding is that of the store, and results equal those of ggml's single-precision code bit for bit.

/** 16 bytes of (4-bit scale, 4-bit minimum) · 64 bytes of 2-bit weights · half d · half dmin. */
export function fromQ2_K(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 84) {
		const d = half[source[at + 80]! | (source[at + 81]! << 8)]!;
		const min = half[source[at + 82]! | (source[at + 83]! << 8)]!;
		for (let group = 0; group < 16; group++, to += 16) {
			const scale = source[at + group]!;
			const dl = d * (scale & 15);
			const ml = min * (scale >>> 4);
			const quants = at + 16 + ((group >>> 3) << 5) + ((group & 1) << 4);
			const shift = group & 6;
			for (let l = 0; l < 16; l++) out[to + l] = dl * ((source[quants + l]! >>> shift) & 3) - ml;
		}
	}
}

/** 32 bytes of third bits · 64 bytes of 2-bit weights · 16 scales of 6 bits in 12 bytes · half d. */
export function fromQ3_K(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 110) {
		const d = half[source[at + 108]! | (source[at + 109]! << 8)]!;
		const scales = at + 96;
		for (let group = 0; group < 16; group++, to += 16) {
			// Four low bits lie in the nibbles of bytes 0 … 7, two high bits in the pairs of bytes 8 … 11.
			const low = (source[scales + (group & 7)]! >>> ((group >>> 3) << 2)) & 15;
			const high = (source[scales + 8 + (group & 3)]! >>> ((group >>> 2) << 1)) & 3;
			const dl = d * ((low | (high << 4)) - 32);
			const within = (group & 1) << 4;
			const quants = at + 32 + ((group >>> 3) << 5) + within;
			const thirds = at + within;
			const shift = group & 6;
			const bit = group >>> 1;
			for (let l = 0; l < 16; l++) {
				out[to + l] =
					dl * (((source[quants + l]! >>> shift) & 3) + (((source[thirds + l]! >>> bit) & 1) << 2) - 4);
			}
		}
	}
}

/** Scale `j` of eight: 6 bits, packed with the minima into 12 bytes (`get_scale_min_k4` in ggml). */
function scaleOf(source: Uint8Array, at: number, j: number): number {
	return j < 4 ? source[at + j]! & 63 : (source[at + j + 4]! & 15) | ((source[at + j - 4]! >>> 6) << 4);
}

/** Minimum `j` of eight. */
function minimumOf(source: Uint8Array, at: number, j: number): number {
	return j < 4 ? source[at + j + 4]! & 63 : (source[at + j + 4]! >>> 4) | ((source[at + j]! >>> 6) << 4);
}

/** half d · half dmin · 8 scales and minima of 6 bits in 12 bytes · 128 bytes of nibbles. */
export function fromQ4_K(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 144) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const min = half[source[at + 2]! | (source[at + 3]! << 8)]!;
		for (let group = 0; group < 8; group += 2, to += 64) {
			const d1 = d * scaleOf(source, at + 4, group);
			const m1 = min * minimumOf(source, at + 4, group);
			const d2 = d * scaleOf(source, at + 4, group + 1);
			const m2 = min * minimumOf(source, at + 4, group + 1);
			const quants = at + 16 + (group << 4);
			for (let l = 0; l < 32; l++) {
				const byte = source[quants + l]!;
				out[to + l] = d1 * (byte & 15) - m1;
				out[to + l + 32] = d2 * (byte >>> 4) - m2;
			}
		}
	}
}

/** As Q4_K, with 32 bytes of fifth bits in front of the nibbles. */
export function fromQ5_K(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 176) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const min = half[source[at + 2]! | (source[at + 3]! << 8)]!;
		for (let group = 0; group < 8; group += 2, to += 64) {
			const d1 = d * scaleOf(source, at + 4, group);
			const m1 = min * minimumOf(source, at + 4, group);
			const d2 = d * scaleOf(source, at + 4, group + 1);
			const m2 = min * minimumOf(source, at + 4, group + 1);
			const quants = at + 48 + (group << 4);
			for (let l = 0; l < 32; l++) {
				const byte = source[quants + l]!;
				const fifths = source[at + 16 + l]! >>> group;
				out[to + l] = d1 * ((byte & 15) | ((fifths & 1) << 4)) - m1;
				out[to + l + 32] = d2 * ((byte >>> 4) | ((fifths & 2) << 3)) - m2;
			}
		}
	}
}

/** 128 bytes of low nibbles · 64 bytes of high pairs · 16 int8 scales · half d. */
export function fromQ6_K(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 210) {
		const d = half[source[at + 208]! | (source[at + 209]! << 8)]!;
		for (let part = 0; part < 2; part++, to += 128) {
			for (let is = 0; is < 2; is++) {
				const scales = at + 192 + 8 * part + is;
				// ggml multiplies (d · scale) · weight from left to right; the first product is exact.
				const d1 = d * ((source[scales]! << 24) >> 24);
				const d2 = d * ((source[scales + 2]! << 24) >> 24);
				const d3 = d * ((source[scales + 4]! << 24) >> 24);
				const d4 = d * ((source[scales + 6]! << 24) >> 24);
				const low = at + 64 * part + 16 * is;
				const pairs = at + 128 + 32 * part + 16 * is;
				const first = to + 16 * is;
				for (let l = 0; l < 16; l++) {
					const a = source[low + l]!;
					const b = source[low + 32 + l]!;
					const high = source[pairs + l]!;
					out[first + l] = d1 * (((a & 15) | ((high & 3) << 4)) - 32);
					out[first + l + 32] = d2 * (((b & 15) | ((high & 12) << 2)) - 32);
					out[first + l + 64] = d3 * (((a >>> 4) | (high & 48)) - 32);
					out[first + l + 96] = d4 * (((b >>> 4) | ((high & 192) >>> 2)) - 32);
				}
			}
		}
	}
}

/**
 * half d · for each 32 weights four bytes that name a lattice point of eight weights each, and 32 bits: four times 7 bits that
 * name eight signs, and a 4-bit scale.
 */
export function fromIQ2_XXS(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	const grid = iq2Grid();
	const signs = iq2Signs();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 66) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		for (let group = at + 2; group < at + 66; group += 8) {
			const bits =
				source[group + 4]! |
				(source[group + 5]! << 8) |
				(source[group + 6]! << 16) |
				(source[group + 7]! << 24);
			const scale = d * (0.5 + (bits >>> 28)) * 0.25;
			for (let l = 0; l < 4; l++, to += 8) {
				const point = source[group + l]! << 3;
				const sign = ((bits >>> (7 * l)) & 127) << 3;
				out[to] = scale * grid[point]! * signs[sign]!;
				out[to + 1] = scale * grid[point + 1]! * signs[sign + 1]!;
				out[to + 2] = scale * grid[point + 2]! * signs[sign + 2]!;
				out[to + 3] = scale * grid[point + 3]! * signs[sign + 3]!;
				out[to + 4] = scale * grid[point + 4]! * signs[sign + 4]!;
				out[to + 5] = scale * grid[point + 5]! * signs[sign + 5]!;
				out[to + 6] = scale * grid[point + 6]! * signs[sign + 6]!;
				out[to + 7] = scale * grid[point + 7]! * signs[sign + 7]!;
			}
		}
	}
}

/** half d · high pairs of 8 scales · their low nibbles · 128 bytes of nibbles: d · (scale − 32) · level[q]. */
export function fromIQ4_XS(source: Uint8Array, out: Float32Array, blocks: number): void {
	const half = halfTable();
	for (let block = 0, at = 0, to = 0; block < blocks; block++, at += 136) {
		const d = half[source[at]! | (source[at + 1]! << 8)]!;
		const pairs = source[at + 2]! | (source[at + 3]! << 8);
		for (let group = 0; group < 8; group++, to += 32) {
			const low = (source[at + 4 + (group >>> 1)]! >>> ((group & 1) << 2)) & 15;
			const dl = d * ((low | (((pairs >>> (2 * group)) & 3) << 4)) - 32);
			const quants = at + 8 + (group << 4);
			for (let l = 0; l < 16; l++) {
				const byte = source[quants + l]!;
				out[to + l] = dl * iq4Levels[byte & 15]!;
				out[to + l + 16] = dl * iq4Levels[byte >>> 4]!;
			}
		}
	}
}
