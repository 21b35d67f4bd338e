import { type Constraint, InvalidParameterError, limits } from "@tabmesh/wire";
import * as v from "valibot";
import type { ChatTurn, EmbedOptions, GenerateOptions, ToolOffer } from "../tabmesh.ts";
import type { ChatCompletionParams, CompletionParams, EmbeddingParams } from "./shapes.ts";

/** Where a request does not say: as long as most answers, and no more of the lenders' memory. */
const DEFAULT_CHAT_TOKENS = 1024;
/** As OpenAI has it. */
const DEFAULT_COMPLETION_TOKENS = 16;

/** Answers to one request: a lender serves one asker few streams at once, and they wait for each other. */
const MOST_ANSWERS = 16;

/** Texts of one request for vectors: as many as OpenAI takes. */
const MOST_INPUTS = 2048;

/** Whose vectors are asked for, and how they are to be told. */
export interface EmbeddingRequest {
	readonly inputs: readonly EmbedOptions[];
	readonly model: string;
	readonly asBase64: boolean;
}

/** What is asked for, and how it is to be told. */
export interface GenerationRequest {
	readonly model: string;
	/** One or several, each of which is answered. */
	readonly prompts: readonly GenerateOptions[];
	/** How many answers each of them gets. */
	readonly answersEach: number;
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
		v.object({
			role: v.literal("assistant"),
			content: v.nullish(contentSchema),
			tool_calls: v.nullish(
				v.array(
					v.object({
						id: v.nullish(v.string()),
						type: v.literal("function"),
						function: v.object({ name: v.string(), arguments: v.string() }),
					}),
				),
			),
		}),
		v.object({ role: v.literal("tool"), content: contentSchema, tool_call_id: v.nullish(v.string()) }),
	],
	"the roles are system, developer, user, assistant and tool",
);

const penaltySchema = optional(v.pipe(v.number(), v.minValue(-2), v.maxValue(2)));
const topLogprobsSchema = optional(
	v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.topLogprobs)),
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
	n: optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_ANSWERS))),
	stream: optional(v.boolean()),
	stream_options: optional(v.object({ include_usage: optional(v.boolean()) })),
	frequency_penalty: penaltySchema,
	presence_penalty: penaltySchema,
	logit_bias: optional(
		v.pipe(
			v.record(
				v.pipe(v.string(), v.regex(/^\d{1,9}$/, "the ids of tokens are needed")),
				v.pipe(v.number(), v.minValue(-100), v.maxValue(100)),
			),
			v.maxEntries(limits.biasedTokens),
			v.transform((biases) =>
				Object.entries(biases).map(([id, bias]): [number, number] => [Number(id), bias]),
			),
		),
	),
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

const toolSchema = v.object({
	type: v.literal("function", "only functions are offered as tools"),
	function: v.object({
		name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, "a name has letters, digits, _ and -")),
		description: v.optional(v.string()),
		parameters: v.optional(v.custom<object>(isObject, "an object is needed"), {
			type: "object",
			properties: {},
			additionalProperties: false,
		}),
	}),
});

const maxTokensSchema = optional(v.pipe(v.number(), v.integer(), v.minValue(1)));

// What is not named here is let through unread, as other servers of this API do: clients send fields of their own.
const chatSchema = v.object({
	...generationEntries,
	messages: v.pipe(v.array(messageSchema), v.minLength(1, "a message is needed")),
	max_completion_tokens: maxTokensSchema,
	max_tokens: maxTokensSchema,
	response_format: optional(responseFormatSchema),
	logprobs: optional(v.boolean()),
	top_logprobs: topLogprobsSchema,
	tools: optional(v.pipe(v.array(toolSchema), v.maxLength(128))),
	tool_choice: optional(
		v.union(
			[
				v.picklist(["none", "auto", "required"]),
				v.object({ type: v.literal("function"), function: v.object({ name: v.string() }) }),
			],
			"none, auto, required or the name of a function is needed",
		),
	),
	parallel_tool_calls: optional(v.boolean()),
	modalities: notOffered("anything but text", (value) => Array.isArray(value) && value.join() === "text"),
	audio: notOffered("sound", () => false),
	functions: notOffered("the old form of tools", isEmpty),
	function_call: notOffered("the old form of tools", (value) => value === "none"),
});

const tokensSchema = v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0))), v.minLength(1));

const completionSchema = v.object({
	...generationEntries,
	prompt: v.union(
		[
			v.pipe(
				v.union([v.string(), tokensSchema]),
				v.transform((prompt) => [prompt]),
			),
			v.pipe(v.array(v.union([v.string(), tokensSchema])), v.minLength(1), v.maxLength(MOST_ANSWERS)),
		],
		`a text, the tokens of one, or at most ${MOST_ANSWERS} of either are needed`,
	),
	max_tokens: maxTokensSchema,
	best_of: optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
	logprobs: topLogprobsSchema,
	echo: notOffered("the prompt in the answer", (value) => value === false),
	suffix: notOffered("a text behind the answer", (value) => value === ""),
});

const inputSchema = v.union([v.pipe(v.string(), v.minLength(1)), tokensSchema]);

const embeddingSchema = v.object({
	model: generationEntries.model,
	input: v.union(
		[
			v.pipe(
				inputSchema,
				v.transform((input) => [input]),
			),
			v.pipe(v.array(inputSchema), v.minLength(1), v.maxLength(MOST_INPUTS)),
		],
		`a text, the tokens of one, or at most ${MOST_INPUTS} of either are needed, and none of them empty`,
	),
	encoding_format: optional(v.picklist(["float", "base64"], "the formats are float and base64")),
	dimensions: optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});

/**
 * Reads what a stranger sent as texts whose vectors he wants.
 *
 * @throws InvalidParameterError with the field in `details.param`
 */
export function readEmbeddingRequest(params: EmbeddingParams): EmbeddingRequest {
	const { model, input, encoding_format, dimensions } = parse(embeddingSchema, params);
	const more = { model, ...(dimensions == null ? {} : { dimensions }) };
	return {
		model,
		asBase64: encoding_format === "base64",
		inputs: input.map((each) =>
			typeof each === "string" ? { ...more, text: each } : { ...more, tokens: each },
		),
	};
}

/**
 * Reads what a stranger sent as a chat.
 *
 * @throws InvalidParameterError with the field in `details.param`
 */
export function readChatRequest(params: ChatCompletionParams): GenerationRequest {
	const request = parse(chatSchema, params);
	const messages = turnsOf(request.messages);
	const tools = offeredTools(request);
	const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_CHAT_TOKENS;
	const format = constraintOf(request.response_format);
	if (tools && format)
		throw wrongField("tools", "tools beside a response_format of JSON are not offered here");
	const { logprobs, top_logprobs: top } = request;
	if (!logprobs && top) throw wrongField("top_logprobs", "logprobs has to be true for that");
	const options = {
		...sampling(request),
		messages,
		maxTokens,
		...(tools ? { tools } : {}),
		...(format ? { constraint: format } : {}),
		...(logprobs ? { logprobs: top ?? 0 } : {}),
	};
	return { ...common(request), prompts: [options] };
}

/**
 * Reads what a stranger sent as a text to continue.
 *
 * @throws InvalidParameterError with the field in `details.param`
 */
export function readCompletionRequest(params: CompletionParams): GenerationRequest {
	const request = parse(completionSchema, params);
	const { best_of: made, logprobs, n } = request;
	const maxTokens = request.max_tokens ?? DEFAULT_COMPLETION_TOKENS;
	const answersEach = n ?? 1;
	if (answersEach * request.prompt.length > MOST_ANSWERS)
		throw wrongField("n", `a request has at most ${MOST_ANSWERS} answers`);
	if (made != null && made !== answersEach)
		throw wrongField("best_of", "as many answers are made as are given; n says how many");
	const options = { ...sampling(request), maxTokens, ...(logprobs == null ? {} : { logprobs }) };
	const prompts = request.prompt.map((prompt) => ({
		...options,
		...(typeof prompt === "string" ? { prompt } : { promptTokens: prompt }),
	}));
	return { ...common(request), prompts };
}

function turnsOf(messages: readonly v.InferOutput<typeof messageSchema>[]): ChatTurn[] {
	return messages.map((message) => {
		const { role } = message;
		if (role === "tool") {
			const { content, tool_call_id: callId } = message;
			return { role, content, ...(callId == null ? {} : { callId }) };
		}
		if (role === "assistant") {
			const content = message.content ?? "";
			const calls = (message.tool_calls ?? []).map(({ id, function: called }) => ({
				id: id ?? "",
				...called,
			}));
			return calls.length > 0 ? { role, content, calls } : { role, content };
		}
		// OpenAI's newer name for the same thing; the models' templates know the older one.
		return { role: role === "developer" ? "system" : role, content: message.content };
	});
}

function offeredTools({
	tools,
	tool_choice: choice,
	parallel_tool_calls: parallel,
}: v.InferOutput<typeof chatSchema>): ToolOffer | undefined {
	const offered = (tools ?? []).map((tool) => tool.function);
	if (choice === "none") return undefined;
	if (offered.length === 0) {
		if (choice == null || choice === "auto") return undefined;
		throw wrongField("tool_choice", "there are no tools to choose from");
	}
	const several = parallel ?? true;
	if (choice == null || choice === "auto") return { tools: offered, orText: true, several };
	if (choice === "required") return { tools: offered, orText: false, several };
	const chosen = offered.filter(({ name }) => name === choice.function.name);
	if (chosen.length === 0) throw wrongField("tool_choice", "it names none of the tools");
	return { tools: chosen, orText: false, several: false };
}

function wrongField(param: string, why: string): InvalidParameterError {
	return new InvalidParameterError(`${param}: ${why}.`, { details: { param } });
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

function common({ model, n, stream, stream_options }: Common): Omit<GenerationRequest, "prompts"> {
	return {
		model,
		answersEach: n ?? 1,
		stream: stream ?? false,
		includeUsage: stream_options?.include_usage ?? false,
	};
}

function sampling(request: Common): Partial<GenerateOptions> {
	const { model, temperature, top_p, top_k, min_p, repetition_penalty, stop, seed } = request;
	const { frequency_penalty: frequency, presence_penalty: presence, logit_bias: logitBias } = request;
	return {
		model,
		...(frequency ? { frequencyPenalty: frequency } : {}),
		...(presence ? { presencePenalty: presence } : {}),
		...(logitBias ? { logitBias } : {}),
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
