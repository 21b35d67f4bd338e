import { ProtocolViolationError, type TokenLogprob } from "@tabmesh/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { checkLogprobs, logprobsOf } from "./logprobs.ts";

const logitsArbitrary = fc.oneof(
	fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 200 }),
	fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 200 }),
);

it("tells the softmax of the logits, the likeliest first and of equally likely tokens the lower ids, and passes its own check", () => {
	fc.assert(
		fc.property(logitsArbitrary, fc.nat(), fc.nat(20), (numbers, any, count) => {
			const logits = Float32Array.from(numbers);
			const token = any % logits.length;
			const told = logprobsOf(logits, token, count);
			const whole = [...logits].reduce((sum, value) => sum + Math.exp(value), 0);
			const ranked = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, count);
			expect(told.top.map(([id]) => id)).toEqual(ranked);
			for (const [id, logprob] of [[token, told.logprob] as const, ...told.top])
				expect(logprob).toBeCloseTo(Math.log(Math.exp(logits[id]!) / whole), 9);
			checkLogprobs([told], [token], count, logits.length);
		}),
	);
});

it("takes none that cannot be: too few, too many, out of order, twice the same, more than certain, or not asked for", () => {
	const [half, fifth] = [Math.log(0.5), Math.log(0.2)];
	const good: TokenLogprob = {
		logprob: half,
		top: [
			[3, half],
			[4, fifth],
		],
	};
	checkLogprobs([good], [3], 2, 10);
	checkLogprobs([{ ...good, logprob: Math.log(0.1) }], [5], 2, 10);
	const wrong: [TokenLogprob[] | undefined, number[], number | undefined][] = [
		[undefined, [3], 2],
		[[good], [3], undefined],
		[[good], [3, 3], 2],
		[[good], [3], 1],
		[[good], [3], 3],
		[[{ ...good, logprob: fifth }], [3], 2],
		[[{ ...good, logprob: Math.log(0.3) }], [5], 2],
		[[{ ...good, top: good.top.toReversed() }], [3], 2],
		[[{ ...good, top: [good.top[0]!, good.top[0]!] }], [3], 2],
		[
			[
				{
					...good,
					top: [
						[3, half],
						[99, fifth],
					],
				},
			],
			[3],
			2,
		],
		[
			[
				{
					logprob: -0.1,
					top: [
						[3, -0.1],
						[4, -0.1],
					],
				},
			],
			[3],
			2,
		],
	];
	for (const [told, tokens, count] of wrong) {
		expect(() => checkLogprobs(told, tokens, count, 10), JSON.stringify(told)).toThrow(
			ProtocolViolationError,
		);
	}
});
