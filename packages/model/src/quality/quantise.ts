import { float32ToHalf, ModelFileError } from "@tabmesh/wire";

/** Block formats that Tabmesh writes: 32 weights under one binary16 scale, in 8 or 4 bits. */
export type BlockFormat = "Q8_0" | "Q4_0";

/** Weights under one scale. */
const block = 32;

/**
 * Rounds numbers to blocks, byte for byte as ggml does it, on every machine.
 *
 * @param values - a whole number of blocks of 32
 * @throws ModelFileError when they are not
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c `quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`
 */
export function quantise(format: BlockFormat, values: Float32Array): Uint8Array<ArrayBuffer> {
	if (values.length % block !== 0) {
		throw new ModelFileError(`${values.length} weights are no whole number of blocks of ${block}.`);
	}
	return format === "Q8_0" ? toQ8_0(values) : toQ4_0(values);
}

/** The block's largest size becomes 127. */
function toQ8_0(values: Float32Array): Uint8Array<ArrayBuffer> {
	const blocks = values.length / block;
	const scales = new Float32Array(blocks);
	const out = new Uint8Array(blocks * 34);
	for (let i = 0; i < blocks; i++) {
		let largest = 0;
		for (let j = i * block; j < (i + 1) * block; j++) largest = Math.max(largest, Math.abs(values[j]!));
		const scale = Math.fround(largest / 127);
		const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
		scales[i] = scale;
		for (let j = 0; j < block; j++) {
			const level = Math.fround(values[i * block + j]! * inverse);
			// C's roundf: halves go away from zero.
			out[i * 34 + 2 + j] = Math.sign(level) * Math.floor(Math.abs(level) + 0.5);
		}
	}
	placeScales(scales, out, 34);
	return out;
}

/** The weight farthest from zero becomes −8; the lower halves of the bytes are the first sixteen weights. */
function toQ4_0(values: Float32Array): Uint8Array<ArrayBuffer> {
	const blocks = values.length / block;
	const scales = new Float32Array(blocks);
	const out = new Uint8Array(blocks * 18);
	for (let i = 0; i < blocks; i++) {
		let farthest = 0;
		for (let j = i * block; j < (i + 1) * block; j++)
			if (Math.abs(values[j]!) > Math.abs(farthest)) farthest = values[j]!;
		const scale = Math.fround(farthest / -8);
		const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
		scales[i] = scale;
		const level = (j: number): number =>
			Math.min(15, Math.trunc(Math.fround(Math.fround(values[i * block + j]! * inverse) + 8.5)));
		for (let j = 0; j < block / 2; j++) out[i * 18 + 2 + j] = level(j) | (level(j + block / 2) << 4);
	}
	placeScales(scales, out, 18);
	return out;
}

function placeScales(scales: Float32Array, out: Uint8Array, blockBytes: number): void {
	const halves = float32ToHalf(scales);
	for (let i = 0; i < scales.length; i++) {
		out[i * blockBytes] = halves[2 * i]!;
		out[i * blockBytes + 1] = halves[2 * i + 1]!;
	}
}
