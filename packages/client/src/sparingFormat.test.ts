import type { Member } from "@tabmesh/directory";
import { publishModel, type WeightFormat } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { modelSizes, spanOf } from "@tabmesh/pipeline";
import { expect, test } from "vitest";
import { sparingFormat } from "./sparingFormat.ts";

const layers = 8;
const model = await publishModel(await openSeededModel({ layers, feedForward: 768 }));
const wholeBytes = modelSizes(model.manifest).servingBytes(spanOf(0, layers, layers));

/** A lender with memory for so much of the model in float32. */
const lender = (peer: string, part: number, weights: WeightFormat = "f32"): Member => ({
	peer,
	announced: 0,
	rooms: ["public"],
	majors: [1, 1],
	kind: "page",
	joined: peer.charCodeAt(0),
	lends: {
		numericsClass: `ort1/wasm/simd/${weights}/f32`,
		memoryBytes: (part * wholeBytes) / 0.9,
		freeBytes: 0,
		bytesPerMs: 1e6,
		models: [model.id],
		spans: [],
		streams: 0,
	},
});
const choose = (members: readonly Member[], formats: [WeightFormat, ...WeightFormat[]], minStages = 1) =>
	sparingFormat(members, model, "a", formats, { minStages });

test("while the swarm holds the model in what runs best, nobody goes below it", () => {
	expect(choose([lender("a", 1.1)], ["f32", "q8"])).toMatchObject({ weights: "f32" });
	expect(choose([lender("a", 0.7), lender("b", 0.7)], ["f32", "q8"])).toMatchObject({ weights: "f32" });
	expect(choose([lender("a", 0.2), lender("b", 1.1)], ["f32", "q8", "q4"])).toMatchObject({
		weights: "f32",
	});
});

test("where it does not, the first format that makes the model whole is chosen, and no smaller one", () => {
	const { weights, span } = choose([lender("a", 0.7)], ["f32", "q8", "q4"]);
	expect(weights).toBe("q8");
	expect(span).toEqual({ from: 0, to: layers, embed: true, head: true });
	expect(choose([lender("a", 0.3), lender("b", 0.5)], ["f32", "q8"])).toMatchObject({ weights: "q8" });
});

test("where none does, that with which least is missing; and what brings nothing is left alone", () => {
	expect(choose([lender("a", 0.2)], ["f32", "q8"]).weights).toBe("q8");
	expect(choose([lender("a", 0.001), lender("b", 0.3)], ["f32", "q8", "q4"]).weights).toBe("f32");
	// Lenders that are awaited bring their own memory.
	expect(choose([lender("a", 1.1)], ["f32", "q8"], 3).weights).toBe("f32");
});

test("a lender goes back when others bring what was missing", () => {
	const members = [lender("a", 0.7, "q8"), lender("b", 0.7)];
	expect(choose(members, ["f32", "q8"]).weights).toBe("f32");
});
