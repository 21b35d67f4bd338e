import { ModelFileError } from "@tabmesh/wire";
import { describe, expect, test } from "vitest";
import { blockLayout, type WeightType, weightTypes } from "../blockLayout.ts";
import { loadGgml } from "../testing/ggml.ts";
import { dequantise } from "./dequantise.ts";
import { type NBitsWeights, nBitsBlock, toNBits } from "./toNBits.ts";

const ggml = loadGgml();
const [rows, columns] = [300, 256];

/** What MatMulNBits makes of its weights, by its documentation. */
function unpacked({ bits, packed, scales }: NBitsWeights): Float32Array {
	return Float32Array.from({ length: scales.length * nBitsBlock }, (_, i) => {
		const level = bits === 8 ? packed[i]! : (packed[i >>> 1]! >>> (4 * (i & 1))) & 15;
		return (level - 2 ** (bits - 1)) * scales[Math.floor(i / nBitsBlock)]!;
	});
}

function quantised(type: WeightType, seed: number): { bytes: Uint8Array; values: Float32Array } {
	const noise = Float32Array.from(
		{ length: rows * columns },
		(_, i) => Math.sin(i * 1.37 + seed) * Math.cos(i * i * 0.011),
	);
	const bytes = type === "F32" ? new Uint8Array(noise.buffer) : ggml.quantise(type, noise, columns);
	const values = new Float32Array(rows * columns);
	dequantise(type, bytes, values);
	return { bytes, values };
}

/** −0 and 0 are one weight. */
function expectSame(ours: Float32Array, theirs: Float32Array): void {
	for (let i = 0; i < theirs.length; i++) {
		if (ours[i] !== theirs[i]) expect.fail(`weight ${i} is ${ours[i]} instead of ${theirs[i]}`);
	}
}

test.each<[WeightType, 4 | 8]>([
	["Q8_0", 8],
	["Q5_0", 8],
	["Q4_0", 8],
	["Q4_0", 4],
	["IQ4_NL", 8],
	["IQ4_XS", 8],
	["IQ2_XXS", 8],
])("%s in %i bits is exactly what it was", (type, bits) => {
	const { bytes, values } = quantised(type, 1);
	expectSame(unpacked(toNBits(type, bytes, rows, columns, bits)), values);
});

describe("whatever the source, no weight is farther off than half a step", () => {
	const others = weightTypes.filter((type) => !["F16", "BF16"].includes(type));
	test.each(others)("%s", (type) => {
		const { bytes, values } = quantised(type, 3);
		for (const bits of [4, 8] as const) {
			const weights = toNBits(type, bytes, rows, columns, bits);
			const back = unpacked(weights);
			for (let i = 0; i < values.length; i++) {
				const step = Math.abs(weights.scales[Math.floor(i / nBitsBlock)]!);
				// One level is missing opposite of the largest weight in 4 bits: −8 … 7.
				const most = bits === 8 ? 0.5001 * step : 1.0001 * step;
				if (Math.abs(back[i]! - values[i]!) > most) expect.fail(`weight ${i}: ${back[i]} for ${values[i]}`);
			}
		}
	});
});

test("zeros stay zeros", () => {
	const weights = toNBits("F32", new Uint8Array(4 * 64), 2, 32, 4);
	expect(unpacked(weights).every((value) => value === 0)).toBe(true);
});

test("lengths that do not fit each other are refused", () => {
	const { blockBytes } = blockLayout("Q8_0");
	expect(() => toNBits("Q8_0", new Uint8Array(blockBytes), 1, 64, 8)).toThrow(ModelFileError);
	expect(() => toNBits("F32", new Uint8Array(4 * 40), 1, 40, 8)).toThrow(ModelFileError);
});
