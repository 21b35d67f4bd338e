import {
	type Engine,
	type ModelSource,
	memoryFile,
	publishModel,
	type SourceFile,
	sourceOfModel,
} from "@tabmesh/model";
import { openTinyModel } from "@tabmesh/model/testing";
import {
	loadLlamaCpp,
	openTinyHubModel,
	type TinyGgufOptions,
	tinyByteLevel,
	tinyGgufFile,
} from "@tabmesh/model/testing/llamaCpp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "./createEngine.ts";

/** Llama 3.1's factors for heads of 32 and a theta of 10,000. */
const llama3Factors = Array.from({ length: 16 }, (_, i) => {
	const wave = 2 * Math.PI * 10_000 ** (i / 16);
	const smooth = Math.min(1, Math.max(0, (8192 / wave - 1) / 3));
	return 1 / ((1 - smooth) / 8 + smooth);
});

const architectures: readonly (readonly [string, TinyGgufOptions])[] = [
	["llama", {}],
	["llama with a tied head", { tiedHead: true }],
	["llama with Llama 3's rope factors", { ropeFactors: llama3Factors }],
	["qwen2", { architecture: "qwen2", vocabulary: tinyByteLevel("qwen2"), tiedHead: true }],
	["qwen3", { architecture: "qwen3", vocabulary: tinyByteLevel("qwen2") }],
];
const prompt = [1, 300, 301, 17, 302, 263, 280, 299, 310, 261];
const answer = 24;

/** One for each format. */
const engines = new Map<"f32" | "q8", Promise<Engine>>();
afterAll(async () => {
	for (const engine of engines.values()) await (await engine).close();
});

describe.each(architectures)("%s", (_, options) => {
	let source: ModelSource;
	let whole: Awaited<ReturnType<typeof continueText>>;
	beforeAll(async () => {
		source = await openTinyModel(options);
		whole = await continueText(source, [0, 2]);
	});

	test("continues a text as llama.cpp does, in one span and in several", async () => {
		await using llamaCpp = await loadLlamaCpp(tinyGgufFile(options));
		const theirs = await llamaCpp.logits(whole.tokens);
		for (const [i, logits] of theirs.entries()) {
			// llama.cpp keeps keys and values in half precision.
			expect(farthest(whole.logits[i]!, logits)).toBeLessThan(0.01);
			if (i >= prompt.length - 1 && i + 1 < whole.tokens.length)
				expect([i, likeliest(logits)]).toEqual([i, whole.tokens[i + 1]]);
		}
		for (const bounds of [
			[0, 1, 2],
			[0, 0, 1, 2, 2],
		]) {
			expect((await continueText(source, bounds)).tokens).toEqual(whole.tokens);
		}
	});

	test("says the same out of a folder of safetensors", async () => {
		const folder = await openTinyHubModel(options);
		expect((await continueText(folder, [0, 2])).tokens).toEqual(whole.tokens);
	});

	test("is nearly the same in 8 bits", async () => {
		const eight = await continueText(source, [0, 2], "q8");
		expect(farthest(eight.logits[5]!, whole.logits[5]!)).toBeLessThan(0.05);
	});
});

test.each(["qwen2", "qwen3"] as const)(
	"a %s whose rotated values lie in pairs says the same as one where they lie half a head apart",
	async (architecture) => {
		const source = await openTinyModel({ architecture });
		const halves = await continueText(source, [0, 2]);
		for (const weights of ["f32", "q8"] as const) {
			const pairs = await continueText(await inPairs(source), [0, 2], weights);
			expect(farthest(pairs.logits[5]!, halves.logits[5]!)).toBeLessThan(weights === "f32" ? 1e-4 : 0.05);
		}
	},
);

/** The same model with the values of each head of query and key in another order, and a configuration that says so. */
async function inPairs(source: ModelSource): Promise<ModelSource> {
	const { headSize, rope } = source.config;
	const files: SourceFile[] = [];
	for (const { name, shape, ranges } of source.tensors) {
		const [[file, offset, bytes]] = ranges as [[number, number, number]];
		const content = await source.files[file]!.read(offset, bytes);
		const turned = content.slice();
		if (/[qk]_(proj|norm)\.(weight|bias)$/.test(name)) {
			const rowBytes = bytes / shape[0]!;
			for (let row = 0; row < shape[0]!; row++) {
				const within = row % headSize;
				const half = headSize / 2;
				const to = row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
				turned.set(content.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
			}
		}
		files.push(memoryFile(name, turned));
	}
	return {
		...source,
		config: { ...source.config, rope: { ...rope, layout: "interleaved" } },
		files,
		tensors: source.tensors.map((tensor, i) => ({ ...tensor, ranges: [[i, 0, files[i]!.bytes]] })),
	};
}

/** Greedy text behind the prompt, and the logits after each of its tokens. */
async function continueText(
	source: ModelSource,
	bounds: readonly number[],
	weights: "f32" | "q8" = "f32",
): Promise<{ tokens: number[]; logits: Float32Array[] }> {
	const model = await publishModel(source);
	const opening = engines.get(weights) ?? createEngine({ memoryBytes: 64 * 1024 * 1024, weights });
	engines.set(weights, opening);
	const engine = await opening;
	const spans = await Promise.all(
		bounds.slice(1).map((to, i) => {
			const span = { from: bounds[i]!, to, embed: i === 0, head: i === bounds.length - 2 };
			return engine.load({ model, span }, sourceOfModel(source));
		}),
	);
	try {
		for (const [i, span] of spans.entries()) await engine.reserve(span, `stage ${i}`, 64);
		const tokens = [...prompt];
		const logits: Float32Array[] = [];
		for (let position = 0; position < prompt.length + answer; ) {
			const next = tokens.slice(position);
			let input: Parameters<Engine["forward"]>[1][number]["input"] = Int32Array.from(next);
			for (const [i, span] of spans.entries()) {
				const [result] = await engine.forward(span, [{ stream: `stage ${i}`, position, input }], {
					logits: "all",
				});
				if (result!.hidden) input = result!.hidden;
				else logits.push(...rowsOf(result!.logits!, next.length));
			}
			position += next.length;
			tokens.push(likeliest(logits.at(-1)!));
		}
		return { tokens: tokens.slice(0, -1), logits };
	} finally {
		for (const span of spans) await engine.unload(span);
	}
}

function rowsOf(values: Float32Array, rows: number): Float32Array[] {
	const size = values.length / rows;
	return Array.from({ length: rows }, (_, row) => values.subarray(row * size, (row + 1) * size));
}

function likeliest(logits: Float32Array): number {
	return logits.reduce((best, value, i) => (value > logits[best]! ? i : best), 0);
}

/** Largest difference, as a share of the largest logit. */
function farthest(ours: Float32Array, theirs: Float32Array): number {
	const difference = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
	return difference / theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
