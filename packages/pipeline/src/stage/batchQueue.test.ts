import { createEngine } from "@tabmesh/inference";
import type { Engine, EngineHandle, ForwardResult } from "@tabmesh/model";
import { EngineInputError } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { spanOf } from "../plan/modelSizes.ts";
import { greedy, sample } from "../sampling/sampling.ts";
import { oneProcess, type TestModel, testModel } from "../testSwarm.ts";
import { BatchQueue, type Lane } from "./batchQueue.ts";

describe("BatchQueue", () => {
	let model: TestModel;
	let engine: Engine;
	let handle: EngineHandle;
	/** For each forward call, the streams in it. */
	let calls: string[][];
	let queue: BatchQueue;

	beforeAll(async () => {
		model = await testModel({ layers: 2 });
		engine = await createEngine({ memoryBytes: 1e9 });
		handle = await engine.load({ model: model.model, span: spanOf(0, 2, 2) }, model.source);
	});
	afterAll(() => engine.close());

	const start = () => {
		calls = [];
		// The real engine, listened in to.
		const watched = Object.create(engine, {
			forward: {
				value: (...[of, rows, options]: Parameters<Engine["forward"]>) => {
					calls.push(rows.map((row) => row.stream));
					return engine.forward(of, rows, options);
				},
			},
			truncate: { value: (...call: Parameters<Engine["truncate"]>) => engine.truncate(...call) },
		}) as Engine;
		queue = new BatchQueue(watched);
	};

	/** A stream that prefills `prompt` in chunks and then decodes until it has `count` tokens. */
	const stream = async (
		name: string,
		prompt: number[],
		count: number,
		chunk = prompt.length,
		asker = "one",
	) => {
		await engine.reserve(handle, name, prompt.length + count);
		const tokens: number[] = [];
		const { promise, resolve, reject } = Promise.withResolvers<number[]>();
		const lane: Lane = queue.lane(name, handle, asker, reject);
		const decode = (result: ForwardResult, position: number): undefined => {
			const token = sample(result.logits!, greedy, position);
			tokens.push(token);
			if (tokens.length === count) {
				resolve(tokens);
				return;
			}
			lane.push({
				position,
				input: Int32Array.of(token),
				rows: 1,
				logits: "last",
				oneByOne: false,
				onResult: (next) => decode(next, position + 1),
			});
		};
		for (let at = 0; at < prompt.length; at += chunk) {
			const input = Int32Array.from(prompt.slice(at, at + chunk));
			const last = at + input.length === prompt.length;
			lane.push({
				position: at,
				input,
				rows: input.length,
				logits: last ? "last" : "none",
				oneByOne: false,
				onResult: (result) => (last ? decode(result, prompt.length) : undefined),
			});
		}
		const answer = await promise;
		lane.close();
		await engine.release(name);
		return answer;
	};

	const has = (name: string) => (call: readonly string[]) => call.includes(name);

	it("runs decode steps of several streams as one batch, with the results each has alone", async () => {
		start();
		const prompts = [
			[1, 300],
			[1, 301, 302],
			[1, 303],
			[5, 6, 7, 8],
		];
		const answers = await Promise.all(prompts.map((prompt, i) => stream(`s${i}`, prompt, 20)));
		for (const [i, prompt] of prompts.entries()) {
			expect(answers[i]).toEqual(await oneProcess(model, prompt, 20));
		}
		expect(calls.filter((call) => call.length === 4).length).toBeGreaterThan(10);
	});

	it("stands still after each call for as long as a share of the engine asks, and changes no token", async () => {
		const took: number[] = [];
		const gaps: number[] = [];
		let ended = Number.NaN;
		const { forward } = engine;
		const watched = Object.create(engine, {
			forward: {
				value: async (...call: Parameters<Engine["forward"]>) => {
					const began = performance.now();
					gaps.push(began - ended);
					const results = await forward.apply(engine, call);
					ended = performance.now();
					took.push(ended - began);
					return results;
				},
			},
		}) as Engine;
		queue = new BatchQueue(watched);
		queue.computeShare = 0.25;
		expect(await stream("slow", [1, 300], 12)).toEqual(await oneProcess(model, [1, 300], 12));
		expect(took).toHaveLength(12);
		for (const [i, ms] of took.slice(0, -1).entries()) expect(gaps[i + 1]).toBeGreaterThan(2.5 * ms);
	});

	it("never puts more than eight rows into one batch, and keeps nobody waiting", async () => {
		start();
		const answers = await Promise.all(
			Array.from({ length: 11 }, (_, i) => stream(`s${i}`, [1, 270 + i], 12)),
		);
		expect(answers.every((answer) => answer.length === 12)).toBe(true);
		expect(Math.max(...calls.map((call) => call.length))).toBe(8);
	});

	it("lets others decode between the chunks of a long prompt", async () => {
		start();
		const long = Array.from({ length: 100 }, (_, i) => 260 + i);
		const [decoded] = await Promise.all([stream("short", [1, 300], 30), stream("long", long, 1, 5)]);
		expect(decoded).toEqual(await oneProcess(model, [1, 300], 30));
		const between = calls.slice(calls.findIndex(([name]) => name === "long"));
		const firstShort = between.findIndex(([name]) => name === "short");
		const lastLong = between.findLastIndex(([name]) => name === "long");
		expect(firstShort).toBeGreaterThan(0);
		expect(firstShort).toBeLessThan(lastLong);
	});

	it("runs single positions that are known together, sixteen at most, to the bits that each has alone", async () => {
		start();
		const tokens = Array.from({ length: 40 }, (_, i) => 260 + i);
		const outputs = async (name: string, together: boolean) => {
			await engine.reserve(handle, name, 50);
			const { promise, resolve, reject } = Promise.withResolvers<Float32Array>();
			const lane = queue.lane(name, handle, "one", reject);
			const seen: number[] = [];
			for (const [position, token] of tokens.entries()) {
				const last = position === tokens.length - 1;
				lane.push({
					position,
					input: Int32Array.of(token),
					rows: 1,
					logits: last ? "last" : "none",
					oneByOne: false,
					onResult: ({ logits, hidden }) => {
						seen.push(position);
						if (!last) expect(hidden).toMatchObject({ rows: 1 });
						else resolve(logits!);
						return undefined;
					},
				});
				if (!together) await lane.fewerThan(1);
			}
			if (together) expect(lane.backlog).toBe(4);
			const logits = await promise;
			expect(seen).toEqual([...tokens.keys()]);
			lane.close();
			await engine.release(name);
			return logits;
		};
		const alone = await outputs("alone", false);
		expect(calls).toHaveLength(40);
		expect(await outputs("together", true)).toEqual(alone);
		// The first began before there was a second, and behind the last one a token is waited for.
		expect(calls).toHaveLength(40 + 1 + 3 + 1);
	});

	it("gives an asker with one stream as many rows as one with eight, whose others have what is left", async () => {
		start();
		const eight = Array.from({ length: 8 }, (_, i) => stream(`many${i}`, [1, 270 + i], 60));
		const alone = stream("alone", [1, 300], 30, undefined, "other");
		expect(await alone).toEqual(await oneProcess(model, [1, 300], 30));
		const [from, to] = [calls.findIndex(has("alone")), calls.findLastIndex(has("alone"))];
		const meanwhile = calls.slice(from + 1, to);
		// One step in every call, with half of the rows at most beside it.
		expect(meanwhile.filter(has("alone")).length).toBeGreaterThan(0.9 * meanwhile.length);
		for (const call of meanwhile) if (has("alone")(call)) expect(call.length).toBeLessThanOrEqual(1 + 4);
		const [answer] = await Promise.all(eight);
		expect(answer).toEqual(await oneProcess(model, [1, 270], 60));
	});

	it("lets an asker's only stream decode between the prompts of another's many", async () => {
		start();
		const long = Array.from({ length: 96 }, (_, i) => 260 + i);
		const many = Array.from({ length: 7 }, (_, i) => stream(`many${i}`, long, 1, 16));
		const alone = stream("alone", [1, 300], 20, undefined, "other");
		await alone;
		const [from, to] = [calls.findIndex(has("alone")), calls.findLastIndex(has("alone"))];
		const steps = calls.slice(from, to).filter(has("alone")).length;
		// In turns it would wait for seven chunks each time.
		expect(to - from - steps).toBeLessThan(2 * steps);
		await Promise.all(many);
	});

	it("fails a row that does not fit, and no other of its batch", async () => {
		start();
		const good = stream("good", [1, 300], 15);
		await engine.reserve(handle, "bad", 10);
		const failure = Promise.withResolvers<unknown>();
		const lane = queue.lane("bad", handle, "one", failure.resolve);
		lane.push({
			position: 7,
			input: Int32Array.of(1),
			rows: 1,
			logits: "last",
			oneByOne: false,
			onResult: () => undefined,
		});
		expect(await failure.promise).toBeInstanceOf(EngineInputError);
		expect(await good).toEqual(await oneProcess(model, [1, 300], 15));
		await engine.release("bad");
	});

	it("delivers nothing to a lane that was closed", async () => {
		start();
		await engine.reserve(handle, "gone", 10);
		const lane = queue.lane("gone", handle, "one", () => expect.unreachable());
		lane.push({
			position: 0,
			input: Int32Array.of(1),
			rows: 1,
			logits: "last",
			oneByOne: false,
			onResult: () => expect.unreachable(),
		});
		lane.close();
		await lane.fewerThan(1);
		await stream("next", [1, 2], 3);
		await engine.release("gone");
	});
});
