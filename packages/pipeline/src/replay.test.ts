import { createEngine } from "@tabmesh/inference";
import type { Engine } from "@tabmesh/model";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GenerateInit, generate } from "./ask/generate.ts";
import { OwnEnds } from "./ask/ownEnds.ts";
import { FixtureDirectory } from "./fixtures.ts";
import { Experience } from "./plan/experience.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { greedy } from "./sampling/sampling.ts";
import {
	instead,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "./testSwarm.ts";

// Several positions in one run add up in another order than single ones, which the first test shows of this model. So every bit
// of every logit tells whether a spare computed each position as the stage did that was lost.
const prompt = [1, ...Array.from({ length: 64 }, (_, i) => 260 + ((i * 37) % 240))];
const maxTokens = 40;
const sampling = { ...greedy, temperature: 0.9, topK: 40, seed: 7 };

describe("what is computed after a stage was lost", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	const cuts = [0, 2, 4, 6];
	/** What tokens were sampled from, by their positions. */
	let logits = new Map<number, Float32Array>();

	/** @param positionOf - of the token behind the first of `count` rows, the call's first row having `position` */
	const heard = (engine: Engine, positionOf = (position: number) => position + 1): Engine =>
		instead(engine, "forward", async (handle, rows, options) => {
			const results = await engine.forward(handle, rows, options);
			const { vocabularySize } = model.model.manifest.config;
			for (const [i, { position, input }] of rows.entries()) {
				const all = results[i]!.logits ?? new Float32Array();
				const given = all.length / vocabularySize;
				const count = input instanceof Int32Array ? input.length : input.rows;
				for (let row = 0; row < given; row++) {
					const own = all.slice(row * vocabularySize, (row + 1) * vocabularySize);
					logits.set(positionOf(position + count - given + row), own);
				}
			}
			return results;
		});
	const lender = (place: number) => swarm.lender(cuts[place]!, cuts[place + 1]!, { around: heard });

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 512 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		for (const place of [0, 1, 2]) await lender(place);
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** An answer whose stages `places` are lost in the middle, and every logit of it. */
	const answer = async (more: Partial<GenerateInit> = {}, places: readonly number[] = []) => {
		logits = new Map();
		let stages: readonly string[] = [];
		// Spares are seen when they are needed: both answers begin behind the same stages, and with what those have kept.
		const directory = new FixtureDirectory(swarm.lenders.map(({ member }) => member));
		for (const place of places) await lender(place);
		const request = { maxTokens, sampling, speculation: false, ...more };
		const generation = generate({
			...swarm.ask(asker, prompt, request),
			directory,
			onStages: (views) => {
				stages = views.map(({ peer }) => peer);
			},
		});
		const gone: TestLender[] = [];
		let count = 0;
		for await (const _ of generation) {
			if (++count !== 25) continue;
			for (const place of places) {
				const victim = swarm.lenders.find(({ peer }) => peer.id === stages[place])!;
				swarm.lenders.splice(swarm.lenders.indexOf(victim), 1);
				gone.push(victim);
				void victim.peer.stop();
			}
			directory.members = swarm.lenders.map(({ member }) => member);
		}
		const { tokens, replays } = await generation.summary;
		for (const { server, engine } of gone) {
			await server.close();
			await engine.close();
		}
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		const { length } = request.promptTokens ?? prompt;
		return { tokens, replays, logits: tokens.map((_, i) => logits.get(length + i)) };
	};

	it("would have other bits if it were computed like a prompt", async () => {
		const engine = await createEngine({ memoryBytes: 1e9 });
		const handle = await engine.load({ model: model.model, span: spanOf(0, 6, 6) }, model.source);
		const last = async (stream: string, pieces: readonly number[][]) => {
			await engine.reserve(handle, stream, 100);
			let position = 0;
			let found: Float32Array | undefined;
			for (const piece of pieces) {
				const rows = [{ stream, position, input: Int32Array.from(piece) }];
				[{ logits: found }] = (await engine.forward(handle, rows, { logits: "last" })) as [
					{ logits: Float32Array },
				];
				position += piece.length;
			}
			return found;
		};
		const decoded = prompt.slice(20).map((token) => [token]);
		const atOnce = await last("at once", [prompt.slice(0, 20), prompt.slice(20)]);
		expect(await last("one by one", [prompt.slice(0, 20), ...decoded])).not.toEqual(atOnce);
		await engine.close();
	});

	it.each([
		["the first stage", [0]],
		["the middle stage", [1]],
		["all three stages", [0, 1, 2]],
	])("has every bit that it would have had: %s", async (_what, places) => {
		const undisturbed = await answer();
		const { tokens, logits, replays } = await answer({}, places);
		expect(replays).not.toEqual([]);
		expect(tokens).toEqual(undisturbed.tokens);
		expect(logits).toEqual(undisturbed.logits);
	});

	it("has them where drafts were accepted before", async () => {
		const repeating = { sampling: greedy, promptTokens: [1, ...prompt.slice(1, 20), ...prompt.slice(1, 20)] };
		const undisturbed = await answer(repeating);
		const { tokens, logits, replays } = await answer({ ...repeating, speculation: true }, [0, 1]);
		expect(replays).not.toEqual([]);
		expect(tokens).toEqual(undisturbed.tokens);
		expect(logits).toEqual(undisturbed.logits);
	});

	it("has them where the stages had kept an earlier turn, whose answer was decoded", async () => {
		const experience = new Experience();
		const first = prompt.toReversed();
		const { tokens: before } = await answer({ promptTokens: first, experience });
		const turn = { promptTokens: [...first, ...before, ...prompt.slice(1, 12)], experience };
		const undisturbed = await answer(turn);
		const { tokens, logits, replays } = await answer(turn, [0, 1]);
		expect(replays).not.toEqual([]);
		expect(tokens).toEqual(undisturbed.tokens);
		expect(logits).toEqual(undisturbed.logits);
	});

	it("has them in a private stream", async () => {
		let next = 0;
		const engine = await createEngine({ memoryBytes: 1e9 });
		// The head has no positions of its own: each of its calls is for the next token.
		const around = heard(engine, () => next++);
		const ends = await OwnEnds.load({ engine: around, model: model.model, source: model.source });
		next = prompt.length;
		const undisturbed = await answer({ ends });
		next = prompt.length;
		const { tokens, logits, replays } = await answer({ ends }, [1]);
		expect(replays).not.toEqual([]);
		expect(tokens).toEqual(undisturbed.tokens);
		expect(logits).toEqual(undisturbed.logits);
		await ends.unload();
		await engine.close();
	});
});
