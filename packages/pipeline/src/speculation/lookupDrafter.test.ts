import { describe, expect, test } from "vitest";
import { LookupDrafter } from "./lookupDrafter.ts";

/** The first `most` drafts behind a text, and for how many tokens that agreed they were asked. */
function drafts(text: readonly number[], most = 4, drafter = new LookupDrafter()): [number[], number?] {
	let asked: number | undefined;
	const found = drafter.draft(Int32Array.from(text), (matched) => {
		asked = matched;
		return most;
	});
	return asked === undefined ? [[...found]] : [[...found], asked];
}

describe("a draft from the text itself", () => {
	test("goes on as it did after the longest piece that stands at the end, and of two equals after the latest", () => {
		expect(drafts([1, 2, 3, 4, 5, 6, 7, 9, 3, 4, 8, 8, 2, 3, 4])).toEqual([[5, 6, 7, 9], 3]);
		expect(drafts([3, 4, 5, 6, 3, 4, 7, 8, 9, 3, 4])).toEqual([[7, 8, 9, 3], 2]);
	});

	test("repeats a text of a short period over and over", () => {
		expect(drafts([9, 5, 6, 5, 6, 5, 6], 5)).toEqual([[5, 6, 5, 6, 5], 4]);
	});

	test("is none where nothing was there before, or a single token was", () => {
		expect(drafts([1, 2, 3, 4, 5])).toEqual([[]]);
		expect(drafts([1, 2, 3, 4, 5, 1])).toEqual([[]]);
		expect(drafts([1, 2, 3, 4, 1, 2], 4, new LookupDrafter(3))).toEqual([[]]);
	});

	test("goes on behind a word that took another's place", () => {
		const drafter = new LookupDrafter();
		const text = [1, 2, 3, 4, 5, 6, 7, 1, 2];
		expect(drafts(text, 3, drafter)).toEqual([[3, 4, 5], 2]);
		expect(drafts([...text, 9], 3, drafter)).toEqual([[4, 5, 6], 0]);
		expect(drafts([...text, 9, 4], 3, drafter)).toEqual([[5, 6, 7], 0]);
		expect(drafts([...text, 9, 4, 5], 3, drafter)).toEqual([[6, 7, 1], 2]);
	});
});
