import { Worker } from "node:worker_threads";
import {
	type Engine,
	type EngineHandle,
	type ForwardRow,
	type ModelRef,
	publishModel,
	type ShardSource,
	sourceOfModel,
} from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { DeviceLostError, EngineInputError, EngineUnavailableError } from "@tabmesh/wire";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { EngineOptions } from "./engineOptions.ts";
import { nodeEndpoint } from "./nodeEndpoint.ts";
import { SplitEngine } from "./splitEngine.ts";
import { startEngine } from "./startEngine.ts";
import type { OpenedWorker } from "./workerEngine.ts";

const layers = 6;
let model: ModelRef;
let source: ShardSource;
/** Tensors that were read, in order. */
let reads: string[];
let wholeBytes: number;
let expected: number[][];
const engines: Engine[] = [];
/** Threads that run, or ran. */
let threads: Worker[] = [];

function openThread(): OpenedWorker {
	const worker = new Worker(new URL("./worker.node.ts", import.meta.url));
	threads.push(worker);
	const crashed = new Promise<string>((resolve) => {
		worker.once("exit", (code) => resolve(`the thread ended with ${code}`));
	});
	return {
		endpoint: nodeEndpoint(worker),
		crashed,
		async terminate() {
			await worker.terminate();
		},
	};
}

async function start(options: EngineOptions): Promise<Engine> {
	threads = [];
	const engine = await startEngine(openThread, options);
	engines.push(engine);
	return engine;
}

/** An engine in which the whole model lies in so many workers. */
const startOver = (workers: number): Promise<Engine> =>
	start({ memoryBytes: 3 * wholeBytes, heapBytes: Math.ceil((1.4 / workers) * wholeBytes) });

const load = (engine: Engine): Promise<EngineHandle> =>
	engine.load({ model, span: { from: 0, to: layers, embed: true, head: true } }, source);

const prompts = [
	[1, 300, 17, 401, 333, 260, 99, 18, 222],
	[5],
	[7, 7, 450],
	[12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
];

/** What several streams write greedily, in one batch. */
async function write(engine: Engine, handle: EngineHandle, steps = 12): Promise<number[][]> {
	const written: number[][] = prompts.map(() => []);
	for (const i of prompts.keys()) await engine.reserve(handle, `stream ${i}`, 25);
	for (let step = 0; step < steps; step++) {
		const rows: ForwardRow[] = prompts.map((prompt, i) => ({
			stream: `stream ${i}`,
			position: step === 0 ? 0 : prompt.length + step - 1,
			input: Int32Array.from(step === 0 ? prompt : written[i]!.slice(-1)),
		}));
		const results = await engine.forward(handle, rows, { logits: "last" });
		for (const [i, { logits }] of results.entries()) written[i]!.push(logits!.indexOf(Math.max(...logits!)));
	}
	for (const i of prompts.keys()) await engine.release(`stream ${i}`);
	return written;
}

const lossOf = (engine: Engine): Promise<string> =>
	new Promise((resolve) => engine.addEventListener("devicelost", ({ detail }) => resolve(detail.reason)));

beforeAll(async () => {
	const opened = await openSeededModel({ layers });
	model = await publishModel(opened);
	const files = sourceOfModel(opened);
	source = {
		read: (ref, tensor, options) => {
			reads.push(tensor.name);
			return files.read(ref, tensor, options);
		},
	};
	reads = [];
	const one = await start({ memoryBytes: 1e9 });
	const handle = await load(one);
	wholeBytes = handle.weightBytes;
	expected = await write(one, handle);
});
afterEach(async () => {
	for (const engine of engines.splice(0)) await engine.close();
});

test.each([2, 3])(
	"%i workers write what one does, streams of different lengths together",
	async (workers) => {
		const engine = await startOver(workers);
		expect(engine).toBeInstanceOf(SplitEngine);
		expect(threads).toHaveLength(1);
		const handle = await load(engine);
		expect(threads).toHaveLength(workers);
		expect(await engine.usedBytes()).toBe(handle.weightBytes);
		expect(await write(engine, handle)).toEqual(expected);
		expect(await engine.usedBytes()).toBe(handle.weightBytes);
	},
);

test("what one worker holds stays in one worker", async () => {
	const engine = await start({ memoryBytes: 3 * wholeBytes, heapBytes: 2 * wholeBytes });
	expect(await write(engine, await load(engine))).toEqual(expected);
	expect(threads).toHaveLength(1);
});

test("fetching goes on to its end before compiling is told of, and neither runs backwards", async () => {
	const engine = await startOver(3);
	const seen: number[] = [];
	const phases: string[] = [];
	const span = { from: 0, to: layers, embed: true, head: true };
	await engine.load({ model, span }, source, {
		onProgress: ({ phase, loadedBytes, totalBytes }) => {
			expect(loadedBytes).toBeLessThanOrEqual(totalBytes);
			phases.push(phase);
			seen.push((phase === "fetch" ? 0 : 1) + loadedBytes / totalBytes);
		},
	});
	expect(seen).toEqual(seen.toSorted((a, b) => a - b));
	expect(seen.at(-1)).toBe(2);
	expect(phases).toContain("fetch");
});

test("a lost worker is an event, and loading again fetches what lay in it and nothing else", async () => {
	const engine = await startOver(3);
	const handle = await load(engine);
	await engine.reserve(handle, "stream", 20);
	const lost = lossOf(engine);
	const row = { stream: "stream", position: 0, input: Int32Array.from({ length: 16 }, (_, i) => i) };
	await engine.forward(handle, [row], { logits: "none" });
	await threads[1]!.terminate();
	expect(await lost).toMatch(/thread ended/);
	await expect(engine.forward(handle, [{ ...row, position: 16 }], { logits: "last" })).rejects.toThrow(
		EngineInputError,
	);
	await expect(engine.truncate("stream", 0)).rejects.toThrow(EngineInputError);
	expect(await engine.usedBytes()).toBeLessThan(handle.weightBytes);
	const all = new Set(reads);
	reads = [];
	const again = await load(engine);
	expect(reads.length).toBeGreaterThan(0);
	expect(new Set(reads).size).toBeLessThan(all.size / 2);
	expect(threads).toHaveLength(4);
	expect(await engine.usedBytes()).toBe(again.weightBytes);
	expect(await write(engine, again)).toEqual(expected);
});

test("after a loss another span takes the memory of what was left", async () => {
	const engine = await startOver(2);
	await load(engine);
	const lost = lossOf(engine);
	await threads[0]!.terminate();
	await lost;
	const span = { from: 1, to: 2, embed: false, head: false };
	const handle = await engine.load({ model, span }, source);
	expect(await engine.usedBytes()).toBe(handle.weightBytes);
	await engine.unload(handle);
	expect(await write(engine, await load(engine))).toEqual(expected);
});

test("a worker that is lost while a model is being loaded ends the load with a typed error", async () => {
	const engine = await startOver(3);
	const read = source.read;
	let ended: Promise<unknown> | undefined;
	const loading = engine.load(
		{ model, span: { from: 0, to: layers, embed: true, head: true } },
		{
			read: async (ref, tensor, options) => {
				// The last share is on its way when the first is lost.
				if (tensor.name.includes(`layers.${layers - 1}.`)) ended ??= threads[0]!.terminate();
				await ended;
				return read(ref, tensor, options);
			},
		},
	);
	await expect(loading).rejects.toThrow(DeviceLostError);
	expect(await engine.usedBytes()).toBe(0);
	expect(await write(engine, await load(engine))).toEqual(expected);
});

test("a worker that fails behind others leaves the streams as they were before", async () => {
	const parts: Engine[] = [];
	let fails = false;
	const options = { memoryBytes: 3 * wholeBytes, heapBytes: Math.ceil(0.45 * wholeBytes) };
	const startPart = async (): Promise<Engine> => {
		const engine = await startEngine(openThread, { ...options, memoryBytes: options.heapBytes });
		const index = parts.push(engine) - 1;
		const { forward } = engine;
		engine.forward = async (...args) => {
			if (fails && index === 2) throw new EngineUnavailableError("The model cannot run on this device.");
			return forward.apply(engine, args);
		};
		return engine;
	};
	const engine = new SplitEngine(await startPart(), startPart, options);
	engines.push(engine);
	const handle = await load(engine);
	expect(parts).toHaveLength(3);
	await engine.reserve(handle, "stream", 40);
	const step = (position: number, ...tokens: number[]) =>
		engine.forward(handle, [{ stream: "stream", position, input: Int32Array.from(tokens) }], {
			logits: "last",
		});
	const [first] = await step(0, 1, 2, 3);
	fails = true;
	await expect(step(3, 4, 5)).rejects.toThrow(EngineUnavailableError);
	fails = false;
	const [after] = await step(3, 4, 5);
	await engine.truncate("stream", 0);
	expect((await step(0, 1, 2, 3))[0]!.logits).toEqual(first!.logits);
	expect((await step(3, 4, 5))[0]!.logits).toEqual(after!.logits);
});
