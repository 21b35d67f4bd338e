import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Device } from "./bestChain.ts";
import { bestPipelines } from "./bestPipelines.ts";

const layers = 12;
interface Drawn {
	memory: number;
	msPerLayer: number;
}
const device = ({ memory, msPerLayer }: Drawn, i: number): Device & { memory: number } => ({
	peer: `p${i}`,
	memory,
	time: (from, to) => (to - from) * msPerLayer,
	fits: (from, to) => to - from <= memory,
});
const plan = (drawn: readonly Drawn[]) =>
	bestPipelines({ from: 0, to: layers }, drawn.map(device), ({ memory }) => Math.min(layers, memory));
const text = (drawn: readonly Drawn[]) =>
	plan(drawn)
		?.map(([{ peer }, { from, to }]) => `${peer}:${from}-${to}`)
		.sort();

describe("bestPipelines", () => {
	it("makes as many pipelines as the memory allows, and gives quicker stages more layers", () => {
		const half = { memory: 6, msPerLayer: 5 };
		expect(text([half, half, half, half])).toEqual(["p0:0-6", "p1:0-6", "p2:6-12", "p3:6-12"]);
		const whole = { memory: 12, msPerLayer: 5 };
		expect(text([whole, whole])).toEqual(["p0:0-12", "p1:0-12"]);
		expect(
			text([
				{ memory: 9, msPerLayer: 2 },
				{ memory: 9, msPerLayer: 4 },
			]),
		).toEqual(["p0:0-8", "p1:8-12"]);
		expect(
			text([
				{ memory: 5, msPerLayer: 1 },
				{ memory: 5, msPerLayer: 1 },
			]),
		).toBeUndefined();
	});

	it("covers every layer as often as any other, within everybody's memory", () => {
		const swarm = fc.array(
			fc.record({ memory: fc.integer({ min: 0, max: 14 }), msPerLayer: fc.integer({ min: 1, max: 50 }) }),
			{ maxLength: 16 },
		);
		fc.assert(
			fc.property(swarm, (drawn) => {
				const parts = plan(drawn);
				if (!parts) return;
				const holders = new Array<number>(layers).fill(0);
				for (const [{ fits }, { from, to }] of parts) {
					expect(fits(from, to)).toBe(true);
					for (let layer = from; layer < to; layer++) holders[layer]!++;
				}
				expect(new Set(holders).size).toBe(1);
				expect(new Set(parts.map(([{ peer }]) => peer)).size).toBe(parts.length);
			}),
		);
	});
});
