import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import {
	createTokenizer,
	type Engine,
	type ModelRef,
	publishModel,
	type ShardSource,
	sourceOfModel,
} from "@tabmesh/model";
import { fetchCatalogModel, openModelFile } from "@tabmesh/model/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "./createEngine.ts";

interface Golden {
	readonly cases: readonly { prompt: string; promptTokens: number[]; greedyTokens: number[] }[];
}
const golden: Golden = JSON.parse(
	await readFile(new URL("../../../e2e/golden/stories15m-greedy.json", import.meta.url), "utf8"),
);

/** The folder in which the CLI keeps its models: one download serves both. */
const cacheDir = join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models");

describe("stories15M in Node", () => {
	let model: ModelRef;
	let source: ShardSource;
	let tokenizerJson: Uint8Array;
	let engine: Engine;
	beforeAll(async () => {
		const opened = await openModelFile(await fetchCatalogModel("stories15m", { cacheDir }));
		model = await publishModel(opened);
		source = sourceOfModel(opened);
		tokenizerJson = opened.derived[0]!.content;
		engine = await createEngine({ memoryBytes: 512 * 1024 * 1024 });
	}, 600_000);
	afterAll(() => engine?.close());

	test("has the id that it has everywhere", () => {
		expect(model.id).toBe("bafyreia3fxk6swfexayky3uiotismyqbyupn4n6evhwrjafsmuem3xv3gq");
	});

	test.each(golden.cases)(
		"encodes the golden prompt $prompt to the golden tokens",
		({ prompt, promptTokens }) => {
			expect(createTokenizer(tokenizerJson, model.manifest).encodePrompt(prompt)).toEqual(promptTokens);
		},
	);

	test.each([
		["whole", [0, 6]],
		["in three spans", [0, 2, 4, 6]],
		["in spans of one layer, embedding and head apart", [0, 0, 1, 2, 3, 4, 5, 6, 6]],
	])("writes the golden stories token for token, %s", async (_how, bounds) => {
		const spans = await Promise.all(
			bounds.slice(1).map((to, i) => {
				const span = { from: bounds[i]!, to, embed: i === 0, head: i === bounds.length - 2 };
				return engine.load({ model, span }, source);
			}),
		);
		for (const { promptTokens, greedyTokens } of golden.cases) {
			for (const [i, span] of spans.entries()) await engine.reserve(span, `stage ${i}`, 256);
			const tokens: number[] = [];
			let position = 0;
			for (let next = promptTokens; tokens.length < greedyTokens.length; next = tokens.slice(-1)) {
				let input: Parameters<Engine["forward"]>[1][number]["input"] = Int32Array.from(next);
				for (const [i, span] of spans.entries()) {
					const [result] = await engine.forward(span, [{ stream: `stage ${i}`, position, input }], {
						logits: "last",
					});
					if (result!.hidden) input = result!.hidden;
					else tokens.push(likeliest(result!.logits!));
				}
				position += next.length;
			}
			expect(tokens).toEqual(greedyTokens);
			for (const i of spans.keys()) await engine.release(`stage ${i}`);
		}
		for (const span of spans) await engine.unload(span);
	});
});

function likeliest(logits: Float32Array): number {
	let best = 0;
	for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
	return best;
}
