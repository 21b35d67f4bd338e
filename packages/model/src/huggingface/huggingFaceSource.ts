import { limits, ModelFileError, ModelNotFoundError } from "@tabmesh/wire";
import type { SourceFolder } from "../bytes/sourceFolder.ts";
import { headName, tokenizerName } from "../format/llamaTensors.ts";
import type { ModelSource, SourceTensor } from "../format/modelSource.ts";
import type { SourceFile } from "../format/sourceFile.ts";
import { matchTensors } from "./architectureTensors.ts";
import { huggingFaceConfig } from "./huggingFaceConfig.ts";
import { huggingFaceTokenizer } from "./huggingFaceTokenizer.ts";
import { readJsonFile } from "./jsonFile.ts";
import { readSafetensorsHeader } from "./safetensorsHeader.ts";

const configName = "config.json";
const weightsName = "model.safetensors";
const indexName = "model.safetensors.index.json";
const maxConfigBytes = 1024 * 1024;
/** About 80 bytes for each tensor. */
const maxIndexBytes = 16 * 1024 * 1024;
/** The largest models in use have some 200 files; an origin lists at most 1024. */
const maxFiles = 1000;

/**
 * Opens a model as Hugging Face has them: `config.json`, `model.safetensors` (or several files and their index),
 * `tokenizer.json`, `tokenizer_config.json`, `generation_config.json`. Headers are read and checked, weights stay where they are.
 *
 * @throws ModelNotFoundError when the folder holds no such model, ModelFileError when a file is broken or of a model that Tabmesh
 * does not run, TokenizerError, and what reading throws
 * @example
 * ```ts
 * import { httpFolder, openHuggingFace, publishModel } from "@tabmesh/model";
 * const source = await openHuggingFace(httpFolder("http://127.0.0.1:8080/owner/model/resolve/main/"));
 * const { id } = await publishModel(source);
 * ```
 */
export async function openHuggingFace(
	folder: SourceFolder,
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const { signal } = options;
	const configFile = await folder.open(configName, signal);
	if (!configFile) {
		throw new ModelNotFoundError(`${folder.name} has no config.json, so no model of Hugging Face is there.`, {
			metaMessages: ["Give the folder of the model, or the path of a .gguf file."],
		});
	}
	const json = await readJsonFile(configFile, maxConfigBytes, signal);
	const config = huggingFaceConfig(json);
	const { files, placed } = await openWeights(folder, signal);
	const found = new Map<string, SourceTensor>();
	for (const [index, file] of files.entries()) {
		for (const { name, type, shape, offset, bytes } of await readSafetensorsHeader(file, signal)) {
			// Tables that old checkpoints carry along, and a head that a tied model does not use.
			if (name.endsWith(".rotary_emb.inv_freq") || (config.tiedHead && name === headName)) continue;
			if (found.has(name))
				throw new ModelFileError(`${file.name} has ${name.slice(0, 64)}, as a file before it has.`);
			if (placed && placed.get(name) !== file.name) {
				throw new ModelFileError(`${file.name} has ${name.slice(0, 64)}, which ${indexName} puts elsewhere.`);
			}
			found.set(name, { name, type, shape, ranges: [[index, offset, bytes]] });
		}
	}
	const tensors = matchTensors(config, found, folder.name);
	const { file, tokenizer } = await huggingFaceTokenizer(folder, json, config.vocabularySize, signal);
	return {
		config,
		boundary: "f16",
		tokenizer,
		files: [...files, file],
		derived: [],
		tensors: [
			...tensors,
			{ name: tokenizerName, type: "BLOB", shape: [file.bytes], ranges: [[files.length, 0, file.bytes]] },
		],
	};
}

/** The files with the weights, and which tensor the index puts into which. */
async function openWeights(
	folder: SourceFolder,
	signal: AbortSignal | undefined,
): Promise<{ files: SourceFile[]; placed?: Map<string, string> }> {
	const indexFile = await folder.open(indexName, signal);
	if (!indexFile) {
		const file = await folder.open(weightsName, signal);
		if (file) return { files: [file] };
		throw new ModelNotFoundError(`${folder.name} has neither ${weightsName} nor ${indexName}.`, {
			metaMessages: ["Tabmesh reads .safetensors and .gguf; convert PyTorch .bin files first."],
		});
	}
	const { weight_map: map } = await readJsonFile(indexFile, maxIndexBytes, signal);
	if (typeof map !== "object" || map === null) throw new ModelFileError(`${indexName} has no weight_map.`);
	const placed = new Map<string, string>();
	for (const [tensor, name] of Object.entries(map)) {
		if (typeof name !== "string")
			throw new ModelFileError(`${indexName} names no file for ${tensor.slice(0, 64)}.`);
		placed.set(tensor, name);
	}
	// Sorted, so that the same model has the same list whatever the order of its index.
	const names = [...new Set(placed.values())].sort();
	if (placed.size > limits.layers * 32 || names.length > maxFiles) {
		throw new ModelFileError(`${indexName} lists ${placed.size} tensors in ${names.length} files.`);
	}
	const files: SourceFile[] = [];
	for (const name of names) {
		const file = await folder.open(name, signal);
		if (!file) throw new ModelFileError(`${folder.name} has no ${name}, which ${indexName} names.`);
		files.push(file);
	}
	return { files, placed };
}
