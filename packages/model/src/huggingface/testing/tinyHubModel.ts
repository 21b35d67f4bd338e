import { memoryFile } from "../../format/sourceFile.ts";
import type { WeightType } from "../../gguf/blockLayout.ts";
import { dequantise } from "../../gguf/dequantise/dequantise.ts";
import { openGguf } from "../../gguf/ggufSource.ts";
import { type TinyGgufOptions, tinyGgufFile } from "../../gguf/testing/tinyGguf.ts";
import type { SafetensorsType } from "../safetensorsHeader.ts";
import { type WrittenTensor, writeSafetensors } from "./writeSafetensors.ts";

/** For tests: a tiny GGUF model, and the files that the same model has on a hub. */
export interface TinyHubModel {
	readonly gguf: Uint8Array<ArrayBuffer>;
	readonly files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** @param options.parts - how many safetensors files; above one they have an index */
export async function tinyHubModel(
	options: TinyGgufOptions & { stored?: SafetensorsType; parts?: number } = {},
): Promise<TinyHubModel> {
	const { stored = "F32", parts = 1 } = options;
	const gguf = tinyGgufFile(options);
	const source = await openGguf([memoryFile("tiny.gguf", gguf)]);
	const { config } = source;
	const tensors: WrittenTensor[] = [];
	for (const { name, type, shape, ranges } of source.tensors) {
		if (type === "BLOB") continue;
		const [[, offset, length]] = ranges as [[number, number, number]];
		let values = new Float32Array(shape.reduce((product, size) => product * size, 1));
		dequantise(type as WeightType, gguf.subarray(offset, offset + length), values);
		if (config.rope.layout === "interleaved" && /[qk]_proj\.weight$/.test(name)) {
			values = halved(values, config.headSize, shape[1]!);
		}
		tensors.push({ name, shape, values });
	}
	const files = new Map<string, Uint8Array<ArrayBuffer>>();
	const json = (name: string, content: unknown) =>
		files.set(name, new TextEncoder().encode(JSON.stringify(content)));
	const perPart = Math.ceil(tensors.length / parts);
	const weightMap: Record<string, string> = {};
	for (let part = 0; part < parts; part++) {
		const name = parts === 1 ? "model.safetensors" : `model-${part + 1}-of-${parts}.safetensors`;
		const some = tensors.slice(part * perPart, (part + 1) * perPart);
		files.set(name, writeSafetensors(some, stored));
		for (const tensor of some) weightMap[tensor.name] = name;
	}
	if (parts > 1) json("model.safetensors.index.json", { metadata: {}, weight_map: weightMap });
	json("config.json", {
		model_type: config.architecture,
		hidden_act: "silu",
		num_hidden_layers: config.layers,
		hidden_size: config.hiddenSize,
		intermediate_size: config.feedForwardSize,
		num_attention_heads: config.heads,
		num_key_value_heads: config.keyValueHeads,
		head_dim: config.headSize,
		vocab_size: config.vocabularySize,
		max_position_embeddings: config.contextLength,
		rms_norm_eps: config.normEpsilon,
		rope_theta: config.rope.theta,
		rope_scaling: config.rope.scaling
			? {
					rope_type: config.rope.scaling.type,
					factor: config.rope.scaling.factor,
					low_freq_factor: config.rope.scaling.lowFrequencyFactor,
					high_freq_factor: config.rope.scaling.highFrequencyFactor,
					original_max_position_embeddings: config.rope.scaling.originalContext,
				}
			: null,
		tie_word_embeddings: config.tiedHead,
		eos_token_id: source.tokenizer.eos[0],
	});
	files.set("tokenizer.json", source.derived[0]!.content);
	json("tokenizer_config.json", {
		add_bos_token: source.tokenizer.bos !== undefined,
		bos_token: "<s>",
		eos_token: { content: "</s>" },
		chat_template: [
			{ name: "tool_use", template: "tools" },
			{ name: "default", template: "{{ messages[0].content }}" },
		],
	});
	json("generation_config.json", { eos_token_id: [...source.tokenizer.eos, 7] });
	return { gguf, files };
}

/** The rows of each head from interleaved pairs to halves: what llama.cpp's converter did, undone. */
function halved(
	values: Float32Array<ArrayBuffer>,
	headSize: number,
	columns: number,
): Float32Array<ArrayBuffer> {
	const out = new Float32Array(values.length);
	for (let row = 0; row < values.length / columns; row++) {
		const head = row - (row % headSize);
		const within = row % headSize;
		const to = head + (within >>> 1) + (within % 2 === 0 ? 0 : headSize / 2);
		out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
	}
	return out;
}
