import type { SourceType } from "@tabmesh/wire";

/**
 * Elements and bytes of one block of each source type: for floats one number, for GGML formats as in `ggml-common.h`.
 */
const blocks: Readonly<Record<SourceType, readonly [elements: number, bytes: number]>> = {
	F32: [1, 4],
	F16: [1, 2],
	BF16: [1, 2],
	Q4_0: [32, 18],
	Q4_1: [32, 20],
	Q5_0: [32, 22],
	Q5_1: [32, 24],
	Q8_0: [32, 34],
	Q2_K: [256, 84],
	Q3_K: [256, 110],
	Q4_K: [256, 144],
	Q5_K: [256, 176],
	Q6_K: [256, 210],
	IQ2_XXS: [256, 66],
	IQ4_NL: [32, 18],
	IQ4_XS: [256, 136],
	BLOB: [1, 1],
};

/**
 * Bytes that a tensor of `type` and `shape` takes in its source, or undefined when a row is not a whole number of blocks
 * or the product leaves the safe integers.
 */
export function tensorBytes(type: SourceType, shape: readonly number[]): number | undefined {
	const [elements, bytes] = blocks[type];
	if ((shape.at(-1) ?? 0) % elements !== 0) return undefined;
	const count = shape.reduce((product, dimension) => product * dimension, 1);
	const total = (count / elements) * bytes;
	return Number.isSafeInteger(total) ? total : undefined;
}
