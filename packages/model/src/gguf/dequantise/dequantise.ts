import { ModelFileError } from "@tabmesh/wire";
import { blockLayout, type WeightType } from "../blockLayout.ts";
import { fromIQ4_NL, fromQ4_0, fromQ4_1, fromQ5_0, fromQ5_1, fromQ8_0 } from "./blocksOf32.ts";
import { fromIQ2_XXS, fromIQ4_XS, fromQ2_K, fromQ3_K, fromQ4_K, fromQ5_K, fromQ6_K } from "./blocksOf256.ts";
import { fromBF16, fromF16, fromF32 } from "./floats.ts";

/** Writes `blocks` blocks of `source` into `out`; both are long enough. */
type Kernel = (source: Uint8Array, out: Float32Array, blocks: number) => void;

const kernels: Readonly<Record<WeightType, Kernel>> = {
	F32: fromF32,
	F16: fromF16,
	BF16: fromBF16,
	Q4_0: fromQ4_0,
	Q4_1: fromQ4_1,
	Q5_0: fromQ5_0,
	Q5_1: fromQ5_1,
	Q8_0: fromQ8_0,
	Q2_K: fromQ2_K,
	Q3_K: fromQ3_K,
	Q4_K: fromQ4_K,
	Q5_K: fromQ5_K,
	Q6_K: fromQ6_K,
	IQ2_XXS: fromIQ2_XXS,
	IQ4_NL: fromIQ4_NL,
	IQ4_XS: fromIQ4_XS,
};

/**
 * Turns source bytes into numbers, bit for bit as ggml does it.
 *
 * Runs over any whole number of blocks, so a large tensor can be taken row by row.
 *
 * @param bytes - whole blocks of `type`; no alignment is needed
 * @param out - exactly as many numbers as the blocks hold
 * @throws ModelFileError when the lengths do not fit each other
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c `dequantize_row_*`
 */
export function dequantise(type: WeightType, bytes: Uint8Array, out: Float32Array): void {
	const { blockElements, blockBytes } = blockLayout(type);
	const blocks = bytes.byteLength / blockBytes;
	if (!Number.isInteger(blocks) || out.length !== blocks * blockElements) {
		throw new ModelFileError(
			`${bytes.byteLength} bytes of ${type} are not the ${out.length} weights that were expected.`,
			{ details: { type, bytes: bytes.byteLength, elements: out.length } },
		);
	}
	kernels[type](bytes, out, blocks);
}
