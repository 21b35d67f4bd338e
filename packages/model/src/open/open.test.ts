import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelFileError, ModelNotFoundError, ModelSourceError } from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../gguf/testing/temporaryFolder.ts";
import { type HubServer, startHubServer } from "../huggingface/testing/hubServer.ts";
import { type TinyHubModel, tinyHubModel } from "../huggingface/testing/tinyHubModel.ts";
import { publishModel } from "../manifest/publishModel.ts";
import { seededModelFiles } from "../testing/seededModel.ts";
import { openModelFiles } from "./openModelFiles.ts";
import { openModelPath } from "./openModelPath.ts";
import { openModelUrl } from "./openModelUrl.ts";

let model: TinyHubModel;
let hub: HubServer;
let ids: { gguf: string; safetensors: string };
const picked = (files: Iterable<[string, Uint8Array<ArrayBuffer>]>) =>
	[...files].map(([name, content]) => new File([content], name));

beforeAll(async () => {
	model = await tinyHubModel({ parts: 2 });
	hub = await startHubServer(new Map([...model.files, ["tiny.gguf", model.gguf]]));
	const idOf = async (files: File[]) => (await publishModel(await openModelFiles(files))).id;
	ids = {
		gguf: await idOf(picked([["tiny.gguf", model.gguf]])),
		safetensors: await idOf(picked(model.files)),
	};
});
afterAll(() => hub[Symbol.asyncDispose]());

describe("an address of any kind leads to the model", () => {
	const root = (): string => new URL("/", hub.url).href;
	test.each<[string, () => string, "gguf" | "safetensors"]>([
		["a file", () => `${hub.url}tiny.gguf`, "gguf"],
		["the page of a file", () => `${root()}owner/model/blob/main/tiny.gguf`, "gguf"],
		["a file by its short name", () => "hf:owner/model/tiny.gguf", "gguf"],
		["a folder", () => hub.url, "safetensors"],
		["a folder without its last slash", () => hub.url.slice(0, -1), "safetensors"],
		["the page of a folder", () => `${root()}owner/model/tree/main`, "safetensors"],
		["the page of the model", () => `${root()}owner/model`, "safetensors"],
		["one of its files", () => `${hub.url}config.json`, "safetensors"],
		["a short name", () => "hf:owner/model", "safetensors"],
		["a short name with its revision", () => "hf:owner/model@main", "safetensors"],
	])("%s", async (_, reference, kind) => {
		const { source, baseUrl } = await openModelUrl(reference(), { hub: root(), pauseMs: 1 });
		expect((await publishModel(source)).id).toBe(ids[kind]);
		expect(baseUrl).toBe(hub.url);
	});

	test("or to an error that says what is wrong with it", async () => {
		const options = { hub: root(), pauseMs: 1 };
		await expect(openModelUrl("hf:owner/model/other.gguf", options)).rejects.toThrow(ModelNotFoundError);
		await expect(openModelUrl("hf:owner/other", options)).rejects.toThrow(ModelNotFoundError);
		await expect(openModelUrl(`${root()}nothing`, options)).rejects.toThrow(ModelNotFoundError);
		await expect(openModelUrl("model.gguf", options)).rejects.toThrow(ModelSourceError);
		await expect(openModelUrl("file:///model.gguf", options)).rejects.toThrow(ModelSourceError);
		await expect(openModelUrl("hf:../..", options)).rejects.toThrow(ModelNotFoundError);
	});
});

test("a path of any kind leads to the model", async () => {
	await using folder = await temporaryFolder();
	const write = async (name: string, files: Iterable<[string, Uint8Array]>) => {
		const path = join(folder.path, name);
		await mkdir(path);
		for (const [file, content] of files) await writeFile(join(path, file), content);
		return path;
	};
	const gguf = await write("gguf", [["tiny.gguf", model.gguf]]);
	const safetensors = await write("safetensors", model.files);
	const { model: weights, tokenizer } = seededModelFiles();
	const llama2c = await write("llama2c", [
		["model.bin", weights],
		["tokenizer.bin", tokenizer],
	]);
	const two = await write("two", [
		["a.gguf", model.gguf],
		["b.gguf", model.gguf],
	]);
	const idOf = async (path: string) => (await publishModel(await openModelPath(path))).id;
	expect(await idOf(gguf)).toBe(ids.gguf);
	expect(await idOf(join(gguf, "tiny.gguf"))).toBe(ids.gguf);
	expect(await idOf(safetensors)).toBe(ids.safetensors);
	expect(await idOf(join(safetensors, "config.json"))).toBe(ids.safetensors);
	expect(await idOf(llama2c)).toBe(await idOf(join(llama2c, "model.bin")));
	await expect(openModelPath(two)).rejects.toThrow(/2 models/);
	await expect(openModelPath(folder.path)).rejects.toThrow(/no model in/);
	await expect(openModelPath(join(folder.path, "nothing"))).rejects.toThrow(ModelNotFoundError);
});

test("picked files are a model, or an error that says what to pick", async () => {
	const { model: weights, tokenizer } = seededModelFiles();
	const source = await openModelFiles(
		picked([
			["model.bin", weights],
			["tokenizer.bin", tokenizer],
		]),
	);
	expect(source.config.architecture).toBe("llama");
	await expect(openModelFiles(picked([["model.bin", weights]]))).rejects.toThrow(/\.gguf/);
	await expect(openModelFiles(picked([["x.gguf", weights]]))).rejects.toThrow(ModelFileError);
});
