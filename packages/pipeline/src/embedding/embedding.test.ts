import { createEngine } from "@tabmesh/inference";
import { PromptTooLongError, RouteRefusedError } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { embed } from "../ask/embed.ts";
import { generate } from "../ask/generate.ts";
import { OwnEnds } from "../ask/ownEnds.ts";
import { spanOf } from "../plan/modelSizes.ts";
import { type TestModel, type TestPeer, TestSwarm, testModel, until } from "../testSwarm.ts";

const prompt = [1, ...Array.from({ length: 90 }, (_, i) => 260 + ((i * 37) % 240))];

describe("a text's embedding over three stages", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	let alone: Float32Array;

	beforeAll(async () => {
		model = await testModel({ layers: 3, context: 128 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		for (const at of [0, 1, 2]) await swarm.lender(at, at + 1);
		alone = await oneProcess(1);
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** The mean in one process without a network, by a norm that is written for the eye. */
	const oneProcess = async (from: number) => {
		const { manifest } = model.model;
		const { hiddenSize, layers, normEpsilon } = manifest.config;
		const engine = await createEngine({ memoryBytes: 1e9 });
		const handle = await engine.load({ model: model.model, span: spanOf(0, layers, layers) }, model.source);
		await engine.reserve(handle, "one", prompt.length);
		const row = { stream: "one", position: 0, input: Int32Array.from(prompt) };
		const [{ hidden } = {}] = await engine.forward(handle, [row], { logits: "none" });
		await engine.close();
		const entry = manifest.tensors.find(({ name }) => name === "model.norm.weight")!;
		const gain = new Float32Array((await model.source.read(model.model, entry)).buffer);
		const mean = new Float64Array(hiddenSize);
		for (let at = from; at < prompt.length; at++) {
			const state = [...hidden!.data.subarray(at * hiddenSize, (at + 1) * hiddenSize)];
			const scale = Math.sqrt(state.reduce((sum, x) => sum + x * x, 0) / hiddenSize + normEpsilon);
			for (const [i, x] of state.entries()) mean[i]! += (x / scale) * gain[i]!;
		}
		return Float32Array.from(mean, (sum) => sum / (prompt.length - from));
	};
	const ask = (more: Parameters<TestSwarm["ask"]>[2] = {}) => ({
		...swarm.ask(asker, prompt, more),
		embedFrom: 1,
	});
	const cosine = (a: Float32Array, b: Float32Array) => {
		const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
		return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
	};

	it("is the one of one process, each stage is owed for it, and everything is freed", async () => {
		const { mean, receipts } = await embed(ask());
		expect(mean).toHaveLength(alone.length);
		// Hidden states travel in half precision.
		expect(cosine(mean, alone)).toBeGreaterThan(0.99999);
		for (const [i, value] of mean.entries()) expect(Math.abs(value - alone[i]!)).toBeLessThan(0.01);
		expect(receipts.map(({ receipt }) => receipt.positions)).toEqual([91, 91, 91]);
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		expect(swarm.lenders.map(({ server }) => server.keptBytes)).toEqual([0, 0, 0]);
		expect(cosine((await embed({ ...ask(), embedFrom: 0 })).mean, await oneProcess(0))).toBeGreaterThan(
			0.99999,
		);
	}, 60_000);

	it("is the same where stages have kept an answer that begins alike, and no answer is another for it", async () => {
		const { mean } = await embed(ask());
		const answer = () => generate(swarm.ask(asker, prompt, { maxTokens: 8 })).summary;
		const { tokens } = await answer();
		await until(() => swarm.lenders.every(({ server }) => server.keptBytes > 0));
		expect((await embed(ask())).mean).toEqual(mean);
		expect((await answer()).tokens).toEqual(tokens);
	}, 60_000);

	it("is computed anew where a stage is lost on the way", async () => {
		await swarm.lender(1, 2);
		let lost = false;
		const { mean } = await embed(
			ask({
				onStages: (stages) => {
					if (lost || !stages.every(({ state }) => state === "ready")) return;
					lost = true;
					const place = swarm.lenders.findIndex(({ peer }) => peer.id === stages[1]!.peer);
					const [victim] = swarm.lenders.splice(place, 1);
					void victim!.peer
						.stop()
						.then(() => victim!.server.close())
						.then(() => victim!.engine.close());
				},
			}),
		);
		expect(lost).toBe(true);
		expect(cosine(mean, alone)).toBeGreaterThan(0.99999);
	}, 60_000);

	it("is taken by the asker in private", async () => {
		const engine = await createEngine({ memoryBytes: 1e9 });
		const ends = await OwnEnds.load({ engine, source: model.source, model: model.model });
		const { mean, stages } = await embed(ask({ ends }));
		expect(stages.at(-1)!.peer).toBe(asker.peer.id);
		expect(cosine(mean, alone)).toBeGreaterThan(0.99999);
		await ends.unload();
		await engine.close();
	}, 60_000);

	it("has a context, can be given up, and is not asked of a stage of an older version", async () => {
		const long = Array.from({ length: 129 }, () => 300);
		await expect(embed({ ...ask(), promptTokens: long })).rejects.toThrow(PromptTooLongError);
		expect((await embed({ ...ask(), promptTokens: long.slice(1) })).mean).toHaveLength(alone.length);
		const leaving = AbortSignal.abort(new Error("not any more"));
		await expect(embed(ask({ signal: leaving }))).rejects.toThrow("not any more");
		const old = await TestSwarm.start(model);
		const newer = await old.peer();
		await old.lender(0, 3, { features: [] });
		const asked = { ...old.ask(newer, prompt, { patienceMs: 0 }), embedFrom: 1 };
		await expect(embed(asked)).rejects.toThrow(RouteRefusedError);
		await old.stop();
	}, 60_000);
});
