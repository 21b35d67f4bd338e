import { ModelFileError } from "@tabmesh/wire";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { publishModel, readSourceTensor } from "../manifest/publishModel.ts";
import { seededModelFiles } from "../testing/seededModel.ts";
import { openLlama2c } from "./llama2cSource.ts";
import { memoryFile } from "./sourceFile.ts";

const { model, tokenizer } = seededModelFiles({ layers: 2 });

function open(modelBytes: Uint8Array = model, tokenizerBytes: Uint8Array = tokenizer) {
	return openLlama2c({
		model: memoryFile("model.bin", modelBytes),
		tokenizer: memoryFile("tokenizer.bin", tokenizerBytes),
	});
}

/** The model with int32 `index` of its header replaced. */
function withHeader(index: number, value: number): Uint8Array {
	const changed = model.slice();
	new DataView(changed.buffer).setInt32(4 * index, value, true);
	return changed;
}

describe("openLlama2c", () => {
	test("reads configuration and tensors, with bytes where the file has them", async () => {
		const source = await open();
		expect(source.config).toEqual({
			architecture: "llama",
			layers: 2,
			hiddenSize: 64,
			feedForwardSize: 96,
			heads: 4,
			keyValueHeads: 2,
			headSize: 16,
			vocabularySize: 512,
			contextLength: 128,
			normEpsilon: 1e-5,
			rope: { layout: "interleaved", theta: 10_000 },
			tiedHead: true,
		});
		expect(source.tensors.map(({ name }) => name)).toContain("model.layers.1.mlp.down_proj.weight");
		// The second layer's key projection: behind embedding, norms, queries and the first layer's keys.
		const key = source.tensors.find(({ name }) => name === "model.layers.1.self_attn.k_proj.weight")!;
		const offset = 28 + 4 * (512 * 64 + 2 * 64 + 2 * 64 * 64 + 32 * 64);
		expect(key).toMatchObject({ shape: [32, 64], ranges: [[0, offset, 4 * 32 * 64]] });
		const bytes = await readSourceTensor(source, key, { offset: 0, length: 8 });
		expect(bytes).toEqual(model.slice(offset, offset + 8));
	});

	test("a head with weights of its own is the last tensor of the file", async () => {
		const untied = seededModelFiles({ layers: 2, tiedHead: false });
		const source = await open(untied.model, untied.tokenizer);
		expect(source.config.tiedHead).toBe(false);
		const head = source.tensors.find(({ name }) => name === "lm_head.weight")!;
		expect(head.ranges).toEqual([[0, untied.model.byteLength - 4 * 512 * 64, 4 * 512 * 64]]);
		await publishModel(source);
	});

	test.each([
		["an empty file", new Uint8Array(0)],
		["a header without weights", model.slice(0, 28)],
		["a file that is cut short by one byte", model.slice(0, -1)],
		["a file with one byte too many", new Uint8Array(model.byteLength + 1)],
		["a GGUF", new TextEncoder().encode("GGUF\u0003\0\0\0".padEnd(64, "\0"))],
		["a hidden size of nothing", withHeader(0, 0)],
		["a hidden size that no machine has memory for", withHeader(0, 2 ** 31 - 1)],
		["a negative number of layers", withHeader(2, -1)],
		["more layers than there are", withHeader(2, 3)],
		["a billion layers", withHeader(2, 1e9)],
		["heads that do not divide the hidden size", withHeader(3, 5)],
		["more key-value heads than heads", withHeader(4, 8)],
		["key-value heads that do not divide the heads", withHeader(4, 3)],
		["no vocabulary", withHeader(5, 0)],
		["the smallest int32 as vocabulary", withHeader(5, -(2 ** 31))],
		["no context", withHeader(6, 0)],
		["an endless context", withHeader(6, 2 ** 31 - 1)],
	])("%s is a typed error", async (_what, bytes) => {
		await expect(open(bytes)).rejects.toThrow(ModelFileError);
	});

	test("any header is a model or a typed error", async () => {
		const int32 = fc.oneof(
			fc.integer({ min: -8, max: 600 }),
			fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
		);
		const numRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
		await fc.assert(
			fc.asyncProperty(
				fc.array(int32, { minLength: 7, maxLength: 7 }),
				fc.nat(4096),
				async (header, bytes) => {
					const file = new Uint8Array(28 + bytes);
					for (const [i, value] of header.entries()) new DataView(file.buffer).setInt32(4 * i, value, true);
					await expect(open(file)).rejects.toThrow(ModelFileError);
				},
			),
			{ numRuns },
		);
	});
});

describe("the llama2.c tokenizer", () => {
	test("becomes the same tokenizer.json every time", async () => {
		const [first, second] = [await open(), await open()];
		expect(second.derived[0]!.content).toEqual(first.derived[0]!.content);
	});

	test("bytes, special tokens and spaces have the names that Hugging Face gives them", async () => {
		const json = JSON.parse(new TextDecoder().decode((await open()).derived[0]!.content));
		expect(json.model.vocab).toMatchObject({
			"<unk>": 0,
			"<s>": 1,
			"</s>": 2,
			"<0x00>": 3,
			"<0xFF>": 258,
			"▁": 259,
		});
	});

	test("merges put pieces together that exist, best score first, and never a special token", async () => {
		const json = JSON.parse(new TextDecoder().decode((await open()).derived[0]!.content));
		const ranks = (json.model.merges as [string, string][]).map(([left, right]) => {
			expect(json.model.vocab[left]).toBeGreaterThanOrEqual(259);
			expect(json.model.vocab[right]).toBeGreaterThanOrEqual(259);
			return json.model.vocab[left + right] as number;
		});
		expect(ranks.length).toBeGreaterThan(0);
		expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
	});

	test.each([
		["an empty file", new Uint8Array(0)],
		["a file that is cut short", tokenizer.slice(0, -1)],
		["a file with something behind it", Uint8Array.of(...tokenizer, 0)],
		["a vocabulary of another model", seededModelFiles({ vocabulary: 400 }).tokenizer],
	])("%s is a typed error", async (_what, bytes) => {
		await expect(open(model, bytes)).rejects.toThrow(ModelFileError);
	});

	test("any damage is a tokenizer or a typed error", async () => {
		await fc.assert(
			fc.asyncProperty(fc.nat(tokenizer.byteLength - 1), fc.nat(255), async (at, value) => {
				const damaged = tokenizer.slice();
				damaged[at] = value;
				await open(model, damaged).catch((error) => expect(error).toBeInstanceOf(ModelFileError));
			}),
			{ numRuns: 500 },
		);
	});
});
