import { publishModel, sourceOfModel, type WeightFormat } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { expect, test } from "vitest";
import { createEngine } from "./createEngine.ts";

/** Logits after a few tokens, and what the weights take. */
async function logitsIn(
	weights: WeightFormat,
): Promise<{ logits: Float32Array; weightBytes: number; name: string }> {
	const opened = await openSeededModel({ tiedHead: false });
	const model = await publishModel(opened);
	const engine = await createEngine({ memoryBytes: 8 * 1024 * 1024, weights });
	const span = { from: 0, to: model.manifest.config.layers, embed: true, head: true };
	const handle = await engine.load({ model, span }, sourceOfModel(opened));
	await engine.reserve(handle, "stream", 8);
	const input = Int32Array.of(300, 17, 401, 333, 5);
	const [result] = await engine.forward(handle, [{ stream: "stream", position: 0, input }], {
		logits: "last",
	});
	await engine.close();
	return { logits: result!.logits!, weightBytes: handle.weightBytes, name: engine.info.numericsClass };
}

function cosine(a: Float32Array, b: Float32Array): number {
	const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
	return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

test("weights in 8 and 4 bits say nearly the same as in float32, in less memory and another numerics class", async () => {
	const [exact, eight, four] = [await logitsIn("f32"), await logitsIn("q8"), await logitsIn("q4")];
	const grouped = await logitsIn("i8");
	expect(cosine(grouped.logits, exact.logits)).toBeGreaterThan(0.999);
	expect(grouped.weightBytes).toBeLessThan(0.6 * exact.weightBytes);
	expect(cosine(eight.logits, exact.logits)).toBeGreaterThan(0.999);
	expect(cosine(four.logits, exact.logits)).toBeGreaterThan(0.9);
	expect(eight.weightBytes).toBeLessThan(0.6 * exact.weightBytes);
	expect(four.weightBytes).toBeLessThan(eight.weightBytes);
	expect(new Set([exact.name, eight.name, grouped.name, four.name]).size).toBe(4);
});
