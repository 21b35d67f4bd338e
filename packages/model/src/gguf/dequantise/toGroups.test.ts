import { ModelFileError } from "@tabmesh/wire";
import { describe, expect, test } from "vitest";
import { weightTypes } from "../blockLayout.ts";
import { loadGgml } from "../testing/ggml.ts";
import { dequantise } from "./dequantise.ts";
import { emptyGroups, fillGroups } from "./toGroups.ts";

const ggml = loadGgml();
const [columns, group] = [512, 128];

describe.each([
	["rows that fill whole words", 148, 8],
	["rows that do not", 149, 3],
])(
	"whatever the source, no weight is farther off than half a step, and rows lie where they belong: %s",
	(_, rows, first) => {
		const all = first + rows + (first % 4);
		test.each(weightTypes.filter((type) => !["F16", "BF16"].includes(type)))("%s", (type) => {
			const noise = Float32Array.from(
				{ length: rows * columns },
				(_, i) => Math.sin(i * 1.37) * Math.cos(i * i * 0.011),
			);
			const bytes = type === "F32" ? new Uint8Array(noise.buffer) : ggml.quantise(type, noise, columns);
			const expected = new Float32Array(rows * columns);
			dequantise(type, bytes, expected);
			const grouped = emptyGroups(all, columns, group);
			fillGroups(grouped, first, { type, bytes, rows, columns }, (row) => rows - 1 - row);
			for (let row = 0; row < rows; row++) {
				for (let column = 0; column < columns; column++) {
					const index = Math.floor(column / group);
					const at = (column % group) * all + first + rows - 1 - row;
					const scale = grouped.scales[index]![first + rows - 1 - row]!;
					const weight = ((grouped.values[index]![at]! << 24) >> 24) * scale;
					const off = Math.abs(weight - expected[row * columns + column]!);
					if (off > 0.5001 * scale)
						expect.fail(`row ${row}, column ${column} is off by ${off / scale} steps`);
				}
			}
		});
	},
);

test("zeros stay zeros, and bytes that do not fit are refused", () => {
	const grouped = emptyGroups(2, 64, 32);
	fillGroups(grouped, 0, { type: "F32", bytes: new Uint8Array(512), rows: 2, columns: 64 });
	expect(grouped.values.every((values) => values.every((value) => value === 0))).toBe(true);
	expect(() =>
		fillGroups(grouped, 0, { type: "F32", bytes: new Uint8Array(508), rows: 2, columns: 64 }),
	).toThrow(ModelFileError);
});
