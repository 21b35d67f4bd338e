import { ModelFileError, modelConfigSchema, TokenizerError } from "@tabmesh/wire";
import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { blobFolder } from "../bytes/sourceFolder.ts";
import { huggingFaceConfig } from "./huggingFaceConfig.ts";
import { huggingFaceTokenizer } from "./huggingFaceTokenizer.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);

/** SmolLM2-360M-Instruct's, in short. */
const smol = {
	model_type: "llama",
	hidden_act: "silu",
	attention_bias: false,
	hidden_size: 960,
	intermediate_size: 2560,
	max_position_embeddings: 8192,
	mlp_bias: false,
	num_attention_heads: 15,
	num_hidden_layers: 32,
	num_key_value_heads: 5,
	rms_norm_eps: 1e-5,
	rope_scaling: null,
	rope_theta: 100_000,
	tie_word_embeddings: true,
	vocab_size: 49_152,
};

test("configurations that people published mean what their models are", () => {
	expect(huggingFaceConfig(smol)).toEqual({
		architecture: "llama",
		layers: 32,
		hiddenSize: 960,
		feedForwardSize: 2560,
		heads: 15,
		keyValueHeads: 5,
		headSize: 64,
		vocabularySize: 49_152,
		contextLength: 8192,
		normEpsilon: 1e-5,
		rope: { layout: "half", theta: 100_000 },
		tiedHead: true,
	});
	const llama32 = {
		...smol,
		head_dim: 64,
		num_attention_heads: 32,
		num_key_value_heads: 8,
		hidden_size: 2048,
		max_position_embeddings: 131_072,
		rope_theta: 500_000,
		rope_scaling: {
			factor: 32,
			high_freq_factor: 4,
			low_freq_factor: 1,
			original_max_position_embeddings: 8192,
			rope_type: "llama3",
		},
	};
	expect(huggingFaceConfig(llama32).rope.scaling).toEqual({
		type: "llama3",
		factor: 32,
		lowFrequencyFactor: 1,
		highFrequencyFactor: 4,
		originalContext: 8192,
	});
	const qwen3 = {
		...smol,
		model_type: "qwen3",
		hidden_size: 1024,
		num_attention_heads: 16,
		num_key_value_heads: 8,
		head_dim: 128,
	};
	expect(huggingFaceConfig({ ...qwen3, use_sliding_window: false, sliding_window: 4096 })).toMatchObject({
		architecture: "qwen3",
		headSize: 128,
		contextLength: 8192,
	});
});

test("10,000 broken configurations each give a sound one or a ModelFileError", () => {
	const keys = [...Object.keys(smol), "head_dim", "rope_parameters", "sliding_window", "quantization_config"];
	const odd = fc.oneof(
		fc.jsonValue({ maxDepth: 2 }),
		fc.constantFrom(
			0,
			-1,
			1.5,
			2 ** 53,
			1e308,
			null,
			"llama",
			"qwen3",
			{},
			{ rope_type: "llama3" },
			{ factor: 2, type: "linear" },
		),
	);
	fc.assert(
		fc.property(
			fc.dictionary(fc.constantFrom(...keys), odd, { maxKeys: 3, noNullPrototype: true }),
			(fields) => {
				try {
					expect(v.safeParse(modelConfigSchema, huggingFaceConfig({ ...smol, ...fields })).success).toBe(
						true,
					);
				} catch (error) {
					if (!(error instanceof ModelFileError)) throw error;
				}
			},
		),
		{ numRuns: fuzzRuns },
	);
});

test("10,000 broken sets of tokenizer files each give a value or a typed error", async () => {
	const tokenizer = {
		added_tokens: [{ id: 3, content: "</s>", special: true }],
		post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "</s>" } }] },
		model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
	};
	const odd = fc.oneof(
		fc.jsonValue({ maxDepth: 3 }),
		fc.constantFrom(-1, 1.5, 2 ** 53, null, "a", [], {}, [[]], [{}]),
	);
	const edited = <T extends object>(base: T) =>
		fc
			.dictionary(
				fc.constantFrom(...Object.keys(base), "eos_token", "eos_token_id", "chat_template", "add_bos_token"),
				odd,
				{
					maxKeys: 2,
					noNullPrototype: true,
				},
			)
			.map((fields) => JSON.stringify({ ...base, ...fields }));
	const vocabulary = edited(tokenizer.model.vocab).map((vocab) =>
		JSON.stringify({ ...tokenizer, model: { ...tokenizer.model, vocab: JSON.parse(vocab) } }),
	);
	await fc.assert(
		fc.asyncProperty(
			fc.oneof(edited(tokenizer), vocabulary),
			edited({}),
			edited({}),
			async (json, config, generation) => {
				const folder = blobFolder([
					new File([json], "tokenizer.json"),
					new File([config], "tokenizer_config.json"),
					new File([generation], "generation_config.json"),
				]);
				try {
					const { tokenizer: read } = await huggingFaceTokenizer(folder, {}, 4);
					for (const id of read.eos) expect(id >= 0 && id < 4 && Number.isInteger(id)).toBe(true);
				} catch (error) {
					if (!(error instanceof TokenizerError || error instanceof ModelFileError)) throw error;
				}
			},
		),
		{
			numRuns: fuzzRuns,
			examples: [
				// A value that cannot be turned into text.
				[
					JSON.stringify({ ...tokenizer, model: { type: "BPE", vocab: { a: { toString: {} } } } }),
					"{}",
					"{}",
				],
				[JSON.stringify({ ...tokenizer, model: { type: "Unigram", vocab: [{ toString: {} }] } }), "{}", "{}"],
			],
		},
	);
});
