import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { syntheticSwarm } from "../../gallery/syntheticSwarm.ts";
import { packLanes } from "./packLanes.ts";

const swarms = fc
	.record({ peers: fc.nat(120), models: fc.integer({ min: 1, max: 3 }), seed: fc.nat() })
	.map((options) => syntheticSwarm(options));

describe("packLanes", () => {
	it("shows every span of the model once, never two over each other, in as many lanes as the most copies", () => {
		fc.assert(
			fc.property(swarms, ({ models, members }) => {
				const model = models[0]!;
				const { bars, lanes } = packLanes(model, members);
				const held = members.flatMap(
					({ lends }) => lends?.spans.filter((span) => span.model === model.id) ?? [],
				);
				expect(bars.map(({ span }) => span).sort(byPlace)).toEqual(held.sort(byPlace));
				const taken = new Set<string>();
				const copies = new Array<number>(model.layers).fill(0);
				for (const { lane, span } of bars) {
					for (let layer = span.from; layer < span.to; layer++) {
						expect(taken.has(`${lane} ${layer}`)).toBe(false);
						taken.add(`${lane} ${layer}`);
						copies[layer]!++;
					}
				}
				expect(lanes).toBe(Math.max(...copies));
			}),
		);
	});

	it("leaves out what lies beyond the model, whoever announces it", () => {
		const { models, members } = syntheticSwarm({ peers: 3, models: 1 });
		const far = { ...members[0]!.lends!.spans[0]!, from: 500, to: 600 };
		const liar = { ...members[0]!, lends: { ...members[0]!.lends!, spans: [far] } };
		expect(packLanes(models[0]!, [liar])).toEqual({ bars: [], lanes: 0 });
	});
});

function byPlace(a: { from: number; to: number; msPerToken: number }, b: typeof a): number {
	return a.from - b.from || a.to - b.to || a.msPerToken - b.msPerToken;
}
