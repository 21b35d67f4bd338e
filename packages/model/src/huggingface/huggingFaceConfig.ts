import { type ModelConfig, ModelFileError, type Rope } from "@tabmesh/wire";
import { checkConfig } from "./checkConfig.ts";

/** `model_type` in config.json, and which of our architectures computes the same. */
const architectures: Readonly<Record<string, ModelConfig["architecture"]>> = {
	llama: "llama",
	mistral: "llama",
	qwen2: "qwen2",
	qwen3: "qwen3",
};

/** What each architecture has where config.json says otherwise: these models cannot run here. */
const required: readonly (readonly [key: string, allowed: readonly unknown[]])[] = [
	["hidden_act", [undefined, "silu"]],
	["attention_bias", [undefined, null, false]],
	["mlp_bias", [undefined, null, false]],
	["partial_rotary_factor", [undefined, null, 1]],
	["quantization_config", [undefined, null]],
];

const fileName = "config.json";

/**
 * The configuration that a `config.json` gives.
 *
 * @throws ModelFileError naming the architecture or the feature that Tabmesh does not run
 * @see https://github.com/huggingface/transformers `configuration_llama.py`, `configuration_qwen2.py`, `configuration_qwen3.py`
 */
export function huggingFaceConfig(json: Readonly<Record<string, unknown>>): ModelConfig {
	const type = json.model_type;
	const architecture =
		typeof type === "string" && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
	if (!architecture) {
		throw new ModelFileError(`The model is of the type ${shown(type)}, which Tabmesh does not run.`, {
			metaMessages: [`It runs ${Object.keys(architectures).join(", ")}.`],
		});
	}
	for (const [key, allowed] of required) {
		if (!allowed.includes(json[key])) {
			throw new ModelFileError(`The model has ${key} ${shown(json[key])}, which Tabmesh does not run.`);
		}
	}
	const hiddenSize = count(json, "hidden_size");
	const heads = count(json, "num_attention_heads");
	const config: ModelConfig = {
		architecture,
		layers: count(json, "num_hidden_layers"),
		hiddenSize,
		feedForwardSize: count(json, "intermediate_size"),
		heads,
		keyValueHeads: optionalNumber(json, "num_key_value_heads") ?? heads,
		headSize: optionalNumber(json, "head_dim") ?? (architecture === "qwen3" ? 128 : hiddenSize / heads),
		vocabularySize: count(json, "vocab_size"),
		contextLength: contextLength(json),
		normEpsilon: optionalNumber(json, "rms_norm_eps") ?? 1e-6,
		rope: rope(json),
		tiedHead: json.tie_word_embeddings === true,
	};
	return checkConfig(config, fileName);
}

/** Where attention slides over a window, positions beyond it would be computed differently: the model ends there for us. */
function contextLength(json: Readonly<Record<string, unknown>>): number {
	const positions = count(json, "max_position_embeddings");
	const slides = json.model_type === "mistral" || json.use_sliding_window === true;
	const window = slides ? optionalNumber(json, "sliding_window") : undefined;
	return window === undefined ? positions : Math.min(positions, window);
}

function rope(json: Readonly<Record<string, unknown>>): Rope {
	// transformers 5 puts everything into rope_parameters, 4 has rope_theta and rope_scaling.
	const parameters = optionalRecord(json, "rope_parameters");
	const scaling = parameters ?? optionalRecord(json, "rope_scaling");
	const theta =
		(parameters && optionalNumber(parameters, "rope_theta")) ?? optionalNumber(json, "rope_theta") ?? 10_000;
	const base = { layout: "half", theta } as const;
	if (!scaling) return base;
	const type = scaling.rope_type ?? scaling.type ?? "default";
	switch (type) {
		case "default":
			return base;
		case "linear":
			return { ...base, scaling: { type: "linear", factor: positive(scaling, "factor") } };
		case "llama3":
			return {
				...base,
				scaling: {
					type: "llama3",
					factor: positive(scaling, "factor"),
					lowFrequencyFactor: positive(scaling, "low_freq_factor"),
					highFrequencyFactor: positive(scaling, "high_freq_factor"),
					originalContext: positive(scaling, "original_max_position_embeddings"),
				},
			};
		default:
			throw new ModelFileError(
				`The model scales its rotary embedding by ${shown(type)}, which Tabmesh does not know.`,
				{
					metaMessages: ["It knows linear scaling and Llama 3's."],
				},
			);
	}
}

function count(json: Readonly<Record<string, unknown>>, key: string): number {
	const value = optionalNumber(json, key);
	if (value === undefined) throw new ModelFileError(`${fileName} says nothing about ${key}.`);
	return value;
}

function positive(json: Readonly<Record<string, unknown>>, key: string): number {
	const value = count(json, key);
	if (value > 0) return value;
	throw new ModelFileError(`${fileName} gives ${value} as ${key}.`);
}

function optionalNumber(json: Readonly<Record<string, unknown>>, key: string): number | undefined {
	const value = json[key];
	if (value === undefined || value === null) return undefined;
	if (typeof value === "number" && Number.isFinite(value)) return value;
	throw new ModelFileError(`${fileName} gives ${shown(value)} as ${key}, where a number is needed.`);
}

function optionalRecord(
	json: Readonly<Record<string, unknown>>,
	key: string,
): Record<string, unknown> | undefined {
	const value = json[key];
	if (value === undefined || value === null) return undefined;
	if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
	throw new ModelFileError(`${fileName} gives ${shown(value)} as ${key}, where an object is needed.`);
}

function shown(value: unknown): string {
	return (JSON.stringify(value) ?? "undefined").slice(0, 64);
}
