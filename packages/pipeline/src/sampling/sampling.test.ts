import { InvalidTensorError, type Sampling } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { greedy, type SoFar, sample } from "./sampling.ts";
import { philox4x32, uniform } from "./uniform.ts";

/** The same function, written for the eye: whole weights, full sort, no scratch, BigInt sums. */
function naive(
	logits: Float32Array,
	sampling: Sampling,
	position: number,
	history: number[],
	written: number[],
): number {
	const values = Float32Array.from(logits);
	if (sampling.repetitionPenalty !== 1) {
		for (const token of new Set(history)) {
			const logit = values[token];
			if (logit === undefined) continue;
			values[token] = logit > 0 ? logit / sampling.repetitionPenalty : logit * sampling.repetitionPenalty;
		}
	}
	const { presencePenalty = 0, frequencyPenalty = 0, logitBias = [] } = sampling;
	for (const token of new Set(written)) {
		const count = written.filter((each) => each === token).length;
		if (token < values.length) values[token]! -= presencePenalty + count * frequencyPenalty;
	}
	for (const [token, bias] of logitBias) if (token < values.length) values[token]! += bias;
	const highest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
	if (sampling.temperature === 0 || sampling.topK === 1) return values.indexOf(highest);
	let ranked = [...values]
		.map((value, id) => ({
			id,
			weight: Math.round(Math.exp((value - highest) / sampling.temperature) * 2 ** 32),
		}))
		.filter(({ weight }) => weight > 0)
		.sort((a, b) => values[b.id]! - values[a.id]! || a.id - b.id);
	if (sampling.topK > 0) ranked = ranked.slice(0, sampling.topK);
	const sum = (list: { weight: number }[]) => Number(list.reduce((s, { weight }) => s + BigInt(weight), 0n));
	if (sampling.topP < 1) {
		const enough = sampling.topP * sum(ranked);
		let kept = 0;
		while (sum(ranked.slice(0, kept)) < enough) kept++;
		ranked = ranked.slice(0, kept);
	}
	ranked = ranked.filter(({ weight }) => weight >= sampling.minP * 2 ** 32);
	ranked.sort((a, b) => a.id - b.id);
	const target = uniform(sampling.seed, position) * sum(ranked);
	let reached = 0;
	for (const { id, weight } of ranked) {
		reached += weight;
		if (reached > target) return id;
	}
	throw new Error("nothing left to draw");
}

const logitsArbitrary = fc.oneof(
	fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 200 }),
	// Few distinct values: ties everywhere.
	fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 200 }),
);
const samplingArbitrary = fc.record({
	temperature: fc.oneof(
		fc.constantFrom(0, 1),
		fc.double({ min: 0.01, max: 10, noNaN: true }),
		fc.constant(1e-300),
	),
	topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 210 })),
	topP: fc.oneof(fc.constantFrom(1, 0.5, 0.9), fc.double({ min: 1e-6, max: 1, noNaN: true })),
	minP: fc.oneof(fc.constantFrom(0, 1, 0.05), fc.double({ min: 0, max: 1, noNaN: true })),
	repetitionPenalty: fc.constantFrom(1, 0.5, 1.3, 10),
	seed: fc.integer({ min: 0, max: 0xffffffff }),
	presencePenalty: fc.constantFrom(0, 0.5, -2),
	frequencyPenalty: fc.constantFrom(0, 0.3, 2),
	logitBias: fc.array(
		fc.tuple(fc.nat(210), fc.oneof(fc.constantFrom(-100, 100), fc.double({ min: -5, max: 5, noNaN: true }))),
		{ maxLength: 4 },
	),
});

describe("sample", () => {
	it("agrees with a naive reference for every setting, ties included", () => {
		fc.assert(
			fc.property(
				logitsArbitrary,
				samplingArbitrary,
				fc.nat(1_000_000),
				fc.array(fc.nat(210), { maxLength: 20 }),
				fc.array(fc.nat(10), { maxLength: 20 }),
				(numbers, sampling, position, history, written) => {
					const logits = Float32Array.from(numbers);
					expect(sample(logits, sampling, position, { history, written })).toBe(
						naive(logits, sampling, position, history, written),
					);
				},
			),
			{ numRuns: 2000 },
		);
	});

	it("takes the lowest id among the likeliest when greedy", () => {
		expect(sample(Float32Array.of(1, 5, 5, 2), greedy, 0)).toBe(1);
	});

	it("draws tokens as often as their probabilities say", () => {
		const probabilities = [0.5, 0.25, 0.15, 0.1];
		const logits = Float32Array.from(probabilities, Math.log);
		const counts = [0, 0, 0, 0];
		const draws = 40_000;
		for (let position = 0; position < draws; position++) {
			const token = sample(logits, { ...greedy, temperature: 1, seed: 7 }, position);
			counts[token]!++;
		}
		// Pearson's chi-squared; 16.27 is its 99.9 % point for 3 degrees of freedom. The seed is fixed, so this never flickers.
		const statistic = probabilities.reduce(
			(sum, p, i) => sum + (counts[i]! - p * draws) ** 2 / (p * draws),
			0,
		);
		expect(statistic).toBeLessThan(16.27);
	});

	it("gives different seeds and positions different draws, and the same ones the same", () => {
		const logits = new Float32Array(1000);
		const draw = (seed: number, position: number) =>
			sample(logits, { ...greedy, temperature: 1, seed }, position);
		const row = Array.from({ length: 50 }, (_, p) => draw(1, p));
		expect(new Set(row).size).toBeGreaterThan(40);
		expect(row).toEqual(Array.from({ length: 50 }, (_, p) => draw(1, p)));
		expect(row).not.toEqual(Array.from({ length: 50 }, (_, p) => draw(2, p)));
	});

	it("keeps a settled answer for settled logits: a change here changes what old seeds produce", () => {
		const logits = Float32Array.from({ length: 500 }, (_, i) => Math.fround(((i * 37) % 101) / 10));
		const settings = { ...greedy, temperature: 0.8, topK: 200, topP: 0.95, minP: 0.01, seed: 42 };
		const tokens = Array.from({ length: 12 }, (_, p) => sample(logits, settings, p, { history: [1, 2, 3] }));
		expect(tokens).toMatchInlineSnapshot(`
			[
			  311,
			  494,
			  420,
			  363,
			  161,
			  158,
			  120,
			  180,
			  270,
			  131,
			  262,
			  161,
			]
		`);
	});

	it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
		"refuses a logit of %s",
		(bad) => {
			const logits = Float32Array.of(0, bad, 1);
			expect(() => sample(logits, greedy, 0)).toThrow(InvalidTensorError);
			expect(() => sample(logits, { ...greedy, temperature: 1 }, 0)).toThrow(InvalidTensorError);
		},
	);

	it("leaves the logits as they were", () => {
		const logits = Float32Array.of(3, 2, 1);
		const soFar: SoFar = { history: [0, 0, 1], written: [0, 0, 1] };
		const all: Sampling = { ...greedy, temperature: 1, repetitionPenalty: 2, frequencyPenalty: 1 };
		sample(logits, { ...all, logitBias: [[1, 5]] }, 0, soFar);
		expect([...logits]).toEqual([3, 2, 1]);
	});
});

describe("uniform", () => {
	it("is Philox4x32-10 as its authors published it", () => {
		const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");
		expect(hex(philox4x32([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
		const ones = 0xffffffff;
		expect(hex(philox4x32([ones, ones, ones, ones], [ones, ones]))).toBe(
			"408f276d 41c83b0e a20bc7c6 6d5451fd",
		);
		expect(hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
			"d16cfe09 94fdcceb 5001e420 24126ea1",
		);
	});

	it("lies in [0, 1)", () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(), (seed, position) => {
				const u = uniform(seed, position);
				expect(u >= 0 && u < 1).toBe(true);
			}),
		);
	});
});
