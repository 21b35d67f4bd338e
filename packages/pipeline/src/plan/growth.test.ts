import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { growth, isSoonWhole } from "./growth.ts";

const large = 1e9;

describe("growth", () => {
	it("begins with the layers that have the fewest holders and ends with the whole span", () => {
		const holders = [3, 3, 3, 3, 3, 3, 1, 1, 3, 3];
		expect(growth({ from: 2, to: 10 }, holders, large)).toEqual([
			{ from: 6, to: 8 },
			{ from: 6, to: 10 },
			{ from: 2, to: 10 },
		]);
	});

	it("gives parts that contain each other and stay inside the span", () => {
		const counts = fc.array(fc.nat(5), { minLength: 1, maxLength: 80 });
		fc.assert(
			fc.property(counts, fc.nat(), fc.nat(), (holders, a, b) => {
				const from = a % holders.length;
				const to = from + 1 + (b % (holders.length - from));
				const parts = growth({ from, to }, holders, large);
				expect(parts.at(-1)).toEqual({ from, to });
				// Each announcement is heard by everybody: there are never more than three.
				expect(parts.length).toBeLessThanOrEqual(3);
				for (const [i, part] of parts.slice(1).entries()) {
					const before = parts[i]!;
					expect(part.from <= before.from && before.to <= part.to).toBe(true);
					expect(part.to - part.from).toBeGreaterThan(before.to - before.from);
				}
				expect(parts[0]!.from >= from && parts[0]!.to <= to && parts[0]!.from < parts[0]!.to).toBe(true);
			}),
		);
	});

	it("begins with layers of which none of equal number in the span have fewer holders", () => {
		const counts = fc.array(fc.nat(5), { minLength: 1, maxLength: 40 });
		fc.assert(
			fc.property(counts, (holders) => {
				const [first] = growth({ from: 0, to: holders.length }, holders, large);
				const size = first!.to - first!.from;
				const held = (at: number) => holders.slice(at, at + size).reduce((sum, count) => sum + count, 0);
				for (let at = 0; at + size <= holders.length; at++)
					expect(held(first!.from)).toBeLessThanOrEqual(held(at));
			}),
		);
	});

	it("leaves what any line brings soon as it is", () => {
		expect(growth({ from: 0, to: 8 }, new Array(8).fill(0), 60e6)).toEqual([{ from: 0, to: 8 }]);
	});
});

describe("isSoonWhole", () => {
	it("waits for what comes within two seconds at the pace so far", () => {
		// 1 MB in 100 ms: 10 MB/s.
		const part = { bytes: 1e6, ms: 100 };
		expect(isSoonWhole(part, 19e6)).toBe(true);
		expect(isSoonWhole(part, 21e6)).toBe(false);
	});
});
