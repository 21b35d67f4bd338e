import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelFileError, ModelNotFoundError, ModelSourceError, TokenizerError } from "@tabmesh/wire";
import { describe, expect, test } from "vitest";
import { diskFolder } from "../bytes/diskFolder.ts";
import { blobFolder, httpFolder } from "../bytes/sourceFolder.ts";
import { memoryFile } from "../format/sourceFile.ts";
import { openGguf } from "../gguf/ggufSource.ts";
import { referenceForward } from "../gguf/testing/referenceForward.ts";
import { temporaryFolder } from "../gguf/testing/temporaryFolder.ts";
import type { TinyGgufOptions } from "../gguf/testing/tinyGguf.ts";
import { tinyByteLevel } from "../gguf/testing/tinyVocabulary.ts";
import { publishModel } from "../manifest/publishModel.ts";
import { openHuggingFace } from "./huggingFaceSource.ts";
import { startHubServer } from "./testing/hubServer.ts";
import { type TinyHubModel, tinyHubModel } from "./testing/tinyHubModel.ts";

const prompt = [1, 300, 301, 17, 302, 263];
const picked = (files: TinyHubModel["files"]) =>
	blobFolder([...files].map(([name, content]) => new File([content], name)));
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A hub model with one of its JSON files changed; `undefined` takes a file away. */
async function changed(name: string, change: (content: Record<string, unknown>) => unknown, options = {}) {
	const { files } = await tinyHubModel(options);
	const content = change(JSON.parse(new TextDecoder().decode(files.get(name) ?? json({}))));
	if (content === undefined) files.delete(name);
	else files.set(name, json(content));
	return openHuggingFace(picked(files));
}

describe("a model means the same from its Hugging Face files as from its GGUF", () => {
	const factors = Array.from({ length: 16 }, (_, i) => (i < 9 ? 1 : 8)).map((factor, i) => {
		const wave = 2 * Math.PI * 10_000 ** (i / 16);
		const smooth = Math.min(1, Math.max(0, (8192 / wave - 1) / 3));
		return factor === 1 && wave < 2048 ? 1 : 1 / ((1 - smooth) / 8 + smooth);
	});
	test.each<[string, TinyGgufOptions]>([
		["llama", {}],
		["llama with Llama 3's rope scaling and a tied head", { ropeFactors: factors, tiedHead: true }],
		["qwen2", { architecture: "qwen2", vocabulary: tinyByteLevel("qwen2") }],
		["qwen3", { architecture: "qwen3", vocabulary: tinyByteLevel("qwen2"), tiedHead: true }],
	])("%s", async (_, options) => {
		const { gguf, files } = await tinyHubModel(options);
		const ours = await openHuggingFace(picked(files));
		const theirs = await openGguf([memoryFile("tiny.gguf", gguf)]);
		expect(ours.config).toEqual({ ...theirs.config, rope: { ...theirs.config.rope, layout: "half" } });
		const [a, b] = [await referenceForward(ours, prompt), await referenceForward(theirs, prompt)];
		for (const [i, row] of a.entries()) {
			for (const [j, logit] of row.entries()) expect(logit).toBeCloseTo(b[i]![j]!, 3);
		}
	});
});

describe("wherever the files lie, the model is the same", () => {
	test("on a hub, of which only the ranges that are needed are fetched", async () => {
		const { files } = await tinyHubModel({ parts: 3, stored: "BF16" });
		const local = await publishModel(await openHuggingFace(picked(files)));
		await using hub = await startHubServer(files);
		const source = await openHuggingFace(httpFolder(hub.url, { pauseMs: 1 }));
		const published = await publishModel(source, { baseUrl: hub.url });
		expect(published.id).toBe(local.id);
		expect(published.origin.files).toEqual([
			"model-1-of-3.safetensors",
			"model-2-of-3.safetensors",
			"model-3-of-3.safetensors",
			"tokenizer.json",
		]);
		expect(hub.requests.filter((line) => !line.includes("bytes="))).toEqual([]);
	});

	test("in a folder on disk", async () => {
		const { files } = await tinyHubModel({ stored: "F16" });
		await using folder = await temporaryFolder();
		const path = join(folder.path, "model");
		await mkdir(path);
		for (const [name, content] of files) await writeFile(join(path, name), content);
		const onDisk = await publishModel(await openHuggingFace(diskFolder(path)));
		const inMemory = await publishModel(await openHuggingFace(picked(files)));
		expect(onDisk.id).toBe(inMemory.id);
		expect(onDisk.manifest.tensors[0]).toMatchObject({ name: "model.embed_tokens.weight", type: "F16" });
	});

	test("a hub that is busy, redirects and breaks off is no hindrance; one that changes a file is", async () => {
		const { files } = await tinyHubModel({ parts: 2 });
		await using hub = await startHubServer(files);
		let calls = 0;
		hub.intercept = (_, response) => {
			if (calls++ % 3 !== 0) return false;
			response.writeHead(calls % 2 ? 429 : 503).end();
			return true;
		};
		const source = await openHuggingFace(httpFolder(hub.url, { pauseMs: 1 }));
		await publishModel(source);
		const name = source.files[0]!.name;
		files.set(name, files.get(name)!.slice().fill(1, 1_500_000));
		await expect(publishModel(source)).rejects.toMatchObject({ details: { reason: "changed" } });
	});

	test("a hub that asks for a licence, or answers with a page, is an error that says so", async () => {
		const { files } = await tinyHubModel();
		await using hub = await startHubServer(files);
		hub.intercept = (_, response) => Boolean(response.writeHead(401).end());
		await expect(openHuggingFace(httpFolder(hub.url))).rejects.toThrow(/licence/);
		hub.intercept = (_, response) =>
			Boolean(response.writeHead(200, { "content-type": "text/html" }).end("<html>"));
		await expect(openHuggingFace(httpFolder(hub.url))).rejects.toThrow(ModelSourceError);
	});
});

test("tokenizer, template and end tokens come from where each family keeps them", async () => {
	const { files } = await tinyHubModel();
	const { tokenizer, files: sources } = await openHuggingFace(picked(files));
	expect(tokenizer).toEqual({ bos: 1, eos: [2, 7], chatTemplate: "{{ messages[0].content }}" });
	expect(sources.at(-1)!.name).toBe("tokenizer.json");
	files.set("chat_template.jinja", new TextEncoder().encode("a file of its own"));
	expect((await openHuggingFace(picked(files))).tokenizer.chatTemplate).toBe("a file of its own");
	const processed = await changed("tokenizer.json", (content) => ({
		...content,
		post_processor: {
			type: "Sequence",
			processors: [
				{ type: "ByteLevel" },
				{
					type: "TemplateProcessing",
					single: [{ SpecialToken: { id: "</s>", type_id: 0 } }, { Sequence: { id: "A" } }],
				},
			],
		},
	}));
	expect(processed.tokenizer.bos).toBe(2);
	const plain = await changed("tokenizer_config.json", () => ({ add_bos_token: false }));
	expect(plain.tokenizer).toEqual({ eos: [2, 7] });
});

describe("what Tabmesh cannot run is an error that says what was found", () => {
	test.each<[string, Record<string, unknown>, RegExp]>([
		["another architecture", { model_type: "gpt_bigcode" }, /"gpt_bigcode"/],
		["no architecture", { model_type: undefined }, /undefined/],
		[
			"an architecture called like something else in JavaScript",
			{ model_type: "constructor" },
			/"constructor"/,
		],
		["another activation", { hidden_act: "gelu" }, /hidden_act "gelu"/],
		["biases on everything", { attention_bias: true }, /attention_bias true/],
		["quantised safetensors", { quantization_config: { quant_method: "gptq" } }, /gptq/],
		["a rope scaling nobody here knows", { rope_scaling: { rope_type: "yarn", factor: 4 } }, /"yarn"/],
		["rope scaling that divides by zero", { rope_scaling: { type: "linear", factor: 0 } }, /0 as factor/],
		["text where a number belongs", { hidden_size: "256" }, /"256" as hidden_size/],
		["no size", { hidden_size: null }, /nothing about hidden_size/],
		["a fraction of a head", { num_attention_heads: 3, head_dim: null }, /headSize/],
		["a negative count", { num_hidden_layers: -1 }, /layers/],
		["another size than its tensors", { intermediate_size: 500 }, /shape/],
		["more layers than there are", { num_hidden_layers: 3 }, /no model\.layers\.2/],
		["a tied head that is there is left out", { tie_word_embeddings: false }, /no lm_head/],
	])("%s", async (_, fields, message) => {
		const opened = () => changed("config.json", (content) => ({ ...content, ...fields }), { tiedHead: true });
		await expect(opened()).rejects.toThrow(ModelFileError);
		await expect(opened()).rejects.toThrow(message);
	});

	test("mistral is a llama that ends at its window", async () => {
		const source = await changed("config.json", (content) => ({
			...content,
			model_type: "mistral",
			sliding_window: 100,
			head_dim: null,
		}));
		expect(source.config).toMatchObject({ architecture: "llama", contextLength: 100, headSize: 32 });
	});

	test("transformers 5 keeps rope in one place", async () => {
		const source = await changed("config.json", ({ rope_theta: _, rope_scaling: __, ...content }) => ({
			...content,
			rope_parameters: { rope_type: "linear", factor: 2, rope_theta: 500_000 },
		}));
		expect(source.config.rope).toEqual({
			layout: "half",
			theta: 500_000,
			scaling: { type: "linear", factor: 2 },
		});
	});

	test("files that are not there", async () => {
		await expect(changed("config.json", () => undefined)).rejects.toThrow(ModelNotFoundError);
		await expect(changed("tokenizer.json", () => undefined)).rejects.toThrow(TokenizerError);
		const { files } = await tinyHubModel({ parts: 2 });
		files.delete("model-2-of-2.safetensors");
		await expect(openHuggingFace(picked(files))).rejects.toThrow(/no model-2-of-2/);
		files.delete("model.safetensors.index.json");
		await expect(openHuggingFace(picked(files))).rejects.toThrow(ModelNotFoundError);
	});

	test.each<[string, (map: Record<string, unknown>) => unknown, RegExp]>([
		["leads out of the folder", () => ({ a: "../../etc/passwd" }), /no name of a file/],
		["leads to another server", () => ({ a: "http://127.0.0.1/x" }), /no name of a file/],
		["is no map", () => 7, /no weight_map/],
		["names no file", () => ({ a: 7 }), /names no file/],
		[
			"puts a tensor elsewhere",
			(map) => ({ ...map, "model.norm.weight": "model-1-of-2.safetensors" }),
			/elsewhere/,
		],
	])("an index that %s", async (_, change, message) => {
		const opened = changed(
			"model.safetensors.index.json",
			(content) => ({ weight_map: change(content.weight_map as Record<string, unknown>) }),
			{ parts: 2 },
		);
		await expect(opened).rejects.toThrow(message);
	});

	type Content = { model: { vocab: Record<string, unknown> }; added_tokens: unknown };
	const words =
		(change: (vocab: Record<string, unknown>) => Record<string, unknown>) => (content: Content) => ({
			...content,
			model: { ...content.model, vocab: change(content.model.vocab) },
		});
	test.each<[string, (content: Content) => unknown]>([
		["no model", ({ model: _, ...content }) => content],
		["no vocabulary", words(() => ({}))],
		["a hole", words((vocab) => Object.fromEntries(Object.entries(vocab).filter(([, id]) => id !== 300)))],
		["one id twice", words((vocab) => ({ ...vocab, surely: 300 }))],
		["an id outside the model", words((vocab) => ({ ...vocab, surely: 100_000 }))],
		["an id that is none", words((vocab) => ({ ...vocab, surely: -1.5 }))],
		["added tokens that are none", (content) => ({ ...content, added_tokens: [7] })],
	])("a vocabulary with %s", async (_, change) => {
		const opened = changed("tokenizer.json", (content) => change(content as unknown as Content));
		await expect(opened).rejects.toThrow(TokenizerError);
	});

	test("an end outside the vocabulary, an endless template, JSON that is none", async () => {
		await expect(changed("generation_config.json", () => ({ eos_token_id: 1e9 }))).rejects.toThrow(
			TokenizerError,
		);
		await expect(
			changed("tokenizer_config.json", () => ({ chat_template: "x".repeat(65_537) })),
		).rejects.toThrow(TokenizerError);
		await expect(changed("config.json", () => [])).rejects.toThrow(ModelFileError);
		await expect(changed("generation_config.json", () => "text")).rejects.toThrow(ModelFileError);
	});
});
