import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dealArcs } from "./arc.ts";

describe("dealArcs", () => {
	it("fills the circle up to its gaps and its seam, in order, with nothing too short to see", () => {
		fc.assert(
			fc.property(fc.array(fc.nat(500), { minLength: 1, maxLength: 24 }), (weights) => {
				const arcs = dealArcs(weights, 5, 26);
				const room = 360 - 26 - 5 * (weights.length - 1);
				const lengths = arcs.map(({ from, to }) => to - from);
				expect(arcs[0]!.from).toBe(13);
				expect(arcs.at(-1)!.to).toBeCloseTo(347, 6);
				expect(Math.min(...lengths)).toBeGreaterThanOrEqual(room / weights.length / 2 - 1e-9);
				for (let i = 1; i < arcs.length; i++) {
					expect(arcs[i]!.from - arcs[i - 1]!.to).toBeCloseTo(5, 6);
					if (weights[i]! > weights[i - 1]!) expect(lengths[i]).toBeGreaterThan(lengths[i - 1]!);
				}
			}),
		);
	});
});
