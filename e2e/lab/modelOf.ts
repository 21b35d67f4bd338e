import type { ModelRef } from "@tabmesh/model";
import type { Manifest } from "@tabmesh/wire";

/** The shape of a model for planning: sizes only, no weights. */
export interface ModelShape {
	readonly name: string;
	readonly layers: number;
	readonly hidden: number;
	readonly feedForward: number;
	readonly heads: number;
	readonly keyValueHeads: number;
	readonly vocabulary: number;
	readonly context: number;
}

/** A model of that shape as the planner sees it; `id` tells it from others of the same shape. */
export function modelOf(shape: ModelShape, id = shape.name): ModelRef {
	const { layers, hidden, feedForward, heads, keyValueHeads, vocabulary, context } = shape;
	const headSize = hidden / heads;
	const layerWeights = hidden * (2 * hidden + 2 * keyValueHeads * headSize + 3 * feedForward);
	const names = ["embed", ...Array.from({ length: layers }, (_, i) => `layer.${i}`), "head"];
	const tensor = (name: string) => {
		const columns = name.startsWith("layer") ? layerWeights / hidden : vocabulary;
		return { name, type: "F16", shape: [columns, hidden], bytes: 2 * columns * hidden, chunks: [] };
	};
	const manifest = {
		format: "tabmesh-model/1",
		config: {
			architecture: "llama",
			layers,
			hiddenSize: hidden,
			feedForwardSize: feedForward,
			heads,
			keyValueHeads,
			headSize,
			vocabularySize: vocabulary,
			contextLength: context,
			normEpsilon: 1e-5,
			rope: { layout: "half", theta: 10_000 },
			tiedHead: false,
		},
		boundary: "f16",
		tokenizer: { eos: [] },
		tensors: names.map(tensor),
		parts: names.map((name) => ({ name, tensors: [name] })),
	} satisfies Record<keyof Manifest, unknown>;
	return { id, manifest: manifest as unknown as Manifest };
}

const vocabulary = 32_000;
const context = 2048;

/** Models that people run, by the sizes that their publishers give; small vocabularies, since a head is kept in float32. */
export const shapes = {
	tinyLlama: {
		name: "tinyllama-1b",
		layers: 22,
		hidden: 2048,
		feedForward: 5632,
		heads: 32,
		keyValueHeads: 4,
		vocabulary,
		context,
	},
	openLlama3b: {
		name: "open-llama-3b",
		layers: 26,
		hidden: 3200,
		feedForward: 8640,
		heads: 32,
		keyValueHeads: 32,
		vocabulary,
		context,
	},
	mistral7b: {
		name: "mistral-7b",
		layers: 32,
		hidden: 4096,
		feedForward: 14_336,
		heads: 32,
		keyValueHeads: 8,
		vocabulary,
		context,
	},
	llama13b: {
		name: "llama-2-13b",
		layers: 40,
		hidden: 5120,
		feedForward: 13_824,
		heads: 40,
		keyValueHeads: 40,
		vocabulary,
		context,
	},
} satisfies Record<string, ModelShape>;
