import * as fc from "fast-check";
import { expect, test } from "vitest";
import { blockSize, quantise } from "./quantise.ts";

const weights = fc
	.array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: blockSize, maxLength: 4 * blockSize })
	.map((values) => Float32Array.from(values.slice(0, values.length - (values.length % blockSize))));

test.each([
	[8, 1 / 2],
	// The far end of the 16 values, +8, does not exist: one step is the most that is lost there.
	[4, 1],
] as const)("at %i bits every weight comes back within %d steps of its block's scale", (bits, steps) => {
	fc.assert(
		fc.property(weights, (values) => {
			const { packed, scales } = quantise(values, bits);
			for (const [i, value] of values.entries()) {
				const stored = bits === 8 ? packed[i]! : (packed[i >> 1]! >> (i % 2 === 0 ? 0 : 4)) & 15;
				const scale = scales[Math.floor(i / blockSize)]!;
				const error = Math.abs(scale * (stored - 2 ** (bits - 1)) - value);
				expect(error).toBeLessThanOrEqual(Math.abs(scale) * (steps + 1e-3) + 1e-40);
			}
		}),
	);
});

test("a block of zeros stays zero", () => {
	const { packed, scales } = quantise(new Float32Array(blockSize), 4);
	expect(scales[0]).toBeCloseTo(0);
	expect([...packed].every((byte) => byte === 0x88)).toBe(true);
});
