import type { SourceType } from "@tabmesh/wire";

/** A number format that stands for weights; a BLOB is a file. */
export type WeightType = Exclude<SourceType, "BLOB">;

export interface BlockLayout {
	/** Weights in one block; a row of a tensor is a whole number of blocks. */
	readonly blockElements: number;
	/** Bytes of one block. */
	readonly blockBytes: number;
}

/** For floats a block is one number; the rest as the structures of `ggml-common.h`. */
const layouts: Readonly<Record<WeightType, BlockLayout>> = {
	F32: { blockElements: 1, blockBytes: 4 },
	F16: { blockElements: 1, blockBytes: 2 },
	BF16: { blockElements: 1, blockBytes: 2 },
	Q4_0: { blockElements: 32, blockBytes: 18 },
	Q4_1: { blockElements: 32, blockBytes: 20 },
	Q5_0: { blockElements: 32, blockBytes: 22 },
	Q5_1: { blockElements: 32, blockBytes: 24 },
	Q8_0: { blockElements: 32, blockBytes: 34 },
	Q2_K: { blockElements: 256, blockBytes: 84 },
	Q3_K: { blockElements: 256, blockBytes: 110 },
	Q4_K: { blockElements: 256, blockBytes: 144 },
	Q5_K: { blockElements: 256, blockBytes: 176 },
	Q6_K: { blockElements: 256, blockBytes: 210 },
	IQ2_XXS: { blockElements: 256, blockBytes: 66 },
	IQ4_NL: { blockElements: 32, blockBytes: 18 },
	IQ4_XS: { blockElements: 256, blockBytes: 136 },
};

/** How many weights a block of `type` holds, and in how many bytes. */
export function blockLayout(type: WeightType): BlockLayout {
	return layouts[type];
}

/** Every type of weights that Tabmesh reads. */
export const weightTypes = Object.keys(layouts) as WeightType[];
