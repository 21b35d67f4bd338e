import { Tokenizer } from "@huggingface/tokenizers";
import { ModelFileError, TokenizerError } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryFile } from "../format/sourceFile.ts";
import { publishModel } from "../manifest/publishModel.ts";
import type { WeightType } from "./blockLayout.ts";
import { openGguf } from "./ggufSource.ts";
import { loadGgml } from "./testing/ggml.ts";
import { loadLlamaCpp } from "./testing/llamaCpp.ts";
import { referenceForward } from "./testing/referenceForward.ts";
import { type TinyGgufOptions, tinyGguf, tinyGgufFile, tinyShape } from "./testing/tinyGguf.ts";
import { tinyByteLevel, tinySentencePiece, tinyText } from "./testing/tinyVocabulary.ts";
import { writeGguf } from "./testing/writeGguf.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const ggml = loadGgml();
const openTiny = (options: TinyGgufOptions = {}) =>
	openGguf([memoryFile("tiny.gguf", tinyGgufFile(options))]);
const prompt = [1, 300, 301, 17, 302, 263, 280, 299, 310, 261];

/** Llama 3.1's factors for heads of 32, from its paper's parameters. */
function llama3Factors(pairs: number): number[] {
	return Array.from({ length: pairs }, (_, i) => {
		const wave = 2 * Math.PI * tinyShape.theta ** (i / pairs);
		if (wave < 8192 / 4) return 1;
		if (wave > 8192) return 8;
		const smooth = (8192 / wave - 1) / 3;
		return 1 / ((1 - smooth) / 8 + smooth);
	});
}

/** Largest difference, as a share of the spread of the logits. */
function difference(ours: readonly Float32Array[], theirs: readonly Float32Array[]): number {
	let largest = 0;
	let spread = 0;
	for (const [i, row] of theirs.entries()) {
		for (const [j, logit] of row.entries()) {
			largest = Math.max(largest, Math.abs(logit - ours[i]![j]!));
			spread = Math.max(spread, Math.abs(logit));
		}
	}
	return largest / spread;
}

describe("a model that llama.cpp runs means the same here", () => {
	const cases: [string, TinyGgufOptions][] = [
		["llama", {}],
		["llama with a tied head", { tiedHead: true }],
		["llama with Llama 3's rope scaling", { ropeFactors: llama3Factors(16) }],
		[
			"llama with linear rope scaling",
			{
				metadata: {
					"llama.rope.scaling.type": { string: "linear" },
					"llama.rope.scaling.factor": { f32: 4 },
				},
			},
		],
		["qwen2", { architecture: "qwen2", vocabulary: tinyByteLevel("qwen2") }],
		["qwen3", { architecture: "qwen3", vocabulary: tinyByteLevel("qwen2"), tiedHead: true }],
	];
	test.each(cases)("%s", async (_, options) => {
		const file = tinyGgufFile(options);
		await using theirs = await loadLlamaCpp(file);
		const source = await openGguf([memoryFile("tiny.gguf", file)]);
		// llama.cpp keeps keys and values in half precision.
		expect(difference(await referenceForward(source, prompt), await theirs.logits(prompt))).toBeLessThan(
			0.01,
		);
	});

	test.each<WeightType>(["F16", "BF16", "Q8_0", "Q4_K", "IQ2_XXS"])("llama stored as %s", async (type) => {
		const file = tinyGgufFile({ type, ggml });
		await using theirs = await loadLlamaCpp(file);
		const source = await openGguf([memoryFile("tiny.gguf", file)]);
		// llama.cpp quantises activations to 8 bits inside its dot products.
		expect(difference(await referenceForward(source, prompt), await theirs.logits(prompt))).toBeLessThan(
			0.05,
		);
	});
});

describe("the tokenizer that is rebuilt gives the tokens that llama.cpp gives", () => {
	const texts = [
		...tinyText.split("\n"),
		tinyText,
		"",
		" ",
		"  two  spaces ",
		"\n\n\ttabs\r\n",
		"1234567890 3.14159",
		"ünïcödé 𝔘𝔫𝔦 🙂 \u0000 \u200b",
		"call <tool> now<tool>!",
		"Don't we'll I'VE it's 'tis",
		"a</s>b<s>c",
		"<unk> <0x41>",
	];
	const vocabularies = [
		["SentencePiece", tinySentencePiece()] as const,
		...["llama-bpe", "qwen2", "smollm", "gpt-2", "tekken", "default", "stablelm2", "smaug-bpe"].map(
			(pre) => [`byte level, ${pre}`, tinyByteLevel(pre)] as const,
		),
	];
	test.each(vocabularies)("%s", async (_, vocabulary) => {
		const file = tinyGgufFile({ vocabulary });
		await using theirs = await loadLlamaCpp(file);
		const source = await openGguf([memoryFile("tiny.gguf", file)]);
		const json = JSON.parse(new TextDecoder().decode(source.derived[0]!.content)) as object;
		const ours = new Tokenizer(json, { clean_up_tokenization_spaces: false });
		for (const text of texts) {
			const { ids } = ours.encode(text, { add_special_tokens: false });
			expect([text, ids]).toEqual([text, await theirs.tokenize(text, true)]);
			// What follows a special token of SentencePiece begins with a space that decoding cannot know.
			if (ids.length > 0 && !/<tool>|<s>|<unk>/.test(text)) expect(ours.decode(ids)).toBe(text);
		}
	});
});

describe("what a GGUF holds is published as it is", () => {
	test("every weight under its Hugging Face name, with its own bytes", async () => {
		const file = tinyGgufFile({ type: "Q4_K", ggml });
		const { id, manifest } = await publishModel(await openGguf([memoryFile("tiny.gguf", file)]));
		expect(manifest.config).toMatchObject({
			architecture: "llama",
			hiddenSize: 256,
			headSize: 32,
			rope: { layout: "interleaved", theta: 10_000 },
			normEpsilon: 1e-5,
			tiedHead: false,
		});
		expect(manifest.tokenizer).toEqual({ bos: 1, eos: [2] });
		expect(manifest.tensors).toHaveLength(3 + 2 * 9 + 1);
		expect(manifest.tensors[2]).toMatchObject({
			name: "model.layers.0.self_attn.q_proj.weight",
			type: "Q4_K",
			shape: [256, 256],
			bytes: 256 * 144,
		});
		const again = await publishModel(await openGguf([memoryFile("other.gguf", file)]));
		expect(again.id).toBe(id);
	});

	test("from several parts, whatever their order", async () => {
		const { metadata, tensors } = tinyGguf();
		const part = (no: number, from: number, to: number) =>
			memoryFile(
				`tiny-0000${no + 1}-of-00002.gguf`,
				writeGguf(
					{
						...(no === 0 ? metadata : {}),
						"split.no": { u16: no },
						"split.count": { u16: 2 },
						"split.tensors.count": { i32: tensors.length },
					},
					tensors.slice(from, to),
				),
			);
		const parts = [part(1, 7, tensors.length), part(0, 0, 7)];
		const whole = await publishModel(await openTiny());
		const split = await publishModel(await openGguf(parts));
		expect(split.id).toBe(whole.id);
		await expect(openGguf(parts.slice(1))).rejects.toThrow("only 1 were given");
		await expect(openGguf(parts.slice(0, 1))).rejects.toThrow(ModelFileError);
		await expect(openGguf([parts[1]!, parts[1]!])).rejects.toThrow(ModelFileError);
		await expect(openGguf([...parts, parts[0]!])).rejects.toThrow(ModelFileError);
		await expect(openGguf([part(0, 0, 7), part(1, 8, tensors.length)])).rejects.toThrow("promise");
		await expect(openGguf([parts[1]!, memoryFile("tiny.gguf", tinyGgufFile())])).rejects.toThrow(
			"not of one model",
		);
	});

	test("end tokens: the file's own first, then what its family ends turns with", async () => {
		const { tokenizer } = await openTiny({ vocabulary: tinyByteLevel("qwen2") });
		expect(tokenizer.bos).toBeUndefined();
		expect(tokenizer.eos).toHaveLength(1);
		const { tokenizer: other } = await openTiny({
			vocabulary: tinyByteLevel("llama-bpe"),
			metadata: {
				"tokenizer.ggml.eos_token_id": { u32: 5 },
				"tokenizer.ggml.add_bos_token": { bool: true },
				"tokenizer.chat_template": { string: "{{ messages }}" },
			},
		});
		expect(other.eos).toEqual([5, ...tokenizer.eos]);
		expect(other.bos).toBe(tokenizer.eos[0]! - 1);
		expect(other.chatTemplate).toBe("{{ messages }}");
	});
});

test("any other value in the place of any metadata gives a model or a typed error", async () => {
	const { metadata, tensors } = tinyGguf();
	const odd = fc.oneof(
		fc.string({ maxLength: 8 }).map((string) => ({ string })),
		fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 }).map((strings) => ({ strings })),
		fc.nat().map((u32) => ({ u32 })),
		fc.double().map((f64) => ({ f64 })),
		fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((u64) => ({ u64 })),
		fc.boolean().map((bool) => ({ bool })),
		fc
			.array(fc.integer({ min: -9, max: 9 }), { maxLength: 4 })
			.map((values) => ({ array: "i32" as const, values })),
		fc
			.array(fc.bigInt({ min: 0n, max: 9n }), { maxLength: 4 })
			.map((values) => ({ array: "u64" as const, values })),
	);
	const keys = [
		...Object.keys(metadata),
		"llama.rope.scaling.type",
		"llama.rope.scale_linear",
		"split.count",
		"split.no",
		"tokenizer.ggml.merges",
		"tokenizer.ggml.eot_token_id",
		"llama.expert_count",
	];
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...keys), odd, async (key, value) => {
			try {
				await openGguf([memoryFile("tiny.gguf", writeGguf({ ...metadata, [key]: value }, tensors))]);
			} catch (error) {
				if (!(error instanceof ModelFileError || error instanceof TokenizerError)) throw error;
			}
		}),
		{ numRuns: Math.ceil(fuzzRuns / 20) },
	);
});

test("a model whose attention slides over a window ends at its window", async () => {
	const contextOf = async (window: number) =>
		(await openTiny({ metadata: { "llama.attention.sliding_window": { u32: window } } })).config
			.contextLength;
	expect(await contextOf(100)).toBe(100);
	expect(await contextOf(0)).toBe(tinyShape.contextLength);
	expect(await contextOf(100_000)).toBe(tinyShape.contextLength);
});

describe("what Tabmesh cannot run is an error that says what was found", () => {
	const withTensors = async (change: (tensors: ReturnType<typeof tinyGguf>["tensors"]) => void) => {
		const { metadata, tensors } = tinyGguf();
		change(tensors);
		return openGguf([memoryFile("tiny.gguf", writeGguf(metadata, tensors))]);
	};
	const f32 = (name: string, size: number) => ({
		name,
		type: "F32" as const,
		shape: [size],
		bytes: new Uint8Array(4 * size),
	});

	test.each([
		["another architecture", { "general.architecture": { string: "mamba" } }, /"mamba".*llama, qwen2, qwen3/],
		["experts", { "llama.expert_count": { u32: 8 } }, /mixture of experts/],
		["a rope scaling nobody here knows", { "llama.rope.scaling.type": { string: "yarn" } }, /"yarn"/],
		["partial rotation", { "llama.rope.dimension_count": { u32: 16 } }, /rotates 16/],
		["heads that cannot share", { "llama.attention.head_count_kv": { u32: 3 } }, /8 heads, which 3/],
		["layers that differ", { "llama.feed_forward_length": { array: "u32", values: [512, 256] } }, /differ/],
		[
			"text where a number belongs",
			{ "llama.block_count": { string: "2" } },
			/string 2 as llama.block_count/,
		],
		["no layers", { "llama.block_count": { u32: 0 } }, /number 0 as llama.block_count/],
		["far too many layers", { "llama.block_count": { u32: 4_000_000_000 } }, /layers/],
		["more layers than there are", { "llama.block_count": { u32: 3 } }, /no model\.layers\.2\./],
		[
			"fewer layers than there are",
			{ "llama.block_count": { u32: 1 } },
			/9 tensors that a llama does not have/,
		],
		["another size than its tensors", { "llama.embedding_length": { u32: 128 } }, /shape/],
	] as const)("%s", async (_, metadata, message) => {
		await expect(openTiny({ metadata })).rejects.toThrow(ModelFileError);
		await expect(openTiny({ metadata })).rejects.toThrow(message);
	});

	test("a missing tensor, one too many, one twice", async () => {
		await expect(withTensors((tensors) => tensors.splice(4, 1))).rejects.toThrow(/no model\.layers\.0\./);
		await expect(withTensors((tensors) => tensors.splice(0, 1))).rejects.toThrow("no token_embd.weight");
		await expect(withTensors((tensors) => tensors.push(f32("blk.0.attn_q.bias", 256)))).rejects.toThrow(
			"1 tensors that a llama does not",
		);
		await expect(withTensors((tensors) => tensors.push({ ...tensors[3]! }))).rejects.toThrow("twice");
	});

	test("rope factors that are not Llama 3's", async () => {
		const odd = llama3Factors(16).map((factor, i) => factor + (i % 2));
		await expect(openTiny({ ropeFactors: odd })).rejects.toThrow(/rope_freqs/);
		await expect(openTiny({ ropeFactors: odd.map(() => Number.NaN) })).rejects.toThrow(/rope_freqs/);
	});

	test.each([
		["no vocabulary", { "tokenizer.ggml.tokens": { u8: 1 } }, ModelFileError],
		["another kind of tokenizer", { "tokenizer.ggml.model": { string: "bert" } }, TokenizerError],
		["a vocabulary of another length", { "tokenizer.ggml.tokens": { strings: ["a"] } }, TokenizerError],
		["scores of another length", { "tokenizer.ggml.scores": { array: "f32", values: [1] } }, TokenizerError],
		[
			"types of another length",
			{ "tokenizer.ggml.token_type": { array: "i32", values: [1] } },
			TokenizerError,
		],
		["an end outside the vocabulary", { "tokenizer.ggml.eos_token_id": { u32: 99_999 } }, TokenizerError],
		[
			"an endless chat template",
			{ "tokenizer.chat_template": { string: "x".repeat(65_537) } },
			TokenizerError,
		],
	] as const)("%s", async (_, metadata, kind) => {
		await expect(openTiny({ metadata })).rejects.toThrow(kind);
	});

	test("a way to cut text that nobody here knows", async () => {
		await expect(openTiny({ vocabulary: tinyByteLevel("qwen99") })).rejects.toThrow(/"qwen99"/);
	});

	test("holes and doubles in a vocabulary", async () => {
		const edited = (edit: (tokens: string[]) => unknown) => {
			const vocabulary = tinySentencePiece();
			const tokens = [...(vocabulary.metadata["tokenizer.ggml.tokens"] as { strings: string[] }).strings];
			edit(tokens);
			return openTiny({ vocabulary, metadata: { "tokenizer.ggml.tokens": { strings: tokens } } });
		};
		await expect(edited((tokens) => tokens.splice(300, 1, ""))).rejects.toThrow(/hole: token 300/);
		await expect(edited((tokens) => tokens.splice(300, 1, tokens[301]!))).rejects.toThrow(
			/Tokens 300 and 301/,
		);
		await expect(edited((tokens) => tokens.splice(50, 1, "<0xZZ>"))).rejects.toThrow(
			/1 of the 256 byte tokens/,
		);
		const merges = { "tokenizer.ggml.merges": { strings: ["Ġ nowhere"] } };
		await expect(openTiny({ vocabulary: tinyByteLevel("qwen2"), metadata: merges })).rejects.toThrow(
			/merge 0/,
		);
	});
});
