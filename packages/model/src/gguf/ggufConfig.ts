import { type ModelConfig, ModelFileError, type Rope } from "@tabmesh/wire";
import { checkConfig } from "../huggingface/checkConfig.ts";
import type { GgufMetadata } from "./ggufMetadata.ts";
import { llama3Scaling } from "./ropeFactors.ts";

/** Which rotary layout each architecture has in GGUF: llama.cpp permutes the q and k of llamas so that pairs lie together. */
const layouts: Readonly<Record<ModelConfig["architecture"], Rope["layout"]>> = {
	llama: "interleaved",
	qwen2: "half",
	qwen3: "half",
};

/** What the configuration needs to know of the tensors. */
export interface TensorFacts {
	/** Rows of the embedding matrix; 0 where the file has none. */
	readonly vocabularySize: number;
	readonly hasHead: boolean;
	/** `rope_freqs.weight`, where the file has it. */
	readonly ropeFactors?: Float32Array;
}

/**
 * The configuration that a GGUF's metadata gives.
 *
 * @throws ModelFileError when the architecture, or a feature of it, is none that Tabmesh runs
 */
export function ggufConfig(metadata: GgufMetadata, facts: TensorFacts, file: string): ModelConfig {
	const architecture = metadata.string("general.architecture");
	if (!isSupported(architecture)) {
		throw new ModelFileError(
			`${file} is of the architecture ${JSON.stringify(architecture.slice(0, 64))}, which Tabmesh does not run.`,
			{
				metaMessages: [`It runs ${Object.keys(layouts).join(", ")}.`],
				details: { architecture: architecture.slice(0, 64) },
			},
		);
	}
	const key = (name: string): string => `${architecture}.${name}`;
	if ((metadata.optionalNumber(key("expert_count")) ?? 0) > 0) {
		throw new ModelFileError(`${file} is a mixture of experts, which Tabmesh does not run.`);
	}
	if (facts.vocabularySize === 0) throw new ModelFileError(`${file} has no token_embd.weight.`);
	const hiddenSize = metadata.count(key("embedding_length"));
	const heads = metadata.count(key("attention.head_count"));
	const headSize = metadata.optionalCount(key("attention.key_length")) ?? hiddenSize / heads;
	const valueSize = metadata.optionalCount(key("attention.value_length")) ?? headSize;
	const turned = metadata.optionalCount(key("rope.dimension_count")) ?? headSize;
	if (valueSize !== headSize || turned !== headSize) {
		throw new ModelFileError(
			`${file} has keys of ${headSize}, values of ${valueSize} and rotates ${turned}: Tabmesh runs only heads where all three are equal.`,
		);
	}
	const theta = metadata.optionalNumber(key("rope.freq_base")) ?? 10_000;
	const scaling = ropeScaling(metadata, key, theta, facts.ropeFactors, file);
	const config: ModelConfig = {
		architecture,
		layers: metadata.count(key("block_count")),
		hiddenSize,
		feedForwardSize: metadata.count(key("feed_forward_length")),
		heads,
		keyValueHeads: metadata.optionalCount(key("attention.head_count_kv")) ?? heads,
		headSize,
		vocabularySize: facts.vocabularySize,
		contextLength: contextLength(metadata, key),
		normEpsilon: decimal(metadata.number(key("attention.layer_norm_rms_epsilon"))),
		rope: { layout: layouts[architecture], theta, ...(scaling ? { scaling } : {}) },
		tiedHead: !facts.hasHead,
	};
	return checkConfig(config, file);
}

/** Where attention slides over a window, positions beyond it would be computed differently: the model ends there for us. */
function contextLength(metadata: GgufMetadata, key: (name: string) => string): number {
	const positions = metadata.count(key("context_length"));
	const window = metadata.optionalNumber(key("attention.sliding_window")) ?? 0;
	return window > 0 ? Math.min(positions, window) : positions;
}

function isSupported(architecture: string): architecture is ModelConfig["architecture"] {
	return Object.hasOwn(layouts, architecture);
}

function ropeScaling(
	metadata: GgufMetadata,
	key: (name: string) => string,
	theta: number,
	factors: Float32Array | undefined,
	file: string,
): Rope["scaling"] {
	const type = metadata.optionalString(key("rope.scaling.type")) ?? "none";
	const factor =
		metadata.optionalNumber(key("rope.scaling.factor")) ?? metadata.optionalNumber(key("rope.scale_linear"));
	if (type !== "none" && type !== "linear") {
		throw new ModelFileError(
			`${file} scales its rotary embedding by ${JSON.stringify(type.slice(0, 32))}, which Tabmesh does not know.`,
			{
				metaMessages: ["It knows linear scaling and Llama 3's."],
			},
		);
	}
	if (factors) {
		const scaling = llama3Scaling(factors, theta);
		if (scaling === undefined) {
			throw new ModelFileError(
				`${file} has rope_freqs.weight, but its factors are not those of Llama 3's rope scaling.`,
			);
		}
		return scaling === "none" ? undefined : scaling;
	}
	return factor === undefined ||
		factor === 0 ||
		factor === 1 ||
		(type === "none" && !metadata.has(key("rope.scale_linear")))
		? undefined
		: { type: "linear", factor };
}

/** The shortest decimal that is this single-precision number: 1e-5, not 0.000009999999747378752, whatever file it came from. */
function decimal(value: number): number {
	for (let digits = 1; digits <= 9; digits++) {
		const short = Number(value.toPrecision(digits));
		if (Math.fround(short) === Math.fround(value)) return short;
	}
	return value;
}
