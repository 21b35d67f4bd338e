import { ModelFileError } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockLayout, type WeightType, weightTypes } from "../blockLayout.ts";
import { loadGgml } from "../testing/ggml.ts";
import { dequantise } from "./dequantise.ts";

const ggml = loadGgml();
const blockTypes = weightTypes.filter((type) => blockLayout(type).blockElements > 1);
const blocks = 64;

/** Blocks of any bytes: every code, every scale, subnormal ones, infinities and NaN included. */
function anyBlocks(type: WeightType) {
	const length = blocks * blockLayout(type).blockBytes;
	return fc.uint8Array({ minLength: length, maxLength: length });
}

/** Equal bit for bit; NaN equals NaN whatever its payload. */
function expectSame(ours: Float32Array, theirs: Float32Array): void {
	for (let i = 0; i < theirs.length; i++) {
		if (!Object.is(ours[i], theirs[i])) expect.fail(`element ${i} is ${ours[i]} where ggml has ${theirs[i]}`);
	}
}

describe.each(blockTypes)("%s", (type) => {
	const elements = blocks * blockLayout(type).blockElements;

	test("blocks of any bytes become the very numbers that ggml makes of them", () => {
		fc.assert(
			fc.property(anyBlocks(type), (bytes) => {
				const out = new Float32Array(elements);
				dequantise(type, bytes, out);
				expectSame(out, ggml.dequantise(type, bytes, elements));
			}),
			{ numRuns: 200 },
		);
	});

	test("what ggml quantised comes back close to what it was", () => {
		const values = Float32Array.from({ length: elements }, (_, i) => Math.sin(i * 1.7) * Math.cos(i * 0.013));
		const out = new Float32Array(elements);
		dequantise(type, ggml.quantise(type, values, elements), out);
		const error = Math.sqrt(values.reduce((sum, value, i) => sum + (value - out[i]!) ** 2, 0) / elements);
		// Two bits per weight leave about a third of the standard deviation, 0.5 here; every wrong layout leaves more than all of it.
		expect(error).toBeLessThan(0.25);
	});

	test("bytes at an odd offset of a larger buffer are read as they stand", () => {
		const [bytes] = fc.sample(anyBlocks(type), { numRuns: 1, seed: 7 });
		const shifted = new Uint8Array(bytes!.byteLength + 3);
		shifted.set(bytes!, 3);
		const [straight, odd] = [new Float32Array(elements), new Float32Array(elements)];
		dequantise(type, bytes!, straight);
		dequantise(type, shifted.subarray(3), odd);
		expectSame(odd, straight);
	});
});

test("floats become the numbers they are", () => {
	const values = [0, -0, 1, -1.5, 2 ** -24, 65_504, Number.POSITIVE_INFINITY, Number.NaN];
	const out = new Float32Array(8);
	dequantise("F32", new Uint8Array(Float32Array.from(values).buffer), out);
	expectSame(out, Float32Array.from(values));
	dequantise("F16", new Uint8Array(new Float16Array(values).buffer), out);
	expectSame(out, Float32Array.from(values));
	dequantise("BF16", Uint8Array.of(0x80, 0x3f, 0xc0, 0xbf, 0x00, 0x00, 0x80, 0x7f), out.subarray(0, 4));
	expect([...out.subarray(0, 4)]).toEqual([1, -1.5, 0, Number.POSITIVE_INFINITY]);
});

test("lengths that do not fit each other are refused", () => {
	expect(() => dequantise("Q8_0", new Uint8Array(33), new Float32Array(32))).toThrow(ModelFileError);
	expect(() => dequantise("Q8_0", new Uint8Array(34), new Float32Array(64))).toThrow(ModelFileError);
});
