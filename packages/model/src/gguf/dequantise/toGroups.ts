import { ModelFileError } from "@tabmesh/wire";
import { blockLayout, type WeightType } from "../blockLayout.ts";
import { dequantise } from "./dequantise.ts";

/** Weights as ONNX Runtime's integer products take them: for each group of columns of `[rows, columns]` one matrix, turned on its side. */
export interface GroupedWeights {
	/** `[group, rows]`, int8. */
	readonly values: readonly Uint8Array<ArrayBuffer>[];
	/** `[rows]`; a weight is its value times the scale of its row in this group. */
	readonly scales: readonly Float32Array<ArrayBuffer>[];
}

/** Rows that are numbers at one time: those of most models stay in a processor's second cache. */
const rowsAtOnce = 32;

/**
 * Room for the groups of a matrix, filled by {@link fillGroups}.
 *
 * @param columns - a multiple of `group`
 */
export function emptyGroups(rows: number, columns: number, group: number): GroupedWeights {
	const groups = Array.from({ length: columns / group });
	return {
		values: groups.map(() => new Uint8Array(group * rows)),
		scales: groups.map(() => new Float32Array(rows)),
	};
}

/**
 * Turns source bytes into 8 bits, with one scale for each row of each group: the largest weight / 127.
 *
 * @param first - row of `target` that is written first; as many follow as the source has
 * @param source - `bytes` are `rows × columns` weights of `type`
 * @param rowOf - row of the source that becomes a row of the target, both counted from their first
 * @throws ModelFileError when the lengths do not fit each other
 */
export function fillGroups(
	target: GroupedWeights,
	first: number,
	source: {
		readonly type: WeightType;
		readonly bytes: Uint8Array;
		readonly rows: number;
		readonly columns: number;
	},
	rowOf?: (row: number) => number,
): void {
	const { type, bytes, rows, columns } = source;
	const { blockElements, blockBytes } = blockLayout(type);
	const rowBytes = (columns / blockElements) * blockBytes;
	if (columns % blockElements !== 0 || bytes.byteLength !== rows * rowBytes) {
		throw new ModelFileError(`${bytes.byteLength} bytes of ${type} are not ${rows} × ${columns} weights.`, {
			details: { type, bytes: bytes.byteLength, rows, columns },
		});
	}
	const group = columns / target.values.length;
	const numbers = new Float32Array(Math.min(rowsAtOnce, rows) * columns);
	// The rows of one group, not turned yet: small enough for a processor's first cache.
	const tile = new Uint8Array(rowsAtOnce * group);
	for (let done = 0; done < rows; done += rowsAtOnce) {
		const count = Math.min(rowsAtOnce, rows - done);
		if (rowOf) {
			for (let row = 0; row < count; row++) {
				const from = rowOf(done + row) * rowBytes;
				const line = numbers.subarray(row * columns, (row + 1) * columns);
				dequantise(type, bytes.subarray(from, from + rowBytes), line);
			}
		} else {
			const part = bytes.subarray(done * rowBytes, (done + count) * rowBytes);
			dequantise(type, part, numbers.subarray(0, count * columns));
		}
		for (const [index, values] of target.values.entries()) {
			const scales = target.scales[index]!;
			for (let row = 0; row < count; row++) {
				const from = row * columns + index * group;
				const scale = largest(numbers, from, group) / 127;
				scales[first + done + row] = scale;
				round(numbers, from, scale === 0 ? 0 : 1 / scale, tile.subarray(row * group, (row + 1) * group));
			}
			turn(tile, [count, group], values, scales.length, first + done);
		}
	}
}

function largest(values: Float32Array, from: number, count: number): number {
	let most = 0;
	for (let i = from; i < from + count; i++) {
		const size = Math.abs(values[i]!);
		if (size > most) most = size;
	}
	return most;
}

/** Rounds as many values as `out` holds, times `factor`, to bytes in two's complement. */
function round(values: Float32Array, from: number, factor: number, out: Uint8Array): void {
	// Above zero truncation rounds down: with the half added, to nearest.
	for (let i = 0; i < out.length; i++) out[i] = ((values[from + i]! * factor + 128.5) | 0) - 128;
}

/** Writes `[rows, columns]` of `tile` as columns `[at, at + rows)` of a matrix that has `width` of them. */
function turn(
	tile: Uint8Array<ArrayBuffer>,
	[rows, columns]: readonly [number, number],
	matrix: Uint8Array<ArrayBuffer>,
	width: number,
	at: number,
): void {
	if (rows % 4 === 0 && columns % 4 === 0 && width % 4 === 0 && at % 4 === 0) {
		turnWords(
			new Uint32Array(tile.buffer),
			[rows, columns / 4],
			new Uint32Array(matrix.buffer),
			width / 4,
			at / 4,
		);
		return;
	}
	for (let column = 0; column < columns; column++) {
		for (let row = 0; row < rows; row++) matrix[column * width + at + row] = tile[row * columns + column]!;
	}
}

/** {@link turn} by squares of four rows of four bytes; columns, `width` and `at` count words. */
function turnWords(
	tile: Uint32Array,
	[rows, columns]: readonly [number, number],
	matrix: Uint32Array,
	width: number,
	at: number,
): void {
	for (let column = 0; column < columns; column++) {
		for (let row = 0; row < rows; row += 4) {
			const from = row * columns + column;
			const a = tile[from]!;
			const b = tile[from + columns]!;
			const c = tile[from + 2 * columns]!;
			const d = tile[from + 3 * columns]!;
			const to = 4 * column * width + at + row / 4;
			matrix[to] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
			matrix[to + width] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
			matrix[to + 2 * width] =
				((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
			matrix[to + 3 * width] = (a >>> 24) | ((b >>> 16) & 0xff00) | ((c >>> 8) & 0xff0000) | (d & 0xff000000);
		}
	}
}
