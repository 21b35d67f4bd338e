import type { Gate } from "@tabmesh/wire";
import { beforeAll, describe, expect, test } from "vitest";
import { type PublishedModel, publishModel } from "../manifest/publishModel.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { boundaryOf, offeredFormats } from "./offeredFormats.ts";
import { requantisedSource } from "./requantisedSource.ts";

let floats: PublishedModel;
let blocks: PublishedModel;
beforeAll(async () => {
	const source = await openSeededModel();
	floats = await publishModel(source);
	blocks = await publishModel(requantisedSource(source, "q8"));
});

function gate(q8: number, q4: number): Gate {
	const formats = [
		{ weights: "f32", agreed: 200 },
		{ weights: "q8", agreed: q8 },
		{ weights: "q4", agreed: q4 },
		{ weights: "from-the-future", agreed: 200 },
	];
	return { model: floats.id, positions: 200, formats, largestResidual: 10 };
}

describe("a format is offered", () => {
	test("when it agrees with float32 on 97 next tokens of a hundred, not on fewer", () => {
		expect(offeredFormats(floats.manifest, gate(194, 193))).toEqual(["f32", "q8"]);
		expect(offeredFormats(floats.manifest, gate(193, 194))).toEqual(["f32", "q4"]);
		expect(offeredFormats(blocks.manifest, gate(100, 0))).toEqual(["f32"]);
	});

	test("without a record only where nothing is lost by it", () => {
		expect(offeredFormats(floats.manifest)).toEqual(["f32"]);
		expect(offeredFormats(blocks.manifest)).toEqual(["f32", "q8"]);
	});
});

test("hidden states travel in halves unless they come near what halves can hold", () => {
	expect(boundaryOf({ largestResidual: 29_999 })).toBe("f16");
	expect(boundaryOf({ largestResidual: 30_001 })).toBe("f32");
});
