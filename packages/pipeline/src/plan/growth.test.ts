import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { growth } from "./growth.ts";

describe("growth", () => {
	it("begins with the layers that have the fewest holders and ends with the whole span", () => {
		const holders = [3, 3, 3, 3, 3, 3, 1, 1, 3, 3];
		expect(growth({ from: 2, to: 10 }, holders)).toEqual([
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
				const parts = growth({ from, to }, holders);
				expect(parts.at(-1)).toEqual({ from, to });
				for (const [i, part] of parts.slice(1).entries()) {
					const before = parts[i]!;
					expect(part.from <= before.from && before.to <= part.to).toBe(true);
					expect(part.to - part.from).toBeGreaterThan(before.to - before.from);
				}
				expect(parts[0]!.from >= from && parts[0]!.to <= to && parts[0]!.from < parts[0]!.to).toBe(true);
			}),
		);
	});
});
