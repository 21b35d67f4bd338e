import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidTensorError } from "./errors/index.ts";
import { decodeTensor, encodeTensor } from "./tensor.ts";

const matrix = fc
	.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 9 }))
	.chain(([rows, columns]) =>
		fc
			.array(fc.float({ noNaN: true, min: -60_000, max: 60_000 }), {
				minLength: rows * columns,
				maxLength: rows * columns,
			})
			.map((values) => ({ rows, columns, data: Float32Array.from(values) })),
	);

test("a float32 tensor arrives bit for bit, a float16 one within half a unit in the last place", () => {
	fc.assert(
		fc.property(matrix, fc.constantFrom("f16" as const, "f32" as const), (hidden, dtype) => {
			const { header, bytes } = encodeTensor(hidden, dtype);
			const back = decodeTensor(header, bytes, hidden.columns);
			expect([back.rows, back.columns]).toEqual([hidden.rows, hidden.columns]);
			for (const [i, value] of hidden.data.entries()) {
				const tolerance = dtype === "f32" ? 0 : Math.max(Math.abs(value) * 2 ** -11, 2 ** -25);
				expect(Math.abs(back.data[i]! - value)).toBeLessThanOrEqual(tolerance);
			}
		}),
	);
});

test("a tensor of the wrong width, length, or with NaN or infinity in it is refused", () => {
	const { header, bytes } = encodeTensor(
		{ rows: 2, columns: 3, data: Float32Array.of(1, 2, 3, 4, 5, 6) },
		"f32",
	);
	expect(() => decodeTensor(header, bytes, 4)).toThrow(InvalidTensorError);
	expect(() => decodeTensor(header, bytes.subarray(1), 3)).toThrow(InvalidTensorError);
	for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
		const broken = encodeTensor({ rows: 1, columns: 3, data: Float32Array.of(1, bad, 3) }, "f16");
		expect(() => decodeTensor(broken.header, broken.bytes, 3)).toThrow(/at element 1/);
	}
	const overflow = encodeTensor({ rows: 1, columns: 1, data: Float32Array.of(70_000) }, "f16");
	expect(() => decodeTensor(overflow.header, overflow.bytes, 1)).toThrow(InvalidTensorError);
});
