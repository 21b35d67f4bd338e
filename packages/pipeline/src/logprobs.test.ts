import { createEngine } from "@tabmesh/inference";
import { RouteRefusedError, type Sampling, type TokenLogprob } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GenerateInit, generate } from "./ask/generate.ts";
import { OwnEnds } from "./ask/ownEnds.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { logprobsOf } from "./sampling/logprobs.ts";
import { greedy } from "./sampling/sampling.ts";
import { oneProcess, type TestModel, type TestPeer, TestSwarm, testModel } from "./testSwarm.ts";

const prompt = [1, ...Array.from({ length: 20 }, (_, i) => 260 + ((i * 37) % 240))];
const maxTokens = 16;
const count = 5;
const penalised: Sampling = {
	...greedy,
	temperature: 0.9,
	topK: 50,
	seed: 5,
	presencePenalty: 0.7,
	frequencyPenalty: 0.9,
	logitBias: [
		[300, 4],
		[301, -100],
	],
};

describe("probabilities and penalties of an answer over three stages", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	/** What is drafted: right every other time. */
	let right: readonly number[] = [];

	beforeAll(async () => {
		model = await testModel({ layers: 3, context: 512 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		const drafter = () => ({
			draft: (tokens: { readonly length: number }, wanted: () => number) => {
				const at = tokens.length - prompt.length;
				return right.slice(at, at + wanted()).map((token, i) => (i === 2 ? token ^ 1 : token));
			},
		});
		await swarm.lender(0, 1, { drafter });
		await swarm.lender(1, 2);
		await swarm.lender(2, 3);
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** The answer with what was told of each token, told what is told of each. */
	const told = async (more: Partial<GenerateInit> = {}) => {
		const generation = generate(
			swarm.ask(asker, prompt, { maxTokens, logprobs: count, speculation: false, ...more }),
		);
		const logprobs: (TokenLogprob | undefined)[] = [];
		for await (const each of generation) logprobs.push(each.logprobs);
		return { ...(await generation.summary), logprobs };
	};
	/** What one process makes of the same tokens. */
	const alone = async (tokens: readonly number[]) => {
		const { layers, vocabularySize } = model.model.manifest.config;
		const engine = await createEngine({ memoryBytes: 1e9 });
		const handle = await engine.load({ model: model.model, span: spanOf(0, layers, layers) }, model.source);
		await engine.reserve(handle, "one", 512);
		const input = Int32Array.from([...prompt, ...tokens.slice(0, -1)]);
		const [row] = await engine.forward(handle, [{ stream: "one", position: 0, input }], { logits: "all" });
		await engine.close();
		return tokens.map((token, i) => {
			const from = (prompt.length - 1 + i) * vocabularySize;
			return logprobsOf(row!.logits!.subarray(from, from + vocabularySize), token, count);
		});
	};
	/** Hidden states travel in half precision. */
	const near = (told: readonly (TokenLogprob | undefined)[], expected: readonly TokenLogprob[]) => {
		expect(told).toHaveLength(expected.length);
		for (const [i, each] of told.entries()) {
			expect(Math.abs(each!.logprob - expected[i]!.logprob)).toBeLessThan(0.02);
			expect(each!.top).toHaveLength(count);
			for (const [k, [, logprob]] of each!.top.entries())
				expect(Math.abs(logprob - expected[i]!.top[k]![1])).toBeLessThan(0.02);
		}
	};

	it("are those of one process's softmax, whatever the temperature, and nothing is told where nothing was asked", async () => {
		const sampling = { ...greedy, temperature: 1.4, seed: 3 };
		const answer = await told({ sampling });
		near(answer.logprobs, await alone(answer.tokens));
		const silent = await told({ sampling, logprobs: undefined });
		expect(silent.tokens).toEqual(answer.tokens);
		expect(silent.logprobs.filter((each) => each !== undefined)).toEqual([]);
	}, 60_000);

	it("are as one process has them with penalties and biases, the same tokens too, drafted or not", async () => {
		const expected = await oneProcess(model, prompt, maxTokens, penalised);
		expect(expected).not.toEqual(
			await oneProcess(model, prompt, maxTokens, { ...greedy, temperature: 0.9, topK: 50, seed: 5 }),
		);
		const plain = await told({ sampling: penalised });
		expect(plain.tokens).toEqual(expected);
		near(plain.logprobs, await alone(expected));
		right = expected;
		const drafted = await told({ sampling: penalised, speculation: true });
		expect(drafted.laps.accepted).toBeGreaterThan(0);
		expect(drafted.laps.accepted).toBeLessThan(drafted.laps.drafted);
		expect([drafted.tokens, drafted.logprobs]).toEqual([plain.tokens, plain.logprobs]);
	}, 60_000);

	it("go on as they were when the last stage is lost in the middle", async () => {
		const undisturbed = await told({ sampling: penalised });
		await swarm.lender(2, 3);
		let last = "";
		const generation = generate({
			...swarm.ask(asker, prompt, { maxTokens, logprobs: count, sampling: penalised, speculation: false }),
			onStages: (stages) => {
				last = stages.at(-1)!.peer;
			},
		});
		const logprobs: (TokenLogprob | undefined)[] = [];
		for await (const each of generation) {
			logprobs.push(each.logprobs);
			if (logprobs.length !== 8) continue;
			const place = swarm.lenders.findIndex(({ peer }) => peer.id === last);
			const [victim] = swarm.lenders.splice(place, 1);
			void victim!.peer
				.stop()
				.then(() => victim!.server.close())
				.then(() => victim!.engine.close());
		}
		const { tokens, replays } = await generation.summary;
		expect(replays).toHaveLength(1);
		expect(tokens).toEqual(undisturbed.tokens);
		near(logprobs, undisturbed.logprobs as TokenLogprob[]);
	}, 60_000);

	it("are computed by the asker in private", async () => {
		const engine = await createEngine({ memoryBytes: 1e9 });
		const ends = await OwnEnds.load({ engine, source: model.source, model: model.model });
		const expected = await oneProcess(model, prompt, maxTokens, penalised);
		const answer = await told({ sampling: penalised, ends });
		expect(answer.tokens).toEqual(expected);
		near(answer.logprobs, await alone(expected));
		await ends.unload();
		await engine.close();
	}, 60_000);

	it("are not asked of a stage of an older version, which serves everything else", async () => {
		const old = await TestSwarm.start(model);
		const newer = await old.peer();
		await old.lender(0, 3, { features: [] });
		const { tokens } = await generate(old.ask(newer, prompt, { maxTokens: 4 })).summary;
		expect(tokens).toHaveLength(4);
		for (const more of [{ logprobs: 0 }, { sampling: penalised }]) {
			const asked = old.ask(newer, prompt, { maxTokens: 4, patienceMs: 0, ...more });
			await expect(generate(asked).summary).rejects.toThrow(RouteRefusedError);
		}
		await old.stop();
	}, 60_000);
});
