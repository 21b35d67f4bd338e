import { describe, expect, test, vi } from "vitest";
import type { Offence } from "./peer.ts";
import { Reputation } from "./reputation.ts";

const minute = 60_000;

describe("a score", () => {
	test("is neither forgiven nor made worse by a clock that somebody sets", () => {
		vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
		try {
			const reputation = new Reputation();
			reputation.report("a", "violation");
			for (const jump of [365 * 86_400_000, -2 * 365 * 86_400_000]) {
				vi.setSystemTime(Date.now() + jump);
				expect(reputation.score("a")).toBeCloseTo(-25, 0);
			}
		} finally {
			vi.useRealTimers();
		}
	});

	test("is 0 for a stranger, falls with every offence, and comes back slowly", () => {
		let now = 0;
		const reputation = new Reputation(() => now);
		expect(reputation.score("a")).toBe(0);
		reputation.report("a", "malformed");
		expect(reputation.score("a")).toBe(-25);
		now += 5 * minute;
		expect(reputation.score("a")).toBeCloseTo(-15);
		now += 60 * minute;
		expect(reputation.score("a")).toBe(0);
	});

	test("of a proof of malice is a ban at once; slips of honest peers are none, however many in a quarter of an hour", () => {
		let now = 0;
		const reputation = new Reputation(() => now);
		expect(reputation.report("liar", "equivocation")).toBe(true);
		expect(reputation.banned("liar")).toBe(true);
		for (let i = 0; i < 5; i++) {
			expect(reputation.report("slow", "timeout")).toBe(false);
			now += 3 * minute;
		}
		expect(reputation.banned("slow")).toBe(false);
	});

	test("lifts a ban only when half of it is forgiven, and tells of each ban once", () => {
		let now = 0;
		const reputation = new Reputation(() => now);
		const told = (["wrong-bytes", "wrong-bytes", "wrong-bytes", "equivocation"] as Offence[]).map((offence) =>
			reputation.report("a", offence),
		);
		expect(told).toEqual([false, true, false, false]);
		now += 24 * minute;
		expect(reputation.banned("a")).toBe(true);
		now += 2 * minute;
		expect(reputation.banned("a")).toBe(false);
		expect(reputation.score("a")).toBeLessThan(-40);
		expect(reputation.report("a", "equivocation")).toBe(true);
	});

	test("is kept for a bounded number of peers, the banned ones longest", () => {
		const reputation = new Reputation(() => 0);
		reputation.report("liar", "equivocation");
		for (let i = 0; i < 30_000; i++) reputation.report(`stranger ${i}`, "timeout");
		expect(reputation.banned("liar")).toBe(true);
		expect(reputation.score("stranger 0")).toBe(0);
		expect(reputation.score("stranger 29999")).toBe(-5);
	});
});
