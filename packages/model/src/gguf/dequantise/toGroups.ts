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

/** Rows that are numbers at one time: what is written of them beside each other fills a cache line. */
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
 * @param bytes - `rows × columns` weights of `type`
 * @param place - row of `target` that a source row becomes
 * @throws ModelFileError when the lengths do not fit each other
 */
export function fillGroups(
	target: GroupedWeights,
	source: {
		readonly type: WeightType;
		readonly bytes: Uint8Array;
		readonly rows: number;
		readonly columns: number;
	},
	place: (row: number) => number,
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
	const inverses = new Float32Array(rowsAtOnce);
	const places = new Int32Array(rowsAtOnce);
	for (let first = 0; first < rows; first += rowsAtOnce) {
		const count = Math.min(rowsAtOnce, rows - first);
		const part = numbers.subarray(0, count * columns);
		dequantise(type, bytes.subarray(first * rowBytes, (first + count) * rowBytes), part);
		for (let row = 0; row < count; row++) places[row] = place(first + row);
		for (const [index, values] of target.values.entries()) {
			const scales = target.scales[index]!;
			const all = scales.length;
			const from = index * group;
			for (let row = 0; row < count; row++) {
				const scale = largest(part, row * columns + from, group) / 127;
				scales[places[row]!] = scale;
				inverses[row] = scale === 0 ? 0 : 1 / scale;
			}
			for (let column = 0; column < group; column++) {
				const line = column * all;
				for (let row = 0, at = from + column; row < count; row++, at += columns) {
					// Above zero truncation rounds down: with the half added, to nearest. The byte holds the two's complement.
					values[line + places[row]!] = ((part[at]! * inverses[row]! + 128.5) | 0) - 128;
				}
			}
		}
	}
}

function largest(values: Float32Array, from: number, count: number): number {
	let most = 0;
	for (let i = from; i < from + count; i++) {
		const value = values[i]!;
		const size = value < 0 ? -value : value;
		if (size > most) most = size;
	}
	return most;
}
