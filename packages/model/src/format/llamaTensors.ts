import type { ModelConfig, Part, Span } from "@tabmesh/wire";

/** One tensor that an architecture has. */
export interface ExpectedTensor {
	readonly name: string;
	readonly shape: readonly number[];
}

/** The tensors of one part of a model. */
export interface ExpectedPart {
	readonly name: string;
	readonly tensors: readonly ExpectedTensor[];
}

export const embeddingName = "model.embed_tokens.weight";
export const finalNormName = "model.norm.weight";
export const headName = "lm_head.weight";
export const tokenizerName = "tokenizer.json";

/** The tensor names of layer `layer`, as Hugging Face has them. */
export function layerTensorNames(layer: number) {
	const prefix = `model.layers.${layer}`;
	return {
		inputNorm: `${prefix}.input_layernorm.weight`,
		query: `${prefix}.self_attn.q_proj.weight`,
		key: `${prefix}.self_attn.k_proj.weight`,
		value: `${prefix}.self_attn.v_proj.weight`,
		/** qwen2 only. */
		queryBias: `${prefix}.self_attn.q_proj.bias`,
		keyBias: `${prefix}.self_attn.k_proj.bias`,
		valueBias: `${prefix}.self_attn.v_proj.bias`,
		/** qwen3 only. */
		queryNorm: `${prefix}.self_attn.q_norm.weight`,
		keyNorm: `${prefix}.self_attn.k_norm.weight`,
		output: `${prefix}.self_attn.o_proj.weight`,
		postNorm: `${prefix}.post_attention_layernorm.weight`,
		gate: `${prefix}.mlp.gate_proj.weight`,
		up: `${prefix}.mlp.up_proj.weight`,
		down: `${prefix}.mlp.down_proj.weight`,
	} as const;
}

/** What each architecture has in a layer besides the tensors of a llama. */
const extras: Readonly<
	Record<ModelConfig["architecture"], (config: ModelConfig, layer: number) => ExpectedTensor[]>
> = {
	llama: () => [],
	qwen2: ({ heads, keyValueHeads, headSize }, layer) => {
		const names = layerTensorNames(layer);
		return [
			{ name: names.queryBias, shape: [heads * headSize] },
			{ name: names.keyBias, shape: [keyValueHeads * headSize] },
			{ name: names.valueBias, shape: [keyValueHeads * headSize] },
		];
	},
	qwen3: ({ headSize }, layer) => {
		const names = layerTensorNames(layer);
		return [
			{ name: names.queryNorm, shape: [headSize] },
			{ name: names.keyNorm, shape: [headSize] },
		];
	},
};

/** Every weight that a model of this configuration has, part by part in the order of the trip of a token; the tokenizer is not among them. */
export function expectedParts(config: ModelConfig): ExpectedPart[] {
	const { hiddenSize, feedForwardSize, vocabularySize, heads, keyValueHeads, headSize } = config;
	const embedding = { name: embeddingName, shape: [vocabularySize, hiddenSize] };
	const layers = Array.from({ length: config.layers }, (_, layer): ExpectedPart => {
		const names = layerTensorNames(layer);
		return {
			name: `layer.${layer}`,
			tensors: [
				{ name: names.inputNorm, shape: [hiddenSize] },
				{ name: names.query, shape: [heads * headSize, hiddenSize] },
				{ name: names.key, shape: [keyValueHeads * headSize, hiddenSize] },
				{ name: names.value, shape: [keyValueHeads * headSize, hiddenSize] },
				{ name: names.output, shape: [hiddenSize, heads * headSize] },
				{ name: names.postNorm, shape: [hiddenSize] },
				{ name: names.gate, shape: [feedForwardSize, hiddenSize] },
				{ name: names.up, shape: [feedForwardSize, hiddenSize] },
				{ name: names.down, shape: [hiddenSize, feedForwardSize] },
				...extras[config.architecture](config, layer),
			],
		};
	});
	const head = config.tiedHead ? embedding : { name: headName, shape: [vocabularySize, hiddenSize] };
	return [
		{ name: "embed", tensors: [embedding] },
		...layers,
		{ name: "head", tensors: [{ name: finalNormName, shape: [hiddenSize] }, head] },
	];
}

/** Names of the parts that a span is made of. */
export function partsOfSpan(span: Span): Part["name"][] {
	const layers = Array.from({ length: span.to - span.from }, (_, i) => `layer.${span.from + i}`);
	return [...(span.embed ? ["embed"] : []), ...layers, ...(span.head ? ["head"] : [])];
}
