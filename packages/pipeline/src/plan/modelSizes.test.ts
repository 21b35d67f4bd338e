import { publishModel, spanSize, weightFormats } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { expect, test } from "vitest";
import { modelSizes, spanOf } from "./modelSizes.ts";

const layers = 4;

test.each([
	["a tied head", { hidden: 256, feedForward: 512, heads: 8, vocabulary: 2048 }],
	["a head of its own", { hidden: 256, feedForward: 512, heads: 8, vocabulary: 2048, tiedHead: false }],
	["rows that are no whole blocks, nor groups", { hidden: 256, feedForward: 509, heads: 8 }],
])("what the deal counts for a span is what an engine holds, in every format, with %s", async (_, shape) => {
	const { manifest } = await publishModel(await openSeededModel({ layers, ...shape }));
	const sizes = modelSizes(manifest);
	for (const weights of weightFormats) {
		for (const [from, to] of [
			[0, layers],
			[0, 1],
			[1, 3],
			[2, layers],
		] as const) {
			const span = spanOf(from, to, layers);
			const { weightBytes } = spanSize(manifest, span, { weights, keyValues: "rows" });
			const counted = sizes.weightBytes(span, `ort1/wasm/simd/${weights}/f32`);
			expect(counted / weightBytes, `${weights} ${from}-${to}`).toBeGreaterThan(0.97);
			expect(counted / weightBytes, `${weights} ${from}-${to}`).toBeLessThan(1.03);
		}
	}
});
