import { createEngine } from "@tabmesh/inference";
import type { Sampling } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "../ask/generate.ts";
import { FixtureDirectory } from "../fixtures.ts";
import { spanOf } from "../plan/modelSizes.ts";
import { greedy } from "../sampling/sampling.ts";
import {
	oneProcess,
	random,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "../testSwarm.ts";
import type { Drafter } from "./drafter.ts";
import { type DraftModel, ModelDrafter } from "./modelDrafter.ts";

/** One way, from stage to stage: what takes the time is distance. */
const distanceMs = 6;
const maxTokens = 30;

const samplings: Partial<Sampling>[] = [
	{},
	{ temperature: 0.8, seed: 3 },
	{ temperature: 1.2, topK: 40, topP: 0.9, seed: 4 },
	{ temperature: 0.6, minP: 0.05, repetitionPenalty: 1.3, seed: 5 },
	{ repetitionPenalty: 1.5 },
];

describe("an answer with drafted tokens", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	/** What the answer under way will be, so that drafts can be right, wrong, or right for a while. */
	let expected: number[] = [];
	let promptLength = 0;
	let share = 0.8;
	/** Who drafts in place of that. */
	let small: DraftModel | undefined;
	const draw = random(7);
	const drafter: Drafter = {
		draft: (tokens, wanted) =>
			expected
				.slice(tokens.length - promptLength, tokens.length - promptLength + wanted())
				.map((token) => (draw() < share ? token : 259 + Math.floor(draw() * 250))),
	};

	const lender = (from: number, to: number): Promise<TestLender> =>
		swarm.lender(from, to, {
			drafter: () => (small ? new ModelDrafter(small) : drafter),
			distanceMs,
		});

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 256 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		for (const from of [0, 2, 4]) await lender(from, from + 2);
	}, 60_000);
	afterAll(() => swarm?.stop());

	const someTokens = (count: number) => [
		1,
		...Array.from({ length: count }, () => 259 + Math.floor(draw() * 250)),
	];

	const prepare = async (sampling: Sampling, count = maxTokens): Promise<number[]> => {
		const prompt = someTokens(4 + Math.floor(draw() * 40));
		promptLength = prompt.length;
		const plain = swarm.ask(asker, prompt, { maxTokens: count, sampling, speculation: false });
		expected = [...(await generate(plain).summary).tokens];
		return prompt;
	};

	it.each(samplings)(
		"is the one written without them, in fewer laps, with %o",
		async (settings) => {
			const sampling = { ...greedy, ...settings };
			share = 0.85;
			const prompt = await prepare(sampling);
			const { tokens, laps } = await generate(swarm.ask(asker, prompt, { maxTokens, sampling })).summary;
			expect(tokens).toEqual(expected);
			expect(laps.count + laps.accepted).toBe(maxTokens);
			expect(laps.accepted).toBeGreaterThan(0);
			expect(laps.drafted).toBeGreaterThanOrEqual(laps.accepted);
		},
		60_000,
	);

	it("is written without them where the asker wants none", async () => {
		share = 1;
		const prompt = await prepare(greedy);
		const { tokens, laps } = await generate(swarm.ask(asker, prompt, { maxTokens, speculation: false }))
			.summary;
		expect(tokens).toEqual(expected);
		expect(laps).toEqual({ count: maxTokens, drafted: 0, accepted: 0 });
	}, 60_000);

	it("ends at a stop token though more was drafted and right, and at the end of the context", async () => {
		share = 1;
		const prompt = await prepare(greedy);
		const stop = expected[29]!;
		const count = expected.indexOf(stop) + 1;
		const stopped = await generate(swarm.ask(asker, prompt, { maxTokens, stopTokens: [stop] })).summary;
		expect(stopped).toMatchObject({ finishReason: "stop", tokens: expected.slice(0, count) });
		const long = someTokens(225);
		promptLength = long.length;
		expected = await oneProcess(model, long, 30);
		const clipped = await generate(swarm.ask(asker, long, { maxTokens: 500 })).summary;
		expect(clipped).toMatchObject({ finishReason: "length", tokens: expected });
		expect(clipped.laps.accepted).toBeGreaterThan(0);
	}, 60_000);

	it.each([0, 1, 2])(
		"goes on as it was when stage %i is lost while drafts are under way",
		async (place) => {
			share = 0.9;
			const sampling = { ...greedy, temperature: 0.9, seed: 10 + place };
			const prompt = await prepare(sampling, 60);
			await lender(2 * place, 2 * place + 2);
			const directory = new FixtureDirectory(swarm.lenders.map(({ member }) => member));
			let route: readonly string[] = [];
			const generation = generate({
				...swarm.ask(asker, prompt, { maxTokens: 60, sampling }),
				directory,
				onStages: (stages) => {
					route = stages.map(({ peer }) => peer);
				},
			});
			let count = 0;
			for await (const _ of generation) {
				if (++count !== 20) continue;
				const victim = swarm.lenders.find(({ peer }) => peer.id === route[place])!;
				swarm.lenders.splice(swarm.lenders.indexOf(victim), 1);
				void victim.peer.stop();
			}
			const { tokens, replays, laps } = await generation.summary;
			expect(tokens).toEqual(expected);
			expect(replays.length).toBeGreaterThan(0);
			expect(laps.accepted).toBeGreaterThan(0);
			await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		},
		60_000,
	);

	it.each([
		["in its context", 256],
		["longer than its context", 48],
	])(
		"is the one written without them where a model drafts for a text %s",
		async (_what, contextLength) => {
			const engine = await createEngine({ memoryBytes: 1e9 });
			const { layers } = model.model.manifest.config;
			const handle = await engine.load({ model: model.model, span: spanOf(0, layers, layers) }, model.source);
			const loaded = await engine.usedBytes();
			small = { engine, handle, contextLength };
			const prompt = await prepare(greedy, 60);
			const { tokens, laps } = await generate(swarm.ask(asker, prompt, { maxTokens: 60 })).summary;
			small = undefined;
			expect(tokens).toEqual(expected);
			// It has the same weights: as long as it knows the whole text, it is right.
			if (contextLength === 256) expect(laps.accepted).toBe(laps.drafted);
			expect(laps.accepted).toBeGreaterThan(0);
			await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
			await engine.truncate("nobody", 0).catch(() => {});
			expect(await engine.usedBytes()).toBe(loaded);
			await engine.close();
		},
		60_000,
	);
});
