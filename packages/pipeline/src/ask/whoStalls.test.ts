import { expect, it } from "vitest";
import { whoStalls } from "./whoStalls.ts";

const at = (...stages: [received: number, computed: number][]) =>
	stages.map(([received, computed]) => ({ received, computed }));

it.each([
	["the first stage without its input", at([9, 9], [9, 9]), { place: 0, link: false }],
	[
		"a stage that has input and does not compute it",
		at([10, 10], [10, 9], [9, 9]),
		{ place: 1, link: false },
	],
	[
		"a stage, or the link before it, that misses what was computed",
		at([10, 10], [9, 9], [9, 9]),
		{ place: 1, link: true },
	],
	["the last stage when all is computed", at([10, 10], [10, 10]), { place: 1, link: false }],
])("blames %s", (_what, stages, culprit) => {
	expect(whoStalls(stages, 10)).toEqual(culprit);
});
