import fc from "fast-check";
import { expect, test } from "vitest";
import { dequantise } from "../gguf/dequantise/dequantise.ts";
import { loadGgml } from "../gguf/testing/ggml.ts";
import { publishModel } from "../manifest/publishModel.ts";
import { sourceOfModel } from "../sources/sourceOfModel.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { quantise } from "./quantise.ts";
import { requantisedSource } from "./requantisedSource.ts";

const floats = fc
	.float32Array({ minLength: 64, maxLength: 64, noNaN: true, noDefaultInfinity: true })
	.map((values) => values.map((value) => value % 1000));

test.each(["Q8_0", "Q4_0"] as const)("blocks of %s have the bytes that ggml gives them", (format) => {
	const ggml = loadGgml();
	fc.assert(
		fc.property(floats, (values) => {
			expect(quantise(format, values)).toEqual(ggml.quantise(format, values, 32));
		}),
		{ numRuns: 2000, examples: [[new Float32Array(64)]] },
	);
});

test("a model in 8 or 4 bits is the same everywhere, and is its source rounded", async () => {
	const source = await openSeededModel({ tiedHead: false });
	const ids = new Set<string>();
	for (const weights of ["q8", "q4"] as const) {
		const rounded = requantisedSource(source, weights);
		const published = await publishModel(rounded);
		expect((await publishModel(requantisedSource(source, weights))).id).toBe(published.id);
		ids.add(published.id);
		const types = new Map(published.manifest.tensors.map(({ name, type }) => [name, type]));
		expect(types.get("model.embed_tokens.weight")).toBe("Q8_0");
		expect(types.get("model.norm.weight")).toBe("F32");
		const name = "model.layers.1.mlp.down_proj.weight";
		expect(types.get(name)).toBe(weights === "q8" ? "Q8_0" : "Q4_0");
		const entry = published.manifest.tensors.find((tensor) => tensor.name === name)!;
		const bytes = await sourceOfModel(rounded).read(published, entry);
		const original = published.manifest.tensors.indexOf(entry);
		const [[file, offset, length]] = source.tensors[original]!.ranges as [[number, number, number]];
		const exact = new Float32Array((await source.files[file]!.read(offset, length)).buffer);
		const ours = new Float32Array(exact.length);
		dequantise(weights === "q8" ? "Q8_0" : "Q4_0", bytes, ours);
		const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
		const step = largest / (weights === "q8" ? 127 : 8);
		for (const [i, value] of ours.entries()) expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(step);
	}
	expect(ids.size).toBe(2);
});

test("weights that are smaller already are left as they are", async () => {
	const once = requantisedSource(await openSeededModel(), "q4");
	expect(requantisedSource(once, "q8").tensors).toEqual(once.tensors);
});
