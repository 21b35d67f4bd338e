import { limits, type ModelConfig, ModelFileError } from "@tabmesh/wire";
import { readLlama2cTokenizer } from "../tokenizer/llama2cTokenizer.ts";
import { embeddingName, finalNormName, headName, layerTensorNames, tokenizerName } from "./llamaTensors.ts";
import type { ModelSource, SourceTensor } from "./modelSource.ts";
import { memoryFile, type SourceFile } from "./sourceFile.ts";

/** Seven int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len. */
const headerBytes = 28;
/** Larger tokenizer files are foreign: Llama 3's, with 128,256 entries, has 2.3 MB. */
const tokenizerMaxBytes = 64 * 1024 * 1024;
/** llama2.c has it as a constant in `rmsnorm`. */
const normEpsilon = 1e-5;
/** llama2.c's vocabularies are SentencePiece's: 0 unknown, 1 beginning, 2 end. Its stories end at BOS as well. */
const bos = 1;
const eos = 2;

/**
 * Reads a model of llama2.c's first format: `model.bin`, seven int32 and the weights in float32, and `tokenizer.bin`.
 *
 * A negative vocabulary size says that the head has weights of its own; two legacy tables of rotary frequencies in front of
 * it are skipped.
 *
 * @throws ModelFileError when a file is cut short, too long, or of another format
 * @see https://github.com/karpathy/llama2.c/blob/master/export.py `legacy_export`
 */
export async function openLlama2c(
	files: { model: SourceFile; tokenizer: SourceFile },
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const config = await readConfig(files.model, options.signal);
	const tensors = layOut(config, files.model);
	if (files.tokenizer.bytes > tokenizerMaxBytes) {
		throw new ModelFileError(`${files.tokenizer.name} is too large to be a llama2.c tokenizer.`, {
			details: { bytes: files.tokenizer.bytes },
		});
	}
	const vocabulary = await files.tokenizer.read(0, files.tokenizer.bytes, options.signal);
	const tokenizerJson = readLlama2cTokenizer(vocabulary, config.vocabularySize);
	return {
		config,
		boundary: "f16",
		tokenizer: { bos, eos: [bos, eos] },
		files: [files.model, memoryFile(tokenizerName, tokenizerJson)],
		derived: [{ name: tokenizerName, content: tokenizerJson }],
		tensors: [
			...tensors,
			{
				name: tokenizerName,
				type: "BLOB",
				shape: [tokenizerJson.byteLength],
				ranges: [[1, 0, tokenizerJson.byteLength]],
			},
		],
	};
}

async function readConfig(file: SourceFile, signal: AbortSignal | undefined): Promise<ModelConfig> {
	if (file.bytes < headerBytes) {
		throw new ModelFileError(`${file.name} has ${file.bytes} bytes: too few even for a llama2.c header.`);
	}
	const header = await file.read(0, headerBytes, signal);
	const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
	const [hiddenSize, feedForwardSize, layers, heads, keyValueHeads, signedVocabulary, contextLength] =
		Array.from({ length: 7 }, (_, i) => view.getInt32(4 * i, true)) as [
			number,
			number,
			number,
			number,
			number,
			number,
			number,
		];
	const vocabularySize = Math.abs(signedVocabulary);
	const wrong = (field: string, value: number): ModelFileError =>
		new ModelFileError(`${file.name} is not a llama2.c model: its header gives ${value} as ${field}.`, {
			metaMessages: ["Give the model.bin of the first llama2.c format, in float32."],
			details: { field, value },
		});
	const check = (field: string, value: number, most: number): void => {
		if (value < 1 || value > most) throw wrong(field, value);
	};
	check("the hidden size", hiddenSize, limits.tensorColumns);
	check("the feed-forward size", feedForwardSize, 2 ** 24);
	check("the number of layers", layers, limits.layers);
	check("the number of heads", heads, hiddenSize);
	check("the number of key-value heads", keyValueHeads, heads);
	check("the vocabulary size", vocabularySize, limits.vocabulary);
	check("the context length", contextLength, limits.contextTokens);
	if (hiddenSize % heads !== 0)
		throw wrong("the number of heads, which does not divide the hidden size,", heads);
	if ((hiddenSize / heads) % 2 !== 0) throw wrong("the head size", hiddenSize / heads);
	if (heads % keyValueHeads !== 0) throw wrong("the number of key-value heads", keyValueHeads);
	return {
		architecture: "llama",
		layers,
		hiddenSize,
		feedForwardSize,
		heads,
		keyValueHeads,
		headSize: hiddenSize / heads,
		vocabularySize,
		contextLength,
		normEpsilon,
		rope: { layout: "interleaved", theta: 10_000 },
		tiedHead: signedVocabulary > 0,
	};
}

/** Where each tensor lies, and that the file is exactly as long as its header promises. */
function layOut(config: ModelConfig, file: SourceFile): SourceTensor[] {
	const { hiddenSize, feedForwardSize, layers, vocabularySize, heads, keyValueHeads, headSize } = config;
	const tensors: SourceTensor[] = [];
	let offset = headerBytes;
	const take = (name: string, ...shape: number[]): void => {
		const length = shape.reduce((product, dimension) => product * dimension, 4);
		tensors.push({ name, type: "F32", shape, ranges: [[0, offset, length]] });
		offset += length;
	};
	const names = Array.from({ length: layers }, (_, layer) => layerTensorNames(layer));
	take(embeddingName, vocabularySize, hiddenSize);
	for (const layer of names) take(layer.inputNorm, hiddenSize);
	for (const layer of names) take(layer.query, heads * headSize, hiddenSize);
	for (const layer of names) take(layer.key, keyValueHeads * headSize, hiddenSize);
	for (const layer of names) take(layer.value, keyValueHeads * headSize, hiddenSize);
	for (const layer of names) take(layer.output, hiddenSize, heads * headSize);
	for (const layer of names) take(layer.postNorm, hiddenSize);
	for (const layer of names) take(layer.gate, feedForwardSize, hiddenSize);
	for (const layer of names) take(layer.down, hiddenSize, feedForwardSize);
	for (const layer of names) take(layer.up, feedForwardSize, hiddenSize);
	take(finalNormName, hiddenSize);
	offset += 2 * config.contextLength * (headSize / 2) * 4; // legacy: cosines and sines
	if (!config.tiedHead) take(headName, vocabularySize, hiddenSize);
	if (offset !== file.bytes) {
		const state = file.bytes < offset ? "cut short" : "too long";
		throw new ModelFileError(
			`${file.name} is ${state}, or not a llama2.c model: its header promises ${offset} bytes and it has ${file.bytes}.`,
			{ details: { bytes: file.bytes, expectedBytes: offset } },
		);
	}
	return tensors;
}
