import { type ModelConfig, ModelFileError, type SourceType } from "@tabmesh/wire";
import { dequantise } from "../gguf/dequantise/dequantise.ts";
import { emptyGroups, fillGroups, type GroupedWeights } from "../gguf/dequantise/toGroups.ts";
import { type NBitsWeights, nBitsBlock, toNBits } from "../gguf/dequantise/toNBits.ts";

/** A source tensor with its bytes. */
export interface SourceWeight {
	readonly type: SourceType;
	/** `[rows, columns]`, or `[columns]`. */
	readonly shape: readonly number[];
	readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * The numbers of a source tensor. Float32 bytes are used as they stand, not copied.
 *
 * @throws ModelFileError when the bytes do not fit the shape
 */
export function toFloat32({ type, shape, bytes }: SourceWeight): Float32Array<ArrayBuffer> {
	if (type === "F32" && bytes.byteOffset % 4 === 0) {
		return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
	}
	if (type === "BLOB") throw new ModelFileError("A file is no tensor.");
	const values = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
	dequantise(type, bytes, values);
	return values;
}

/**
 * The rows of several matrices, one below the other.
 *
 * @param turned - for each matrix the head size, where its rows are in interleaved rotary order and half order is wanted: within a head,
 *   row i of the first half is source row 2i, row i of the second half source row 2i + 1
 */
export function stackRows(
	weights: readonly SourceWeight[],
	turned: readonly (number | undefined)[] = [],
): Float32Array<ArrayBuffer> {
	const [only] = weights;
	if (weights.length === 1 && only && turned[0] === undefined) return toFloat32(only);
	const stacked = new Float32Array(weights.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0));
	let start = 0;
	for (const [index, weight] of weights.entries()) {
		const matrix = toFloat32(weight);
		placeRows(matrix, weight.shape[1]!, stacked.subarray(start, start + matrix.length), turned[index]);
		start += matrix.length;
	}
	return stacked;
}

/** {@link stackRows} as MatMulNBits takes it: no row is ever whole in float32. */
export function stackQuantisedRows(
	weights: readonly SourceWeight[],
	turned: readonly (number | undefined)[],
	bits: 4 | 8,
): NBitsWeights {
	const elements = weights.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
	const packed = new Uint8Array((elements / 8) * bits);
	const scales = new Float32Array(elements / nBitsBlock);
	let packedAt = 0;
	let scalesAt = 0;
	for (const [index, { type, shape, bytes }] of weights.entries()) {
		if (type === "BLOB") throw new ModelFileError("A file is no tensor.");
		const [rows, columns] = shape as [number, number];
		const part = toNBits(type, bytes, rows, columns, bits);
		const packedRow = part.packed.length / rows;
		const scalesRow = part.scales.length / rows;
		placeRows(
			part.packed,
			packedRow,
			packed.subarray(packedAt, packedAt + part.packed.length),
			turned[index],
		);
		placeRows(
			part.scales,
			scalesRow,
			scales.subarray(scalesAt, scalesAt + part.scales.length),
			turned[index],
		);
		packedAt += part.packed.length;
		scalesAt += part.scales.length;
	}
	return { bits, packed, scales };
}

/** {@link stackRows} in 8 bits, in groups of `group` columns. */
export function stackGroupedRows(
	weights: readonly SourceWeight[],
	turned: readonly (number | undefined)[],
	group: number,
): GroupedWeights {
	const rows = weights.reduce((sum, { shape }) => sum + shape[0]!, 0);
	const stacked = emptyGroups(rows, weights[0]!.shape[1]!, group);
	let start = 0;
	for (const [index, { type, shape, bytes }] of weights.entries()) {
		if (type === "BLOB") throw new ModelFileError("A file is no tensor.");
		const [count, columns] = shape as [number, number];
		const headSize = turned[index];
		fillGroups(
			stacked,
			start,
			{ type, bytes, rows: count, columns },
			headSize === undefined ? undefined : (row) => interleavedRow(row, headSize),
		);
		start += count;
	}
	return stacked;
}

/** Copies rows to their places: as they are, or from interleaved to half rotary order within heads of `headSize` rows. */
function placeRows<T extends Float32Array | Uint8Array>(
	source: T,
	rowLength: number,
	target: T,
	headSize: number | undefined,
): void {
	if (headSize === undefined) {
		target.set(source);
		return;
	}
	const rows = source.length / rowLength;
	for (let row = 0; row < rows; row++) {
		target.set(source.subarray(row * rowLength, (row + 1) * rowLength), turnedRow(row, headSize) * rowLength);
	}
}

/** Where a row in interleaved rotary order lies in half order. */
function turnedRow(row: number, headSize: number): number {
	const within = row % headSize;
	const pair = within >>> 1;
	return row - within + (within % 2 === 0 ? pair : headSize / 2 + pair);
}

/** Where a row in half rotary order lies in interleaved order: what {@link turnedRow} turns back. */
function interleavedRow(row: number, headSize: number): number {
	const within = row % headSize;
	const half = headSize / 2;
	return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

/** Cosines of the rotary angles, `[contextLength, headSize / 2]`. */
export function cosines(config: ModelConfig): Float32Array<ArrayBuffer> {
	return angles(config, Math.cos);
}

/** Sines of the rotary angles, `[contextLength, headSize / 2]`. */
export function sines(config: ModelConfig): Float32Array<ArrayBuffer> {
	return angles(config, Math.sin);
}

/** RoFormer (arXiv 2104.09864 §3.2.2): pair i at position p turns by p · theta^(-2i/d). */
function angles(config: ModelConfig, turn: (angle: number) => number): Float32Array<ArrayBuffer> {
	const { contextLength, headSize, rope } = config;
	const half = headSize / 2;
	const frequencies = Float64Array.from({ length: half }, (_, i) =>
		scale(rope, rope.theta ** ((-2 * i) / headSize)),
	);
	const table = new Float32Array(contextLength * half);
	for (let position = 0; position < contextLength; position++) {
		for (let i = 0; i < half; i++) table[position * half + i] = turn(position * frequencies[i]!);
	}
	return table;
}

/** Rescaled frequency: `linear` divides it; `llama3` (transformers' `_compute_llama3_parameters`) only where its wave is longer than the context it was trained for. */
function scale({ scaling }: ModelConfig["rope"], frequency: number): number {
	if (!scaling) return frequency;
	if (scaling.type === "linear") return frequency / scaling.factor;
	const { factor, lowFrequencyFactor = 1, highFrequencyFactor = 4, originalContext = 8192 } = scaling;
	const wave = (2 * Math.PI) / frequency;
	if (wave < originalContext / highFrequencyFactor) return frequency;
	if (wave > originalContext / lowFrequencyFactor) return frequency / factor;
	const smooth = (originalContext / wave - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
	return ((1 - smooth) * frequency) / factor + smooth * frequency;
}
