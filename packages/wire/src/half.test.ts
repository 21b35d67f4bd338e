import fc from "fast-check";
import { expect, test } from "vitest";
import { float32ToHalf, halfBits, halfToFloat32, halfValue } from "./half.ts";

// Node 24 has Float16Array, an independent implementation of the same standard.
const Float16 = (
	globalThis as unknown as {
		Float16Array: { new (values: ArrayLike<number>): ArrayLike<number> & { buffer: ArrayBuffer } };
	}
).Float16Array;
const referenceBits = (value: number) => new Uint16Array(new Float16([value]).buffer)[0]!;

test("every one of the 65,536 halves reads as the number it stands for and back", () => {
	const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
	const values = halfToFloat32(new Uint8Array(all.buffer));
	for (let half = 0; half < 65_536; half++) {
		expect(Object.is(halfValue(half), values[half]!) || Number.isNaN(halfValue(half))).toBe(true);
		if (!Number.isNaN(halfValue(half))) expect(halfBits(halfValue(half))).toBe(half);
	}
});

test("floats round to the nearest half, ties to even, over the whole range of exponents", () => {
	const bits = new Uint32Array(1);
	const float = new Float32Array(bits.buffer);
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 0xffffffff }), (pattern) => {
			bits[0] = pattern;
			const value = float[0]!;
			if (!Number.isNaN(value)) expect(halfBits(value)).toBe(referenceBits(value));
		}),
		{ numRuns: 20_000 },
	);
});

test("ties between every two neighbouring halves go to the even one", () => {
	for (let half = 0; half < 0x7bff; half++) {
		const tie = Math.fround((halfValue(half) + halfValue(half + 1)) / 2);
		expect(halfBits(tie)).toBe(half & 1 ? half + 1 : half);
		expect(halfBits(-tie)).toBe((half & 1 ? half + 1 : half) | 0x8000);
	}
});

test("values beyond 65,504 overflow to infinity exactly where the standard says", () => {
	expect(halfBits(65_519.996)).toBe(0x7bff);
	expect(halfBits(65_520)).toBe(0x7c00);
	expect(halfBits(-1e30)).toBe(0xfc00);
});

test("arrays convert element by element, also from an unaligned view", () => {
	const bytes = float32ToHalf(Float32Array.of(1, -2.5, 0.1));
	const shifted = new Uint8Array(bytes.byteLength + 1);
	shifted.set(bytes, 1);
	expect([...halfToFloat32(shifted.subarray(1))]).toEqual([1, -2.5, halfValue(referenceBits(0.1))]);
});
