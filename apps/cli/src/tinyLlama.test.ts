import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createEngine } from "@tabmesh/inference";
import { offeredFormats, sourceOfModel } from "@tabmesh/model";
import { beforeAll, describe, expect, test } from "vitest";
import { repositoryRoot } from "./buildSite.ts";
import { cacheFolder } from "./cacheFolder.ts";
import { type DescribedModel, describeModel } from "./describeModel.ts";
import { type ResolvedModel, resolveModel } from "./resolveModel.ts";

interface GoldenCase {
	readonly promptTokens: readonly number[];
	readonly greedyTokens: readonly number[];
}

/** Of a hundred next tokens, how many have to be llama.cpp's, which rounds activations itself: our float32 has 95 or 96. */
const leastAgreement = 94;

/** The default model, over 300 MB from the registry: with `TABMESH_LARGE=1` only. */
describe.runIf(process.env.TABMESH_LARGE === "1")("TinyLlama", { timeout: 1_200_000 }, () => {
	const signal = new AbortController().signal;
	const cacheDir = cacheFolder();
	let model: ResolvedModel;
	let described: DescribedModel;
	let cases: readonly GoldenCase[];
	beforeAll(async () => {
		model = await resolveModel("tinyllama-1.1b-chat", { cacheDir, signal });
		described = await describeModel(model.source, { name: model.name, cacheDir, signal });
		const golden = join(repositoryRoot, "e2e/golden/tinyllama-greedy.json");
		({ cases } = JSON.parse(await readFile(golden, "utf8")) as { cases: GoldenCase[] });
	});

	test("has the id that it has everywhere, and is offered in 8 bits but not in 4", () => {
		const { published, gate } = described;
		expect(published.id).toBe("bafyreiampvy3vqzod2hj5qmkki6d5x723ihfgwzhlubyrwtrvcx6mg7qsu");
		expect(gate.model).toBe(published.id);
		const offered = offeredFormats(published.manifest, gate);
		expect(offered).toContain("q8");
		expect(offered).not.toContain("q4");
	});

	test("names the next token that llama.cpp names, in every format that it is offered in", async () => {
		const { published, gate } = described;
		const { layers } = published.manifest.config;
		const span = { from: 0, to: layers, embed: true, head: true };
		for (const weights of offeredFormats(published.manifest, gate)) {
			const engine = await createEngine({ memoryBytes: 8e9, weights, threads: availableParallelism() });
			try {
				const handle = await engine.load({ model: published, span }, sourceOfModel(model.source));
				let agreed = 0;
				let all = 0;
				for (const { promptTokens, greedyTokens } of cases) {
					const input = Int32Array.from([...promptTokens, ...greedyTokens]);
					await engine.reserve(handle, "golden", input.length);
					const [result] = await engine.forward(handle, [{ stream: "golden", position: 0, input }], {
						logits: "all",
					});
					await engine.release("golden");
					const size = result!.logits!.length / input.length;
					for (const [i, token] of greedyTokens.entries()) {
						const row = result!.logits!.subarray(
							(promptTokens.length + i - 1) * size,
							(promptTokens.length + i) * size,
						);
						if (row.indexOf(row.reduce((most, value) => Math.max(most, value))) === token) agreed++;
						all++;
					}
				}
				console.log(`TinyLlama ${weights}: ${agreed} of ${all} next tokens are llama.cpp's`);
				expect((100 * agreed) / all, weights).toBeGreaterThanOrEqual(leastAgreement);
			} finally {
				await engine.close();
			}
		}
	});
});
