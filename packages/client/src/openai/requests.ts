import { type Constraint, InvalidParameterError } from "@tabmesh/wire";
import * as v from "valibot";
import type { GenerateOptions } from "../tabmesh.ts";
import type { ChatCompletionParams, CompletionParams } from "./shapes.ts";

/** Where a request does not say: as long as most answers, and no more of the lenders' memory. */
const DEFAULT_CHAT_TOKENS = 1024;
/** As OpenAI has it. */
const DEFAULT_COMPLETION_TOKENS = 16;

/** What is asked for, and how it is to be told. */
export interface GenerationRequest {
	readonly options: GenerateOptions;
	readonly stream: boolean;
	/** Whether a stream ends with what the answer cost. */
	readonly includeUsage: boolean;
}

/** A field that may be left out or null, which is the same. */
function optional<T>(schema: v.GenericSchema<unknown, T>) {
	return v.nullish(schema);
}

/** A feature that is not offered: only values that ask for nothing pass. */
function notOffered(what: string, nothing: (value: unknown) => boolean) {
	return v.optional(
		v.custom<unknown>((value) => value === null || nothing(value), `${what} is not offered here`),
	);
}

const isEmpty = (value: unknown): boolean =>
	typeof value === "object" && Object.keys(value ?? {}).length === 0;

function isObject(value: unknown): boolean {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

const textPartSchema = v.object({
	type: v.literal("text", "only parts of text are taken"),
	text: v.string(),
});
/** Several parts are one text, as the models' templates have it. */
const contentSchema = v.union(
	[
		v.string(),
		v.pipe(
			v.array(textPartSchema),
			v.minLength(1),
			v.transform((parts) => parts.map(({ text }) => text).join("\n")),
		),
	],
	"a text or parts of text are needed",
);

const messageSchema = v.variant(
	"role",
	[
		v.object({ role: v.picklist(["system", "user"]), content: contentSchema }),
		v.object({ role: v.literal("developer"), content: contentSchema }),
		v.object({ role: v.literal("assistant"), content: v.nullish(contentSchema) }),
	],
	"the roles are system, developer, user and assistant",
);

const generationEntries = {
	model: v.pipe(v.string(), v.minLength(1, "a model has to be named")),
	temperature: optional(v.pipe(v.number(), v.minValue(0), v.maxValue(2))),
	top_p: optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1))),
	top_k: optional(v.pipe(v.number(), v.integer(), v.minValue(-1))),
	min_p: optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
	repetition_penalty: optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(10))),
	stop: optional(v.union([v.string(), v.array(v.string())], "a text or a list of texts is needed")),
	seed: optional(v.pipe(v.number(), v.integer())),
	n: optional(v.literal(1, "one answer for each request is given; ask as often as you want answers")),
	stream: optional(v.boolean()),
	stream_options: optional(v.object({ include_usage: optional(v.boolean()) })),
	frequency_penalty: notOffered("a frequency penalty", (value) => value === 0),
	presence_penalty: notOffered("a presence penalty", (value) => value === 0),
	logit_bias: notOffered("a bias of tokens", isEmpty),
};

const responseFormatSchema = v.variant(
	"type",
	[
		v.object({ type: v.picklist(["text", "json_object"]) }),
		v.object({
			type: v.literal("json_schema"),
			json_schema: v.object({ schema: v.optional(v.custom<object>(isObject, "an object is needed"), {}) }),
		}),
	],
	"the formats are text, json_object and json_schema",
);

const maxTokensSchema = optional(v.pipe(v.number(), v.integer(), v.minValue(1)));

// What is not named here is let through unread, as other servers of this API do: clients send fields of their own.
const chatSchema = v.object({
	...generationEntries,
	messages: v.pipe(v.array(messageSchema), v.minLength(1, "a message is needed")),
	max_completion_tokens: maxTokensSchema,
	max_tokens: maxTokensSchema,
	response_format: optional(responseFormatSchema),
	logprobs: notOffered("the probability of tokens", (value) => value === false),
	top_logprobs: notOffered("the probability of tokens", (value) => value === 0),
	tools: notOffered("a call of tools", isEmpty),
	tool_choice: notOffered("a call of tools", (value) => value === "none" || value === "auto"),
	modalities: notOffered("anything but text", (value) => Array.isArray(value) && value.join() === "text"),
	audio: notOffered("sound", () => false),
	functions: notOffered("the old form of tools", isEmpty),
	function_call: notOffered("the old form of tools", (value) => value === "none"),
});

const tokensSchema = v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0))), v.minLength(1));
const onePrompt = "one prompt for each request is taken: a text, or the tokens of one";

const completionSchema = v.object({
	...generationEntries,
	prompt: v.union(
		[
			v.string(),
			tokensSchema,
			v.pipe(
				v.strictTuple([v.union([v.string(), tokensSchema])]),
				v.transform(([prompt]) => prompt),
			),
		],
		onePrompt,
	),
	max_tokens: maxTokensSchema,
	best_of: optional(v.literal(1, "one answer is made for each request")),
	logprobs: notOffered("the probability of tokens", () => false),
	echo: notOffered("the prompt in the answer", (value) => value === false),
	suffix: notOffered("a text behind the answer", (value) => value === ""),
});

/**
 * Reads what a stranger sent as a chat.
 *
 * @throws InvalidParameterError with the field in `details.param`
 */
export function readChatRequest(params: ChatCompletionParams): GenerationRequest {
	const request = parse(chatSchema, params);
	const messages = request.messages.map(({ role, content }) => ({
		// OpenAI's newer name for the same thing; the models' templates know the older one.
		role: role === "developer" ? ("system" as const) : role,
		content: content ?? "",
	}));
	const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_CHAT_TOKENS;
	const constraint = constraintOf(request.response_format);
	return {
		...common(request),
		options: { ...sampling(request), messages, maxTokens, ...(constraint ? { constraint } : {}) },
	};
}

/**
 * Reads what a stranger sent as a text to continue.
 *
 * @throws InvalidParameterError with the field in `details.param`
 */
export function readCompletionRequest(params: CompletionParams): GenerationRequest {
	const request = parse(completionSchema, params);
	const { prompt } = request;
	const maxTokens = request.max_tokens ?? DEFAULT_COMPLETION_TOKENS;
	const text = typeof prompt === "string" ? { prompt } : { promptTokens: prompt };
	return { ...common(request), options: { ...sampling(request), ...text, maxTokens } };
}

function constraintOf(
	format: v.InferOutput<typeof responseFormatSchema> | null | undefined,
): Constraint | undefined {
	if (format == null || format.type === "text") return undefined;
	const schema = "json_schema" in format ? format.json_schema.schema : { type: "object" };
	return { schema: JSON.stringify(schema) };
}

function parse<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
	const parsed = v.safeParse(schema, value, { abortEarly: true });
	if (parsed.success) return parsed.output;
	const [issue] = parsed.issues;
	const param = (v.getDotPath(issue) ?? "").slice(0, 100);
	throw new InvalidParameterError(
		param === "" ? "The request is no object with fields." : `${param}: ${issue.message.slice(0, 200)}.`,
		{ details: { param } },
	);
}

type Common = v.InferOutput<v.ObjectSchema<typeof generationEntries, undefined>>;

function common({ stream, stream_options }: Common): Omit<GenerationRequest, "options"> {
	return { stream: stream ?? false, includeUsage: stream_options?.include_usage ?? false };
}

function sampling(request: Common): Partial<GenerateOptions> {
	const { model, temperature, top_p, top_k, min_p, repetition_penalty, stop, seed } = request;
	return {
		model,
		...(temperature == null ? {} : { temperature }),
		...(top_p == null ? {} : { topP: top_p }),
		// −1 is other servers' word for all of them.
		...(top_k == null ? {} : { topK: Math.max(0, top_k) }),
		...(min_p == null ? {} : { minP: min_p }),
		...(repetition_penalty == null ? {} : { repetitionPenalty: repetition_penalty }),
		...(stop == null ? {} : { stop: typeof stop === "string" ? [stop] : stop }),
		// Any whole number is a seed there; ours have 32 bits.
		...(seed == null ? {} : { seed: seed >>> 0 }),
	};
}
