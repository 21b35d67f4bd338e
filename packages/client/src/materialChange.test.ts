import type { Announcement } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { isMaterialChange } from "./materialChange.ts";

const lending = (
	change: Partial<NonNullable<Announcement["lends"]>> = {},
	msPerToken = 10,
): Announcement => ({
	rooms: ["public"],
	majors: [1, 1],
	kind: "page",
	joined: 1,
	lends: {
		numericsClass: "test/cpu",
		memoryBytes: 1e9,
		freeBytes: 5e8,
		bytesPerMs: 1e6,
		models: [],
		spans: [{ model: "b", from: 0, to: 2, embed: true, head: false, ready: true, msPerToken }],
		streams: 0,
		...change,
	},
});

test("figures that wander are no news, a clear change and every change of streams and spans are", () => {
	const before = lending();
	for (const same of [lending(), lending({ freeBytes: 4.2e8 }), lending({ bytesPerMs: 1.2e6 }, 11)]) {
		expect(isMaterialChange(before, same)).toBe(false);
	}
	const { lends: _, ...silent } = before;
	for (const news of [
		lending({ freeBytes: 3.9e8 }),
		lending({ freeBytes: 0 }),
		lending({ bytesPerMs: 1.3e6 }),
		lending({}, 13),
		lending({ streams: 1 }),
		lending({ spans: [] }),
		lending({ links: [["near", 20, false]] }),
		silent,
	]) {
		expect(isMaterialChange(before, news)).toBe(true);
		expect(isMaterialChange(news, before)).toBe(true);
	}
	expect(isMaterialChange(undefined, before)).toBe(true);
	const near = lending({ links: [["near", 20, false]] });
	expect(isMaterialChange(near, lending({ links: [["near", 30, false]] }))).toBe(false);
	expect(isMaterialChange(near, lending({ links: [["near", 90, false]] }))).toBe(true);
	expect(isMaterialChange(near, lending({ links: [["other", 20, false]] }))).toBe(true);
});
