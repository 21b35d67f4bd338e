import { ModelFileError } from "@tabmesh/wire";
import { blockLayout, type WeightType } from "../blockLayout.ts";
import { dequantise } from "./dequantise.ts";
import { halfTable } from "./halfTable.ts";

/** Weights as ONNX Runtime's MatMulNBits takes them: `[rows, columns]`, symmetric blocks of 32 along the columns. */
export interface NBitsWeights {
	readonly bits: 4 | 8;
	/** `[rows, columns / 32, 4 · bits]`; of two 4-bit weights in a byte the lower half is the first. */
	readonly packed: Uint8Array<ArrayBuffer>;
	/** `[rows, columns / 32]`; a weight is (q − 2^(bits − 1)) · scale, which is the operator's default zero point. */
	readonly scales: Float32Array<ArrayBuffer>;
}

/** Columns that share one scale. */
export const nBitsBlock = 32;

/** Numbers that are floats at one time: small enough for a core's cache, so that no second copy of a tensor ever exists. */
const scratchElements = 64 * 1024;

/**
 * Turns source bytes into MatMulNBits weights, some rows at a time.
 *
 * Q8_0, IQ4_NL, IQ4_XS, Q4_0, Q5_0 and IQ2_XXS have whole numbers under one scale for each 32 weights: in 8 bits (Q4_0 in 4 as
 * well) they come out exactly as they are. All others are rounded to the nearest multiple of a block's largest weight / 127, or
 * in 4 bits / −8 as ggml's Q4_0 does it.
 *
 * @param bytes - `rows × columns` weights of `type`; columns are a multiple of 32
 * @throws ModelFileError when the lengths do not fit each other
 * @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
 */
export function toNBits(
	type: WeightType,
	bytes: Uint8Array,
	rows: number,
	columns: number,
	bits: 4 | 8,
): NBitsWeights {
	const { blockElements, blockBytes } = blockLayout(type);
	const elements = rows * columns;
	if (
		columns % nBitsBlock !== 0 ||
		columns % blockElements !== 0 ||
		bytes.byteLength !== (elements / blockElements) * blockBytes
	) {
		throw new ModelFileError(
			`${bytes.byteLength} bytes of ${type} are not ${rows} × ${columns} weights in blocks of 32.`,
			{
				details: { type, bytes: bytes.byteLength, rows, columns },
			},
		);
	}
	const packed = new Uint8Array((elements / 8) * bits);
	const scales = new Float32Array(elements / nBitsBlock);
	const scratch = new Float32Array(Math.min(scratchElements, elements));
	const exact = bits === 8 || type === "Q4_0" ? exactScales[type] : undefined;
	// Rows are whole blocks, so any run of blocks will do.
	for (let from = 0; from < elements; from += scratchElements) {
		const count = Math.min(scratchElements, elements - from);
		const values = scratch.subarray(0, count);
		const start = (from / blockElements) * blockBytes;
		const source = bytes.subarray(start, start + (count / blockElements) * blockBytes);
		dequantise(type, source, values);
		const blockScales = scales.subarray(from / nBitsBlock, (from + count) / nBitsBlock);
		if (exact) exact(source, blockScales);
		else if (bits === 8) largestOf(values, blockScales, 127);
		else largestOf(values, blockScales, -8);
		const target = packed.subarray((from / 8) * bits, ((from + count) / 8) * bits);
		if (bits === 8) pack8(values, blockScales, target);
		else pack4(values, blockScales, target);
	}
	return { bits, packed, scales };
}

/** The scale of each 32 weights, where the weights are whole numbers under it. */
const exactScales: Partial<Record<WeightType, (source: Uint8Array, scales: Float32Array) => void>> = {
	Q4_0: leadingScales(18),
	Q5_0: leadingScales(22),
	Q8_0: leadingScales(34),
	IQ4_NL: leadingScales(18),
	IQ2_XXS: (source, scales) => {
		const half = halfTable();
		for (let i = 0; i < scales.length; i++) {
			const at = (i >>> 3) * 66;
			const d = half[source[at]! | (source[at + 1]! << 8)]!;
			scales[i] = d * (0.5 + (source[at + 2 + (i & 7) * 8 + 7]! >>> 4)) * 0.25;
		}
	},
	IQ4_XS: (source, scales) => {
		const half = halfTable();
		for (let i = 0; i < scales.length; i++) {
			const at = (i >>> 3) * 136;
			const group = i & 7;
			const d = half[source[at]! | (source[at + 1]! << 8)]!;
			const pairs = source[at + 2]! | (source[at + 3]! << 8);
			const low = (source[at + 4 + (group >>> 1)]! >>> ((group & 1) << 2)) & 15;
			scales[i] = d * ((low | (((pairs >>> (2 * group)) & 3) << 4)) - 32);
		}
	},
};

/** Blocks of 32 that begin with their scale. */
function leadingScales(blockBytes: number): (source: Uint8Array, scales: Float32Array) => void {
	return (source, scales) => {
		const half = halfTable();
		for (let i = 0, at = 0; i < scales.length; i++, at += blockBytes) {
			scales[i] = half[source[at]! | (source[at + 1]! << 8)]!;
		}
	};
}

/** The weight farthest from zero becomes `level`. */
function largestOf(values: Float32Array, scales: Float32Array, level: number): void {
	for (let block = 0, at = 0; block < scales.length; block++, at += nBitsBlock) {
		let largest = 0;
		let magnitude = 0;
		for (let i = at; i < at + nBitsBlock; i++) {
			const value = values[i]!;
			const size = value < 0 ? -value : value;
			if (size > magnitude) {
				magnitude = size;
				largest = value;
			}
		}
		scales[block] = largest / level;
	}
}

function pack8(values: Float32Array, scales: Float32Array, packed: Uint8Array): void {
	for (let block = 0, at = 0; block < scales.length; block++, at += nBitsBlock) {
		const scale = scales[block]!;
		const inverse = scale === 0 ? 0 : 1 / scale;
		for (let i = at; i < at + nBitsBlock; i++) {
			// Above zero truncation rounds down: with the half added, to nearest.
			const level = (values[i]! * inverse + 128.5) | 0;
			packed[i] = Math.min(level, 255);
		}
	}
}

function pack4(values: Float32Array, scales: Float32Array, packed: Uint8Array): void {
	for (let block = 0, at = 0; block < scales.length; block++, at += nBitsBlock) {
		const scale = scales[block]!;
		const inverse = scale === 0 ? 0 : 1 / scale;
		for (let i = at; i < at + nBitsBlock; i += 2) {
			const first = (values[i]! * inverse + 8.5) | 0;
			const second = (values[i + 1]! * inverse + 8.5) | 0;
			packed[i >>> 1] = Math.min(first, 15) | (Math.min(second, 15) << 4);
		}
	}
}
