import fc from "fast-check";
import { expect, test } from "vitest";
import { llama3Scaling } from "./ropeFactors.ts";

interface Parameters {
	readonly factor: number;
	readonly lowFrequencyFactor: number;
	readonly highFrequencyFactor: number;
	readonly originalContext: number;
}

/** `_compute_llama3_parameters` of transformers, as factors. */
function factorsOf(parameters: Parameters, theta: number, pairs: number): Float32Array {
	const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = parameters;
	return Float32Array.from({ length: pairs }, (_, i) => {
		const wave = 2 * Math.PI * theta ** (i / pairs);
		if (wave < originalContext / high) return 1;
		if (wave > originalContext / low) return factor;
		const smooth = (originalContext / wave - low) / (high - low);
		return 1 / ((1 - smooth) / factor + smooth);
	});
}

test("Llama 3.1 and 3.2 come back as they were published", () => {
	for (const [factor, headSize] of [
		[8, 128],
		[32, 64],
	] as const) {
		const published = { factor, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 };
		const found = llama3Scaling(factorsOf(published, 500_000, headSize / 2), 500_000);
		expect(found).toEqual({ type: "llama3", ...published });
	}
});

test("whatever the parameters were, those that are found give the same factors, however few pairs a head has", () => {
	const parameters = fc.record({
		factor: fc.constantFrom(1.5, 2, 4, 8, 32, 64),
		lowFrequencyFactor: fc.constantFrom(1, 2, 3),
		highFrequencyFactor: fc.constantFrom(4, 5, 8, 16),
		originalContext: fc.integer({ min: 8, max: 100_000 }),
	});
	fc.assert(
		fc.property(
			parameters,
			fc.constantFrom(10_000, 100_000, 500_000, 1_000_000),
			fc.integer({ min: 4, max: 64 }),
			(original, theta, pairs) => {
				const factors = factorsOf(original, theta, pairs);
				const found = llama3Scaling(factors, theta);
				if (found === "none") expect(factors.every((factor) => factor === 1)).toBe(true);
				else {
					const again = factorsOf(found!, theta, pairs);
					for (const [i, factor] of factors.entries()) expect(again[i]! / factor).toBeCloseTo(1, 3);
				}
			},
		),
		{ numRuns: 2000 },
	);
});
