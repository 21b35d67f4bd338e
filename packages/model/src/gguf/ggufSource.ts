import { type ModelConfig, ModelFileError } from "@tabmesh/wire";
import { embeddingName, headName, tokenizerName } from "../format/llamaTensors.ts";
import type { ModelSource, SourceTensor } from "../format/modelSource.ts";
import { memoryFile, type SourceFile } from "../format/sourceFile.ts";
import { matchTensors } from "../huggingface/architectureTensors.ts";
import { dequantise } from "./dequantise/dequantise.ts";
import { ggufConfig } from "./ggufConfig.ts";
import { huggingFaceName, ropeFactorsName } from "./ggufTensorNames.ts";
import { ggufTokenizer } from "./ggufTokenizer.ts";
import { type GgufParts, readGgufParts } from "./splitGguf.ts";

/** One factor for each pair of a head. */
const maxRopeFactors = 4096;

/**
 * Opens a model in GGUF: its headers are read and checked, its weights stay where they are.
 *
 * @param files - every part of the model, in any order
 * @throws ModelFileError when a file is broken or not of a model that Tabmesh runs, TokenizerError for its vocabulary, and what
 * reading throws
 * @example
 * ```ts
 * import { openGguf, openHttpFile, publishModel } from "@tabmesh/model";
 * const source = await openGguf([await openHttpFile("http://127.0.0.1:8080/model.gguf")]);
 * const { id } = await publishModel(source);
 * ```
 */
export async function openGguf(
	files: readonly SourceFile[],
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const parts = await readGgufParts(files, options.signal);
	const name = parts.files[0]!.name;
	const ropeFactors = await readRopeFactors(parts, options.signal);
	const found = new Map<string, SourceTensor>();
	for (const tensor of parts.tensors) {
		if (tensor.name === ropeFactorsName) continue;
		const hubName = huggingFaceName(tensor.name);
		if (found.has(hubName)) throw new ModelFileError(`${name} has the tensor ${tensor.name} twice.`);
		found.set(hubName, {
			name: hubName,
			type: tensor.type,
			shape: tensor.shape,
			ranges: [[tensor.file, tensor.offset, tensor.bytes]],
		});
	}
	const vocabularySize = found.get(embeddingName)?.shape[0] ?? 0;
	const config: ModelConfig = ggufConfig(
		parts.metadata,
		{ vocabularySize, hasHead: found.has(headName), ...(ropeFactors ? { ropeFactors } : {}) },
		name,
	);
	const tensors = matchTensors(config, found, name);
	const { json, tokenizer } = ggufTokenizer(parts.metadata, vocabularySize);
	const content = new TextEncoder().encode(JSON.stringify(json));
	return {
		config,
		boundary: "f16",
		tokenizer,
		files: [...parts.files, memoryFile(tokenizerName, content)],
		derived: [{ name: tokenizerName, content }],
		tensors: [
			...tensors,
			{
				name: tokenizerName,
				type: "BLOB",
				shape: [content.byteLength],
				ranges: [[parts.files.length, 0, content.byteLength]],
			},
		],
	};
}

async function readRopeFactors(
	parts: GgufParts,
	signal: AbortSignal | undefined,
): Promise<Float32Array | undefined> {
	const tensor = parts.tensors.find(({ name }) => name === ropeFactorsName);
	if (!tensor) return undefined;
	const [count = 0, ...rest] = tensor.shape;
	if (tensor.type !== "F32" || rest.length > 0 || count > maxRopeFactors) {
		throw new ModelFileError(
			`${ropeFactorsName} is ${tensor.type} ${tensor.shape.join(" × ")} instead of a few F32.`,
		);
	}
	const factors = new Float32Array(count);
	dequantise("F32", await parts.files[tensor.file]!.read(tensor.offset, tensor.bytes, signal), factors);
	return factors;
}
