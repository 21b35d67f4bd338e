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

/** Rows that are turned at one time: what is written of them beside each other fills a cache line. */
const rowsAtOnce = 64;

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
	const width = target.scales[0]!.length;
	const matrices = target.values.map((values) => new Uint32Array(values.buffer, 0, values.length >>> 2));
	const numbers = new Float32Array(columns);
	// Group by group, within it row by row: not turned yet.
	const bytes8 = new Uint8Array(rowsAtOnce * columns);
	const bytes32 = new Uint32Array(bytes8.buffer);
	for (let done = 0; done < rows; done += rowsAtOnce) {
		const count = Math.min(rowsAtOnce, rows - done);
		for (let row = 0; row < count; row++) {
			const from = (rowOf ? rowOf(done + row) : done + row) * rowBytes;
			dequantise(type, bytes.subarray(from, from + rowBytes), numbers);
			for (let index = 0; index < matrices.length; index++) {
				const scale = largest(numbers, index * group, group) / 127;
				target.scales[index]![first + done + row] = scale;
				const factor = scale === 0 ? 0 : 1 / scale;
				round(numbers, index * group, group, factor, bytes8, (index * rowsAtOnce + row) * group);
			}
		}
		const at = first + done;
		const words = count % 4 === 0 && group % 4 === 0 && width % 4 === 0 && at % 4 === 0;
		for (let index = 0; index < matrices.length; index++) {
			const from = index * rowsAtOnce * group;
			if (words) turnWords(bytes32, from / 4, count, group / 4, matrices[index]!, width / 4, at / 4);
			else turnBytes(bytes8, from, count, group, target.values[index]!, width, at);
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

/** Rounds values times `factor` to bytes in two's complement. */
function round(
	values: Float32Array,
	from: number,
	count: number,
	factor: number,
	out: Uint8Array,
	to: number,
): void {
	// Above zero truncation rounds down: with the half added, to nearest.
	for (let i = 0; i < count; i++) out[to + i] = ((values[from + i]! * factor + 128.5) | 0) - 128;
}

/** Writes `rows` rows, which begin at `from`, as columns `[at, at + rows)` of a matrix that has `width` of them. */
function turnBytes(
	source: Uint8Array,
	from: number,
	rows: number,
	columns: number,
	matrix: Uint8Array,
	width: number,
	at: number,
): void {
	for (let column = 0; column < columns; column++) {
		for (let row = 0; row < rows; row++) {
			matrix[column * width + at + row] = source[from + row * columns + column]!;
		}
	}
}

/** {@link turnBytes} by squares of four rows of four bytes; all but `rows` counts words. */
function turnWords(
	source: Uint32Array,
	from: number,
	rows: number,
	columns: number,
	matrix: Uint32Array,
	width: number,
	at: number,
): void {
	for (let column = 0; column < columns; column++) {
		for (let row = 0; row < rows; row += 4) {
			const square = from + row * columns + column;
			const a = source[square]!;
			const b = source[square + columns]!;
			const c = source[square + 2 * columns]!;
			const d = source[square + 3 * columns]!;
			const to = 4 * column * width + at + (row >>> 2);
			matrix[to] = (a & 0xff) | ((b & 0xff) << 8) | ((c & 0xff) << 16) | (d << 24);
			matrix[to + width] = ((a >>> 8) & 0xff) | (b & 0xff00) | ((c & 0xff00) << 8) | ((d & 0xff00) << 16);
			matrix[to + 2 * width] =
				((a >>> 16) & 0xff) | ((b >>> 8) & 0xff00) | (c & 0xff0000) | ((d & 0xff0000) << 8);
			matrix[to + 3 * width] = (a >>> 24) | ((b >>> 16) & 0xff00) | ((c >>> 8) & 0xff0000) | (d & 0xff000000);
		}
	}
}
