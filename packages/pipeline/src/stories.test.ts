import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { publishModel, sourceOfModel } from "@tabmesh/model";
import { fetchCatalogModel, openModelFile } from "@tabmesh/model/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "./ask/generate.ts";
import { type TestPeer, TestSwarm } from "./testSwarm.ts";

interface Golden {
	cases: { prompt: string; promptTokens: number[]; greedyTokens: number[] }[];
}

/** Computed in float32 with numpy, by another program than ours. */
const golden = JSON.parse(
	await readFile(join(import.meta.dirname, "../../../e2e/golden/stories15m-greedy.json"), "utf8"),
) as Golden;

describe("stories15M over three stages", () => {
	let swarm: TestSwarm;
	let asker: TestPeer;

	beforeAll(async () => {
		const cache = process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh");
		const file = await openModelFile(
			await fetchCatalogModel("stories15m", { cacheDir: join(cache, "models") }),
		);
		const { id, manifest } = await publishModel(file);
		swarm = await TestSwarm.start({ model: { id, manifest }, source: sourceOfModel(file) });
		asker = await swarm.peer();
		await swarm.lender(0, 3);
		await swarm.lender(3, 5);
		await swarm.lender(5, 6);
	}, 300_000);
	afterAll(() => swarm?.stop());

	it.each(golden.cases)(
		"continues “$prompt” as it was computed elsewhere, token for token",
		async (one) => {
			const { tokens, stages, timing } = await generate(
				swarm.ask(asker, one.promptTokens, { maxTokens: one.greedyTokens.length }),
			).summary;
			expect(tokens).toEqual(one.greedyTokens);
			expect(stages).toHaveLength(3);
			expect(timing.tokensPerSecond).toBeGreaterThan(0);
		},
		120_000,
	);
});
