import * as v from "valibot";
import { limits } from "../limits.ts";
import { bytesSchema, cidSchema, countSchema, layerSchema, positiveSchema, tokenSchema } from "./common.ts";

const nameSchema = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]+$/), v.maxLength(128));
const dimensionSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 24));
/** A dimension of a tensor, or the bytes of a file: Llama 3's tokenizer.json has 17 MB. */
const extentSchema = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 27));

/** Number format of a tensor's source bytes: the float formats, or a GGML block format kept as it is. `BLOB` is a file, not a tensor. */
export const sourceTypeSchema = v.picklist([
	"F32",
	"F16",
	"BF16",
	"Q4_0",
	"Q4_1",
	"Q5_0",
	"Q5_1",
	"Q8_0",
	"Q2_K",
	"Q3_K",
	"Q4_K",
	"Q5_K",
	"Q6_K",
	"IQ2_XXS",
	"IQ4_NL",
	"IQ4_XS",
	"BLOB",
]);
export type SourceType = v.InferOutput<typeof sourceTypeSchema>;

/** One tensor of a model, under its Hugging Face name (`model.layers.0.self_attn.q_proj.weight`), or a tokenizer file (`tokenizer.json`). */
export const tensorEntrySchema = v.strictObject({
	name: nameSchema,
	type: sourceTypeSchema,
	/** Row-major: `[out, in]` for a projection; `[bytes]` for a BLOB. */
	shape: v.pipe(v.array(extentSchema), v.minLength(1), v.maxLength(3)),
	/** Length of the source bytes. */
	bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
	/** SHA-256 of each 1 MiB chunk of the source bytes, the last one shorter. */
	chunks: v.pipe(v.array(bytesSchema(32)), v.minLength(1)),
});
export type TensorEntry = v.InferOutput<typeof tensorEntrySchema>;

/** Rotary position embedding: how the pairs lie and how fast they turn. */
export const ropeSchema = v.strictObject({
	/** `half`: element i turns with i + d/2 (Hugging Face). `interleaved`: 2i with 2i + 1 (llama2.c, GGUF llama). */
	layout: v.picklist(["half", "interleaved"]),
	theta: positiveSchema,
	/** Llama 3's rescaling of low frequencies, as in its `config.json`. */
	scaling: v.optional(
		v.strictObject({
			type: v.picklist(["llama3", "linear"]),
			factor: positiveSchema,
			lowFrequencyFactor: v.optional(positiveSchema),
			highFrequencyFactor: v.optional(positiveSchema),
			originalContext: v.optional(positiveSchema),
		}),
	),
});
export type Rope = v.InferOutput<typeof ropeSchema>;

export const modelConfigSchema = v.strictObject({
	architecture: v.picklist(["llama", "qwen2", "qwen3"]),
	layers: v.pipe(layerSchema, v.minValue(1)),
	hiddenSize: v.pipe(dimensionSchema, v.maxValue(limits.tensorColumns)),
	feedForwardSize: dimensionSchema,
	heads: dimensionSchema,
	keyValueHeads: dimensionSchema,
	headSize: dimensionSchema,
	vocabularySize: v.pipe(dimensionSchema, v.maxValue(limits.vocabulary)),
	/** Positions that the model was trained for. */
	contextLength: v.pipe(dimensionSchema, v.maxValue(limits.contextTokens)),
	normEpsilon: positiveSchema,
	rope: ropeSchema,
	/** Whether the head is the embedding matrix. */
	tiedHead: v.boolean(),
});
export type ModelConfig = v.InferOutput<typeof modelConfigSchema>;

/** Which tensors one part needs. Parts are `embed`, `layer.0 … layer.n-1`, `head` and `tokenizer`; a tied head names the embedding's tensor again. */
export const partSchema = v.strictObject({
	name: v.pipe(v.string(), v.regex(/^(embed|head|tokenizer|layer\.(0|[1-9][0-9]{0,2}))$/)),
	tensors: v.pipe(v.array(nameSchema), v.minLength(1), v.maxLength(64)),
});
export type Part = v.InferOutput<typeof partSchema>;

/**
 * What a model is: content only, so that the same model has the same id everywhere. The id is the CIDv1 (dag-cbor,
 * sha2-256) of its deterministic encoding. Where the bytes can be had from is a separate record: {@link originSchema}.
 */
export const manifestSchema = v.strictObject({
	format: v.literal("tabmesh-model/1"),
	config: modelConfigSchema,
	/** Hidden states between stages: f32 where calibration found values that f16 cannot hold. */
	boundary: v.picklist(["f16", "f32"]),
	tokenizer: v.strictObject({
		/** Put before a prompt; absent where the model has none. */
		bos: v.optional(tokenSchema),
		/** Tokens that end an answer. */
		eos: v.pipe(v.array(tokenSchema), v.maxLength(64)),
		/** Jinja source; absent for a model that only continues text. */
		chatTemplate: v.optional(v.pipe(v.string(), v.maxLength(65_536))),
	}),
	tensors: v.pipe(v.array(tensorEntrySchema), v.minLength(1), v.maxLength(limits.layers * 32)),
	parts: v.pipe(v.array(partSchema), v.minLength(3), v.maxLength(limits.layers + 3)),
});
export type Manifest = v.InferOutput<typeof manifestSchema>;

/**
 * Where the bytes of a model can be had from over HTTP: for each tensor the ranges `[file, offset, length]` of files
 * under `baseUrl` that, one behind the other, are its source bytes. A record of its own, because it is not content.
 */
export const originSchema = v.strictObject({
	model: cidSchema,
	baseUrl: v.pipe(v.string(), v.maxLength(1024)),
	files: v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.minLength(1), v.maxLength(1024)),
	ranges: v.pipe(
		v.array(
			v.pipe(
				v.array(v.strictTuple([countSchema, countSchema, countSchema])),
				v.minLength(1),
				v.maxLength(64),
			),
		),
		v.maxLength(limits.layers * 32),
	),
});
export type Origin = v.InferOutput<typeof originSchema>;
