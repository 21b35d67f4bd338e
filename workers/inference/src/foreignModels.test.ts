import { openManifest, publishModel, sourceOfModel } from "@tabmesh/model";
import { openTinyModel } from "@tabmesh/model/testing";
import {
	loadGgml,
	loadLlamaCpp,
	openTinyHubModel,
	type TinyGgufOptions,
	type TinyVocabulary,
	tinyByteLevel,
	tinyGgufFile,
	tinySentencePiece,
} from "@tabmesh/model/testing/llamaCpp";
import fc from "fast-check";
import { expect, test } from "vitest";
import { lastLogits } from "./conformance.ts";
import { createEngine } from "./createEngine.ts";

const ggml = loadGgml();

/** Each takes about a second. */
const numRuns = process.env.TABMESH_LARGE === "1" ? 150 : 10;

/** Every format of GGUF that Tabmesh reads. */
const types = [
	"F32",
	"F16",
	"BF16",
	"Q4_0",
	"Q4_1",
	"Q5_0",
	"Q5_1",
	"Q8_0",
	"Q2_K",
	"Q3_K",
	"Q4_K",
	"Q5_K",
	"Q6_K",
	"IQ2_XXS",
	"IQ4_NL",
	"IQ4_XS",
] as const;

/** A vocabulary with some entries that no text makes, so that its size can be any. */
function padded(vocabulary: TinyVocabulary, count: number): TinyVocabulary {
	const metadata = { ...vocabulary.metadata };
	const added = Array.from({ length: count }, (_, i) => `[PAD${i}]`);
	const { strings } = metadata["tokenizer.ggml.tokens"] as { strings: readonly string[] };
	metadata["tokenizer.ggml.tokens"] = { strings: [...strings, ...added] };
	const { values: kinds } = metadata["tokenizer.ggml.token_type"] as { values: readonly number[] };
	metadata["tokenizer.ggml.token_type"] = { array: "i32", values: [...kinds, ...added.map(() => 5)] };
	const scores = metadata["tokenizer.ggml.scores"] as { values: readonly number[] } | undefined;
	if (scores) {
		const values = [...scores.values, ...added.map(() => -1000)];
		metadata["tokenizer.ggml.scores"] = { array: "f32", values };
	}
	return { metadata, size: vocabulary.size + count };
}

/** Shapes that no model has to have: odd numbers of heads, rows that are no whole blocks, heads of a size of their own. */
const foreign = fc.record({
	architecture: fc.constantFrom("llama", "qwen2", "qwen3"),
	type: fc.constantFrom(...types),
	tiedHead: fc.boolean(),
	seed: fc.nat(1_000_000),
	padding: fc.nat(40),
	byteLevel: fc.boolean(),
	layers: fc.integer({ min: 1, max: 3 }),
	hiddenSize: fc.oneof(
		fc.integer({ min: 9, max: 150 }).map((n) => 2 * n),
		fc.constantFrom(64, 96, 256, 512),
	),
	feedForwardSize: fc.oneof(fc.integer({ min: 20, max: 400 }), fc.constantFrom(256, 352, 512)),
	keyValueHeads: fc.integer({ min: 1, max: 5 }),
	group: fc.integer({ min: 1, max: 4 }),
	headSize: fc.constantFrom(16, 32, 48, 64, 80, 96, 128),
	contextLength: fc.integer({ min: 40, max: 300 }),
	theta: fc.constantFrom(10_000, 500_000, 1_000_000),
	epsilon: fc.constantFrom(1e-5, 1e-6),
	scaling: fc.record({
		kind: fc.constantFrom("none", "linear", "llama3"),
		factor: fc.constantFrom(2, 8, 32),
		low: fc.constantFrom(1, 2),
		high: fc.constantFrom(4, 6),
		// Short ones, so that a few tokens feel them.
		context: fc.constantFrom(20, 64, 200, 8192),
	}),
});

type ForeignModel = typeof foreign extends fc.Arbitrary<infer Model> ? Model : never;

function optionsOf(model: ForeignModel): TinyGgufOptions {
	const { architecture, type, tiedHead, seed, padding, byteLevel, group, epsilon, scaling, ...shape } = model;
	const heads = shape.keyValueHeads * group;
	return {
		architecture,
		type,
		ggml,
		tiedHead,
		seed: seed + 1,
		vocabulary: padded(byteLevel ? tinyByteLevel("qwen2") : tinySentencePiece(), padding),
		// A qwen2 has no head size of its own.
		shape: { ...shape, heads, ...(architecture === "qwen2" ? { hiddenSize: heads * shape.headSize } : {}) },
		metadata: {
			[`${architecture}.attention.layer_norm_rms_epsilon`]: { f32: epsilon },
			...(scaling.kind === "linear"
				? {
						[`${architecture}.rope.scaling.type`]: { string: "linear" },
						[`${architecture}.rope.scaling.factor`]: { f32: scaling.factor },
					}
				: {}),
		},
		// Only llamas have them.
		...(scaling.kind === "llama3" && architecture === "llama"
			? { ropeFactors: llama3Factors(shape.headSize / 2, shape.theta, scaling) }
			: {}),
	};
}

/** As llama.cpp's converter computes them from a config.json. */
function llama3Factors(
	pairs: number,
	theta: number,
	{ factor, low, high, context }: { factor: number; low: number; high: number; context: number },
): number[] {
	return Array.from({ length: pairs }, (_, i) => {
		const wave = 2 * Math.PI * theta ** (i / pairs);
		if (wave < context / high) return 1;
		if (wave > context / low) return factor;
		const smooth = (context / wave - low) / (high - low);
		return 1 / ((1 - smooth) / factor + smooth);
	});
}

test("a GGUF of any shape and format publishes, runs and says what llama.cpp says; so does its folder of safetensors", async () => {
	await fc.assert(
		fc.asyncProperty(foreign, async (model) => {
			const options = optionsOf(model);
			const tokens = [1, 260, 37, 299, 12, 301, 5, 270];
			const gguf = await openTinyModel(options);
			const ours = await logitsOf(gguf, tokens);
			await using llamaCpp = await loadLlamaCpp(tinyGgufFile(options));
			const theirs = (await llamaCpp.logits(tokens)).at(-1)!;
			// llama.cpp keeps keys and values in half precision, and rounds activations to fit the weights: to 8 bits for most.
			const exact = options.type === "F32" && !isMixed(gguf);
			expect(farthest(ours, theirs)).toBeLessThan(exact ? 0.01 : 0.06);
			const folder = await openTinyHubModel(options);
			expect(farthest(await logitsOf(folder, tokens), ours)).toBeLessThan(1e-5);
		}),
		{ numRuns, seed: 3 },
	);
}, 600_000);

function isMixed({ tensors }: Awaited<ReturnType<typeof openTinyModel>>): boolean {
	return tensors.some(({ type }) => type !== "F32" && type !== "BLOB");
}

async function logitsOf(
	source: Awaited<ReturnType<typeof openTinyModel>>,
	tokens: readonly number[],
): Promise<Float32Array> {
	const { id, manifestBytes } = await publishModel(source);
	const engine = await createEngine({ memoryBytes: 256 * 1024 * 1024 });
	try {
		const model = await openManifest(manifestBytes, id);
		return await lastLogits({ engine, model, source: sourceOfModel(source) }, tokens);
	} finally {
		await engine.close();
	}
}

/** Largest difference, as a share of the largest logit. */
function farthest(ours: Float32Array, theirs: Float32Array): number {
	expect(ours).toHaveLength(theirs.length);
	const difference = theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0);
	return difference / theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
