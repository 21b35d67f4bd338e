import { describe, expect, test } from "vitest";
import { DraftDepth } from "./draftDepth.ts";

/**
 * Tokens per second over those without drafts, where a lap of one token takes `lapMs`, every draft adds `draftMs`, and of drafts one
 * after the other the same share is accepted.
 */
function gain(lapMs: number, draftMs: number, acceptance: number, expectedMs = draftMs): number {
	const depth = new DraftDepth();
	let share = 0;
	let tokens = 0;
	let ms = 0;
	for (let lap = 0; lap < 300; lap++) {
		const drafts = depth.best(16, expectedMs);
		const took = lapMs + drafts * draftMs;
		depth.lap(drafts, took);
		ms += took;
		tokens++;
		for (let i = 0; i < 16; i++) {
			share += acceptance;
			const accepted = share >= 1;
			if (accepted) share -= 1;
			depth.compared(accepted);
			if (!accepted) break;
			if (i < drafts) tokens++;
		}
	}
	return (tokens * lapMs) / ms;
}

test("where distance is what takes time, drafts pay, and the better they are the more", () => {
	expect(gain(160, 8, 0.6)).toBeGreaterThan(1.5);
	expect(gain(160, 8, 0.9)).toBeGreaterThan(3);
});

test("where computing is what takes time, none is sent", () => {
	expect(gain(600, 450, 0.6)).toBe(1);
	expect(gain(8, 8, 0.9)).toBe(1);
});

describe.each([0.02, 0.3, 0.6, 0.9])("drafts of which %f are accepted", (acceptance) => {
	test.each([
		[160, 8, 8],
		[160, 80, 80],
		[160, 80, 8],
		[160, 160, 8],
		[160, 8, 160],
		[20, 15, 5],
	])("cost next to nothing where laps take %i ms and each adds %i, of which %i were expected", (...times) => {
		expect(gain(times[0], times[1], acceptance, times[2])).toBeGreaterThan(0.9);
	});
});
