import { expect, test } from "vitest";
import { ConnectionLimiter } from "./connectionRate.ts";

test("an address gets its burst, then what it regains per second, and does not take from others", () => {
	let time = 0;
	const limiter = new ConnectionLimiter({ burst: 3, perSecond: 2 }, () => time);
	expect([1, 2, 3, 4].map(() => limiter.take("a"))).toEqual([true, true, true, false]);
	expect(limiter.take("b")).toBe(true);
	time = 500;
	expect([limiter.take("a"), limiter.take("a")]).toEqual([true, false]);
	time = 60_000;
	expect([1, 2, 3, 4].map(() => limiter.take("a"))).toEqual([true, true, true, false]);
});
