import type {
	Engine,
	EngineHandle,
	ForwardResult,
	ForwardRow,
	LogitsWanted,
	ModelRef,
	ModelSource,
	ShardSource,
} from "@tabmesh/model";
import { openSeededModel, openTinyModel } from "@tabmesh/model/testing";
import type { HiddenState, ModelConfig, TabmeshError } from "@tabmesh/wire";

/** What the promises of an engine are tried on. */
export interface Bench {
	readonly engine: Engine;
	/** A small model: at least 2 layers and 64 positions. */
	readonly model: ModelRef;
	readonly source: ShardSource;
}

/** One promise of the `Engine` interface, and how it is tried on any backend. */
export interface ConformanceCase {
	readonly title: string;
	readonly run: (bench: Bench) => Promise<void>;
}

/**
 * How far two ways to compute the same may lie apart: kernels for one position and for several add up in another order. Logits of the
 * test models are between -20 and 20.
 */
const floatTolerance = 2e-4;

/** The same where activations are rounded: a last digit decides now and then which way. */
const roundedTolerance = 5e-3;

/** Everything that the `Engine` interface promises, for every backend alike. */
export const conformanceCases: readonly ConformanceCase[] = [
	{
		title: "a prefill of 16 equals 8 + 8, 8 + 5 + 3, 15 + 1, and one by one",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const tokens = someTokens(bench, 16, 1);
			const expected = await chunked(bench, whole, tokens, [16]);
			for (const chunks of [[8, 8], [8, 5, 3], [15, 1], tokensOneByOne(16)]) {
				const got = await chunked(bench, whole, tokens, chunks);
				near(bench, got, expected, `chunks of ${chunks.join(" + ")}`);
			}
			await bench.engine.unload(whole);
		},
	},
	{
		title: "rows of different lengths in one batch equal each row alone",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine } = bench;
			const lengths = [17, 10, 1, 5];
			const prompts = lengths.map((length, i) => someTokens(bench, length, i + 2));
			const expected: Float32Array[][] = [];
			for (const [i, prompt] of prompts.entries()) {
				const steps = [await chunked(bench, whole, prompt, [prompt.length], "alone")];
				await engine.release("alone");
				await engine.reserve(whole, "alone", 40);
				await forward(bench, whole, [{ stream: "alone", position: 0, input: prompt }], "last");
				for (let step = 0; step < 3; step++) {
					const input = someTokens(bench, 1, 50 + 10 * i + step);
					const [row] = await forward(
						bench,
						whole,
						[{ stream: "alone", position: prompt.length + step, input }],
						"last",
					);
					steps.push(row!.logits!);
				}
				await engine.release("alone");
				expected.push(steps);
			}
			for (const i of lengths.keys()) await engine.reserve(whole, `row ${i}`, 40);
			const first = await forward(
				bench,
				whole,
				prompts.map((input, i) => ({ stream: `row ${i}`, position: 0, input })),
				"last",
			);
			for (const [i, result] of first.entries()) near(bench, result.logits!, expected[i]![0]!, `prompt ${i}`);
			for (let step = 0; step < 3; step++) {
				const rows = prompts.map((prompt, i) => ({
					stream: `row ${i}`,
					position: prompt.length + step,
					input: someTokens(bench, 1, 50 + 10 * i + step),
				}));
				// The order of the rows, and who is among them, may change from call to call.
				const order = step === 1 ? rows.toReversed() : rows;
				const results = await forward(bench, whole, order, "last");
				for (const [at, row] of order.entries()) {
					const i = rows.indexOf(row);
					near(bench, results[at]!.logits!, expected[i]![step + 1]!, `step ${step} of row ${i}`);
				}
			}
			await engine.unload(whole);
		},
	},
	{
		title: "a stream that joins a batch later, with an empty past, equals itself alone",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine } = bench;
			const token = someTokens(bench, 1, 7);
			const expected = await chunked(bench, whole, token, [1]);
			await engine.reserve(whole, "old", 40);
			await engine.reserve(whole, "new", 40);
			await forward(bench, whole, [{ stream: "old", position: 0, input: someTokens(bench, 12, 8) }], "none");
			const [, joined] = await forward(
				bench,
				whole,
				[
					{ stream: "old", position: 12, input: someTokens(bench, 1, 9) },
					{ stream: "new", position: 0, input: token },
				],
				"last",
			);
			near(bench, joined!.logits!, expected, "the joined row");
			await engine.unload(whole);
		},
	},
	{
		title: "truncating and running again gives what the first run gave",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine } = bench;
			const tokens = someTokens(bench, 12, 3);
			const other = someTokens(bench, 6, 4);
			const expected = await chunked(bench, whole, tokens, [12]);
			await engine.reserve(whole, "stream", 32);
			await forward(bench, whole, [{ stream: "stream", position: 0, input: tokens.slice(0, 8) }], "none");
			await forward(bench, whole, [{ stream: "stream", position: 8, input: other }], "none");
			await engine.truncate("stream", 8);
			const [redone] = await forward(
				bench,
				whole,
				[{ stream: "stream", position: 8, input: tokens.slice(8) }],
				"last",
			);
			near(bench, redone!.logits!, expected, "after a truncation to 8");
			await engine.truncate("stream", 0);
			const [again] = await forward(bench, whole, [{ stream: "stream", position: 0, input: tokens }], "last");
			near(bench, again!.logits!, expected, "after a truncation to 0");
			await engine.unload(whole);
		},
	},
	{
		title: "memory set anew, and a copy of another's beginning, go on exactly as the stream itself",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine } = bench;
			const tokens = someTokens(bench, 20, 13);
			const rest = tokens.slice(12);
			const next = someTokens(bench, 1, 14);
			const used = await engine.usedBytes();
			const go = async (stream: string, position: number, input: Int32Array): Promise<Float32Array> => {
				const [row] = await forward(bench, whole, [{ stream, position, input }], "last");
				return row!.logits!;
			};
			await engine.reserve(whole, "first", 24);
			await engine.reserve(whole, "other", 24);
			await go("first", 0, tokens);
			await go("other", 0, rest);
			await engine.truncate("first", 12);
			const expected = await go("first", 12, rest);
			const expectedNext = await go("first", 20, next);
			await engine.truncate("first", 20);
			// Together in one run: their memory may be one piece afterwards.
			await forward(
				bench,
				whole,
				["first", "other"].map((stream) => ({ stream, position: stream === "first" ? 20 : 8, input: next })),
				"last",
			);
			await engine.truncate("first", 20);
			await engine.fork("copy", "first", 12, 40);
			await engine.resize("first", 20);
			await engine.release("other");
			equal(await engine.usedBytes(), used + 60 * whole.keyValueBytesPerToken, "bytes of both streams");
			same(await go("copy", 12, rest), expected, "the copy");
			same(await go("copy", 20, next), expectedNext, "the copy's next position");
			await engine.resize("first", 24);
			same(await go("first", 20, next), expectedNext, "the stream after its memory was set anew");
			await engine.release("first");
			await engine.truncate("copy", 20);
			same(await go("copy", 20, next), expectedNext, "the copy without the stream");
			await fails("EngineInput", "less memory than positions", () => engine.resize("copy", 20));
			await fails("EngineInput", "memory for nobody", () => engine.resize("nobody", 20));
			await fails("EngineInput", "a copy of nobody", () => engine.fork("new", "nobody", 0, 20));
			await fails("EngineInput", "a copy of what is not there", () => engine.fork("new", "copy", 22, 24));
			await fails("EngineInput", "a copy without room", () => engine.fork("new", "copy", 20, 19));
			await fails("EngineInput", "a copy in place of itself", () => engine.fork("copy", "copy", 2, 24));
			await engine.release("copy");
			equal(await engine.usedBytes(), used, "bytes after the release");
			await engine.unload(whole);
		},
	},
	{
		title: "spans [0, a) + [a, n) equal the whole, wherever the cut and whatever the span carries",
		run: async (bench) => {
			const { engine, model } = bench;
			const { layers } = model.manifest.config;
			const tokens = someTokens(bench, 11, 5);
			const whole = await loadWhole(bench);
			const expected = await chunked(bench, whole, tokens, [11]);
			await engine.unload(whole);
			for (const cuts of [[1], [layers - 1], [1, 2], [0], [layers], [0, layers]]) {
				const bounds = [0, ...cuts, layers];
				const spans = await Promise.all(
					bounds.slice(1).map((to, i) => load(bench, bounds[i]!, to, i === 0, i === bounds.length - 2)),
				);
				for (const [i, span] of spans.entries()) await engine.reserve(span, `stage ${i}`, 32);
				let logits: Float32Array | undefined;
				for (const [start, end] of [
					[0, 7],
					[7, 11],
				] as const) {
					let input: Int32Array | HiddenState = tokens.slice(start, end);
					for (const [i, span] of spans.entries()) {
						const rows: ForwardRow[] = [{ stream: `stage ${i}`, position: start, input }];
						const [result] = await forward(bench, span, rows, "last");
						if (result!.hidden) input = result!.hidden;
						logits = result!.logits;
					}
				}
				near(bench, logits!, expected, `cuts at ${cuts.join(", ")}`);
				for (const span of spans) await engine.unload(span);
			}
		},
	},
	{
		title: "logits come for no position, the last, or all; hidden states where there are none",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine, model } = bench;
			const { hiddenSize, vocabularySize } = model.manifest.config;
			const tokens = someTokens(bench, 6, 6);
			const run = async (logits: LogitsWanted): Promise<ForwardResult> => {
				await engine.reserve(whole, "stream", 16);
				const [result] = await forward(
					bench,
					whole,
					[{ stream: "stream", position: 0, input: tokens }],
					logits,
				);
				await engine.release("stream");
				return result!;
			};
			const none = await run("none");
			const last = await run("last");
			const all = await run("all");
			equal(none.logits, undefined, "logits nobody wants");
			equal(none.hidden?.rows, 6, "rows of the hidden state");
			equal(none.hidden?.columns, hiddenSize, "columns of the hidden state");
			equal(none.hidden?.data.length, 6 * hiddenSize, "values of the hidden state");
			equal(last.logits?.length, vocabularySize, "logits of the last position");
			equal(all.logits?.length, 6 * vocabularySize, "logits of all positions");
			near(bench, all.logits!.slice(-vocabularySize), last.logits!, "the last of all");
			for (const position of [0, 3]) {
				const prefix = await chunked(bench, whole, tokens.slice(0, position + 1), [position + 1]);
				const at = all.logits!.slice(position * vocabularySize, (position + 1) * vocabularySize);
				near(bench, at, prefix, `position ${position} of all`);
			}
			await engine.unload(whole);
		},
	},
	{
		title: "positions that are known before give the bits that each gives alone, where that is asked for",
		run: async (bench) => {
			const { engine, model } = bench;
			const { vocabularySize } = model.manifest.config;
			const whole = await loadWhole(bench);
			const tokens = someTokens(bench, 34, 9);
			for (const [before, count] of [
				[0, 2],
				[8, 6],
				[13, 17],
			] as const) {
				await engine.reserve(whole, "alone", before + count + 1);
				await engine.reserve(whole, "known", before + count + 1);
				for (const stream of before > 0 ? ["alone", "known"] : [])
					await forward(bench, whole, [{ stream, position: 0, input: tokens.slice(0, before) }], "none");
				const rows = [{ stream: "known", position: before, input: tokens.slice(before, before + count) }];
				const [known] = await engine.forward(whole, rows, { logits: "all", oneByOne: true });
				equal(known!.logits?.length, count * vocabularySize, "logits of all positions");
				// The position behind them sees what they left in keys and values.
				const [behind] = await forward(
					bench,
					whole,
					[{ stream: "known", position: before + count, input: tokens.slice(-1) }],
					"last",
				);
				for (let i = 0; i <= count; i++) {
					const input = i < count ? tokens.slice(before + i, before + i + 1) : tokens.slice(-1);
					const [alone] = await forward(
						bench,
						whole,
						[{ stream: "alone", position: before + i, input }],
						"last",
					);
					const from = i * vocabularySize;
					const own = i < count ? known!.logits!.subarray(from, from + vocabularySize) : behind!.logits!;
					for (const [at, value] of alone!.logits!.entries())
						equal(own[at], value, `logit ${at} of row ${i}`);
				}
				await engine.release("alone");
				await engine.release("known");
			}
			await engine.unload(whole);
		},
	},
	{
		title:
			"a prompt leaves the same bits in whatever chunks of two or more it comes, where products are exact",
		run: async (bench) => {
			const { engine, model } = bench;
			if (!engine.info.exactProducts) return;
			const whole = await loadWhole(bench);
			const { contextLength } = model.manifest.config;
			// A block of attention takes twice a head's size, 32 positions of small models: a single one would be left.
			for (const length of [33, 65].filter((each) => each <= contextLength)) {
				const tokens = someTokens(bench, length, 4);
				const eights = Array.from({ length: (length - 9) / 8 }, () => 8);
				const expected = await chunked(bench, whole, tokens, [...eights, 9]);
				for (const chunks of [[length], [length - 2, 2]]) {
					same(await chunked(bench, whole, tokens, chunks), expected, `chunks of ${chunks.join(" + ")}`);
				}
			}
			await engine.unload(whole);
		},
	},
	{
		title: "release, unload and a failed load give their bytes back",
		run: async (bench) => {
			const { engine } = bench;
			const before = await engine.usedBytes();
			const whole = await loadWhole(bench);
			const loaded = await engine.usedBytes();
			equal(loaded, before + whole.weightBytes, "bytes of the span");
			await engine.reserve(whole, "stream", 10);
			equal(await engine.usedBytes(), loaded + 10 * whole.keyValueBytesPerToken, "bytes of the stream");
			await engine.release("stream");
			equal(await engine.usedBytes(), loaded, "bytes after the release");
			await engine.release("stream");
			await engine.reserve(whole, "stream", 10);
			await engine.unload(whole);
			equal(await engine.usedBytes(), before, "bytes after the unload");
			await fails("Error", "a source that fails", () =>
				engine.load(spec(bench), { read: () => Promise.reject(new Error("no such file")) }),
			);
			await fails("AbortError", "a load that is cancelled", () =>
				engine.load(spec(bench), bench.source, { signal: AbortSignal.abort() }),
			);
			equal(await engine.usedBytes(), before, "bytes after the failed loads");
		},
	},
	{
		title:
			"a longer span is made of what is in memory of it: the rest alone is fetched, and both go on with the bits that they have alone",
		run: async (bench) => {
			const { engine, model } = bench;
			const { layers } = model.manifest.config;
			const before = await engine.usedBytes();
			const tokens = someTokens(bench, 9, 15);
			const next = someTokens(bench, 1, 16);
			const step = async (
				handle: EngineHandle,
				stream: string,
				position: number,
				input: ForwardRow["input"],
			) => {
				const [result] = await forward(bench, handle, [{ stream, position, input }], "last");
				return result!.logits ?? result!.hidden!.data;
			};
			/** A prompt and a step behind it, the prompt's own output between them if there is one. */
			const run = async (handle: EngineHandle, stream: string, between?: () => Promise<void>) => {
				await engine.reserve(handle, stream, 12);
				const first = await step(handle, stream, 0, tokens);
				await between?.();
				return [first, await step(handle, stream, 9, next)] as const;
			};
			const alone = await loadWhole(bench);
			const [expected, expectedNext] = await run(alone, "alone");
			const wholeBytes = alone.weightBytes;
			await engine.unload(alone);
			const part = await load(bench, 0, 1, true, false);
			const [expectedPart, expectedPartNext] = await run(part, "once");
			const read = new Set<string>();
			const counting: ShardSource = {
				read: (ref, tensor, options) => {
					read.add(tensor.name);
					return bench.source.read(ref, tensor, options);
				},
			};
			let whole: EngineHandle | undefined;
			const [gotPart, gotPartNext] = await run(part, "part", async () => {
				whole = await engine.load(spec(bench), counting);
			});
			same(gotPart, expectedPart, "the shorter span");
			same(gotPartNext, expectedPartNext, "the shorter span after the longer one came");
			equal(
				[...read].some((name) => name.includes("layers.0.")),
				false,
				"a tensor of it fetched again",
			);
			equal(
				[...read].some((name) => name.includes(`layers.${layers - 1}.`)),
				true,
				"the rest fetched",
			);
			await engine.release("once");
			await engine.release("part");
			const grown = (await engine.usedBytes()) - before;
			equal(grown, whole!.weightBytes, "bytes of both");
			equal(grown < wholeBytes + part.weightBytes, true, "less than of each by itself");
			const [got, gotNext] = await run(whole!, "whole", () => engine.unload(part));
			near(bench, got, expected, "the longer span");
			near(bench, gotNext, expectedNext, "the longer span after the shorter one went");
			equal(await engine.usedBytes(), before + grown + 12 * whole!.keyValueBytesPerToken, "bytes that stay");
			await engine.unload(whole!);
			equal(await engine.usedBytes(), before, "bytes after both went");
		},
	},
	{
		title: "what does not fit the budget is refused before anything is fetched",
		run: async (bench) => {
			const { engine } = bench;
			const whole = await loadWhole(bench);
			const { contextLength } = bench.model.manifest.config;
			const streams = Math.ceil(engine.info.memoryBytes / (contextLength * whole.keyValueBytesPerToken));
			await engine.reserve(whole, "small", 1);
			let refused: unknown;
			let taken = 0;
			for (; taken <= streams && !refused; taken++) {
				await engine.reserve(whole, `stream ${taken}`, contextLength).catch((error: unknown) => {
					refused = error;
				});
			}
			equal((refused as TabmeshError | undefined)?.code, "OutOfMemoryBudget", "a stream too many");
			const full = await engine.usedBytes();
			await fails("OutOfMemoryBudget", "more of a stream", () => engine.resize("small", contextLength));
			await fails("OutOfMemoryBudget", "a copy too many", () =>
				engine.fork("copy", "small", 0, contextLength),
			);
			equal(await engine.usedBytes(), full, "bytes after what did not fit");
			let reads = 0;
			const counting: ShardSource = {
				read: (...args) => {
					reads++;
					return bench.source.read(...args);
				},
			};
			// Of another model: nothing of it is in memory.
			const model = { ...bench.model, id: `${bench.model.id}2` };
			await fails("OutOfMemoryBudget", "a span too many", () =>
				engine.load({ ...spec(bench), model }, counting),
			);
			equal(reads, 0, "tensors fetched for a span that does not fit");
			await engine.unload(whole);
			await engine.unload(await loadWhole(bench));
		},
	},
	{
		title: "input that does not fit its stream is refused before anything runs",
		run: async (bench) => {
			const { engine, model } = bench;
			const { hiddenSize, vocabularySize, contextLength, layers } = model.manifest.config;
			const whole = await loadWhole(bench);
			const tail = await load(bench, 1, layers, false, true);
			await engine.reserve(whole, "stream", 12);
			await engine.reserve(tail, "tail", 12);
			const one = someTokens(bench, 1, 1);
			await forward(
				bench,
				whole,
				[{ stream: "stream", position: 0, input: someTokens(bench, 4, 1) }],
				"none",
			);
			const hidden = { rows: 2, columns: hiddenSize, data: new Float32Array(2 * hiddenSize) };
			const refused = (what: string, span: EngineHandle, rows: ForwardRow[]) =>
				fails("EngineInput", what, () => forward(bench, span, rows, "last"));
			await refused("a gap", whole, [{ stream: "stream", position: 5, input: one }]);
			await refused("a position behind the end", whole, [{ stream: "stream", position: 3, input: one }]);
			await refused("an unknown stream", whole, [{ stream: "nobody", position: 0, input: one }]);
			await refused("a stream of another span", tail, [{ stream: "stream", position: 4, input: hidden }]);
			await refused("too many positions", whole, [
				{ stream: "stream", position: 4, input: someTokens(bench, 9, 1) },
			]);
			await refused("no tokens", whole, [{ stream: "stream", position: 4, input: new Int32Array(0) }]);
			await refused("a foreign token", whole, [
				{ stream: "stream", position: 4, input: Int32Array.of(vocabularySize) },
			]);
			await refused("a negative token", whole, [{ stream: "stream", position: 4, input: Int32Array.of(-1) }]);
			await refused("hidden states where tokens belong", whole, [
				{ stream: "stream", position: 4, input: hidden },
			]);
			await refused("tokens where hidden states belong", tail, [{ stream: "tail", position: 0, input: one }]);
			await refused("too few columns", tail, [
				{ stream: "tail", position: 0, input: { ...hidden, columns: hiddenSize - 1 } },
			]);
			await refused("too few values", tail, [{ stream: "tail", position: 0, input: { ...hidden, rows: 3 } }]);
			await refused("one good and one bad row", whole, [
				{ stream: "stream", position: 4, input: one },
				{ stream: "nobody", position: 0, input: one },
			]);
			await refused("one stream twice", whole, [
				{ stream: "stream", position: 4, input: one },
				{ stream: "stream", position: 5, input: one },
			]);
			await fails("EngineInput", "a cut behind the end", () => engine.truncate("stream", 5));
			await fails("EngineInput", "a cut of nobody", () => engine.truncate("nobody", 0));
			await fails("EngineInput", "a second reserve", () => engine.reserve(whole, "stream", 4));
			await fails("EngineInput", "more than the context", () =>
				engine.reserve(whole, "long", contextLength + 1),
			);
			await fails("EngineInput", "a span beyond the model", () => load(bench, 0, layers + 1, true, false));
			await fails("EngineInput", "an embedding in the middle", () => load(bench, 1, layers, true, true));
			const [after] = await forward(bench, whole, [{ stream: "stream", position: 4, input: one }], "last");
			equal(after!.logits!.length, vocabularySize, "the stream goes on after all that");
			await engine.unload(tail);
			await engine.unload(whole);
			await fails("EngineInput", "an unloaded span", () =>
				forward(bench, whole, [{ stream: "stream", position: 5, input: one }], "last"),
			);
		},
	},
	{
		title: "calls made at once are taken in order",
		run: async (bench) => {
			const whole = await loadWhole(bench);
			const { engine } = bench;
			const tokens = someTokens(bench, 8, 12);
			const expected = await chunked(bench, whole, tokens, [8]);
			await engine.reserve(whole, "stream", 16);
			const calls = Array.from(tokens, (_, position) =>
				forward(
					bench,
					whole,
					[{ stream: "stream", position, input: tokens.slice(position, position + 1) }],
					"last",
				),
			);
			const results = await Promise.all([...calls, engine.release("stream")]);
			near(bench, (results[7] as ForwardResult[])[0]!.logits!, expected, "the last of eight calls");
			await engine.unload(whole);
		},
	},
	{
		title: "the input of a call still belongs to the caller",
		run: async (bench) => {
			const { engine, model } = bench;
			const { layers, hiddenSize } = model.manifest.config;
			const tail = await load(bench, 1, layers, false, true);
			await engine.reserve(tail, "tail", 4);
			const large = new Float32Array(4 * hiddenSize).fill(0.5);
			const data = large.subarray(hiddenSize, 3 * hiddenSize);
			const input = { rows: 2, columns: hiddenSize, data };
			await forward(bench, tail, [{ stream: "tail", position: 0, input }], "last");
			equal(data.length, 2 * hiddenSize, "values after the call");
			equal(data[0], 0.5, "the first of them");
			await engine.unload(tail);
		},
	},
];

/** A small model of each architecture, and one of a shape that no kernel is made for. */
export type TinyModel = ModelConfig["architecture"] | "odd";

export function openTinyOf(model: TinyModel): Promise<ModelSource> {
	if (model === "llama") return openSeededModel();
	if (model !== "odd") return openTinyModel({ architecture: model });
	const shape = { hiddenSize: 72, feedForwardSize: 100, heads: 3, keyValueHeads: 1, headSize: 80 };
	return openTinyModel({ architecture: "qwen3", shape });
}

/** Logits after the last of some tokens. */
export async function lastLogits(bench: Bench, tokens: readonly number[]): Promise<Float32Array> {
	const whole = await loadWhole(bench);
	const logits = await chunked(bench, whole, Int32Array.from(tokens), [tokens.length - 1, 1]);
	await bench.engine.unload(whole);
	return logits;
}

function spec({ model }: Bench, from = 0, to = model.manifest.config.layers, embed = true, head = true) {
	return { model, span: { from, to, embed, head } };
}

function load(bench: Bench, from: number, to: number, embed: boolean, head: boolean): Promise<EngineHandle> {
	return bench.engine.load(spec(bench, from, to, embed, head), bench.source);
}

function loadWhole(bench: Bench): Promise<EngineHandle> {
	return bench.engine.load(spec(bench), bench.source);
}

function forward(
	{ engine }: Bench,
	handle: EngineHandle,
	rows: ForwardRow[],
	logits: LogitsWanted,
): Promise<ForwardResult[]> {
	return engine.forward(handle, rows, { logits });
}

/** Logits after the last of `tokens`, which go in by chunks of the given lengths. */
async function chunked(
	bench: Bench,
	handle: EngineHandle,
	tokens: Int32Array,
	chunks: readonly number[],
	stream = "chunked",
): Promise<Float32Array> {
	await bench.engine.release(stream);
	await bench.engine.reserve(handle, stream, tokens.length);
	let logits: Float32Array | undefined;
	let position = 0;
	for (const length of chunks) {
		const input = tokens.slice(position, position + length);
		const [result] = await forward(bench, handle, [{ stream, position, input }], "last");
		logits = result!.logits;
		position += length;
	}
	await bench.engine.release(stream);
	return logits!;
}

function tokensOneByOne(length: number): number[] {
	return new Array<number>(length).fill(1);
}

/** Token ids from a seed (Knuth's multiplicative hash). */
function someTokens({ model }: Bench, length: number, seed: number): Int32Array {
	const { vocabularySize } = model.manifest.config;
	return Int32Array.from(
		{ length },
		(_, i) => (Math.imul(i + 1 + 1000 * seed, 2654435761) >>> 0) % vocabularySize,
	);
}

function near({ engine }: Bench, got: Float32Array, expected: Float32Array, what: string): void {
	const tolerance = engine.info.numericsClass.includes("/i8/") ? roundedTolerance : floatTolerance;
	equal(got.length, expected.length, `length of ${what}`);
	for (let i = 0; i < got.length; i++) {
		const error = Math.abs(got[i]! - expected[i]!);
		if (!(error <= tolerance * Math.max(1, Math.abs(expected[i]!)))) {
			throw new Error(`${what}: value ${i} is ${got[i]} and not ${expected[i]}`);
		}
	}
}

function same(got: Float32Array, expected: Float32Array, what: string): void {
	equal(got.length, expected.length, `length of ${what}`);
	for (let i = 0; i < got.length; i++) equal(got[i], expected[i], `value ${i} of ${what}`);
}

function equal(got: unknown, expected: unknown, what: string): void {
	if (got !== expected) throw new Error(`${what}: ${got} and not ${expected}`);
}

/** Makes sure that `call` fails with a typed error of this code, or an error of this name. */
async function fails(code: string, what: string, call: () => Promise<unknown>): Promise<void> {
	try {
		await call();
	} catch (error) {
		const { code: gotCode, name } = error as Partial<TabmeshError>;
		if (code === "Error" || gotCode === code || name === code) return;
		throw new Error(`${what} fails with ${gotCode ?? name} and not ${code}`, { cause: error });
	}
	throw new Error(`${what} does not fail`);
}
