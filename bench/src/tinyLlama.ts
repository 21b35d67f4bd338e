import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fetchCatalogModel } from "@tabmesh/model/node";

/** A chat prompt of 24 tokens that is answered with 25. */
export const prompt = {
	text: "<|user|>\nWrite one sentence about the sea.</s>\n<|assistant|>\n",
	tokens: [
		1, 529, 29989, 1792, 29989, 29958, 13, 6113, 697, 10541, 1048, 278, 7205, 29889, 2, 29871, 13, 29966,
		29989, 465, 22137, 29989, 29958, 13,
	],
} as const;

/** Path of the GGUF that the benches run: `BENCH_TINYLLAMA`, or the catalogue's, from the cache that the CLI keeps. */
export async function tinyLlamaFile(): Promise<string> {
	const given = process.env.BENCH_TINYLLAMA;
	if (given !== undefined) return given;
	const cacheDir = join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models");
	const folder = await fetchCatalogModel("tinyllama-1.1b-chat", { cacheDir });
	const gguf = (await readdir(folder)).find((name) => name.endsWith(".gguf"));
	if (gguf === undefined) throw new Error(`${folder} holds no GGUF.`);
	return join(folder, gguf);
}
