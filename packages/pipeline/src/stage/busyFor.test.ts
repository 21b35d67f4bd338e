import { expect, it } from "vitest";
import { busyFor, inAbout } from "./busyFor.ts";

it("says when enough streams will have ended, the ones that end first counted first", () => {
	const occupants = [
		{ remainingMs: 9000, frees: 500 },
		{ remainingMs: 2000, frees: 100 },
		{ remainingMs: 4000.2, frees: 300 },
		{ remainingMs: undefined, frees: 1000 },
	];
	expect(busyFor(occupants, 1)).toBe(2000);
	expect(busyFor(occupants, 101)).toBe(4001);
	expect(busyFor(occupants, 400)).toBe(4001);
	expect(busyFor(occupants, 401)).toBe(9000);
	expect(busyFor(occupants, 901)).toBeUndefined();
	expect(busyFor([], 1)).toBeUndefined();
});

it.each([
	[1, "about 1 second"],
	[1001, "about 2 seconds"],
	[89_000, "about 89 seconds"],
	[100_000, "about 2 minutes"],
	[600_000, "about 10 minutes"],
])("says %i ms as people do", (ms, words) => {
	expect(inAbout(ms)).toBe(words);
});
