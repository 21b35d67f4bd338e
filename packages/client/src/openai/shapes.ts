/**
 * What OpenAI's API takes and gives (https://platform.openai.com/docs/api-reference), as far as it is offered here; types only. Field
 * names are theirs. The tests of `tabmesh serve` hold them to the official client's own types.
 */

export interface TextPart {
	type: "text";
	text: string;
}

export type ChatCompletionMessageParam =
	| { role: "system" | "developer" | "user"; content: string | TextPart[]; name?: string }
	| { role: "assistant"; content?: string | TextPart[] | null; name?: string; tool_calls?: ToolCall[] }
	| { role: "tool"; content: string | TextPart[]; tool_call_id: string };

/** A function that the model wants to be called. */
export interface ToolCall {
	id: string;
	type: "function";
	/** `arguments` is JSON that fits the function's schema. */
	function: { name: string; arguments: string };
}

export interface Tool {
	type: "function";
	function: { name: string; description?: string; parameters?: object; strict?: boolean | null };
}

/** Whether functions are called: if the model wants to, never, surely, or this one. */
export type ToolChoice = "auto" | "none" | "required" | { type: "function"; function: { name: string } };

interface StreamOptions {
	/** A last chunk says what the answer cost. */
	include_usage?: boolean;
}

/** What both ways of asking have in common. */
interface GenerationParams {
	/** A name from `models.list`, or the CID of the manifest. */
	model: string;
	/** 0 to 2. @default 0 in chats, 0.8 where a text is continued */
	temperature?: number | null;
	top_p?: number | null;
	stop?: string | string[] | null;
	/** The same seed gives the same answer. */
	seed?: number | null;
	/** How many answers, each with its own draws. @default 1 */
	n?: number | null;
	/** -2 to 2: taken from the logits of tokens that the answer has. */
	presence_penalty?: number | null;
	/** The same, as often as the answer has the token. */
	frequency_penalty?: number | null;
	/** -100 to 100, added to the logits of tokens by their ids. */
	logit_bias?: Record<string, number> | null;
	stream_options?: StreamOptions | null;
	/** Ours, as other servers of this API have it. */
	top_k?: number | null;
	/** Ours, as other servers of this API have it. @default 0.05 */
	min_p?: number | null;
	/** Ours, as other servers of this API have it. */
	repetition_penalty?: number | null;
}

/** JSON of any kind, or JSON that fits a schema, token by token. What is not offered of a schema is refused. */
export type ResponseFormat =
	| { type: "text" | "json_object" }
	| {
			type: "json_schema";
			json_schema: { name: string; description?: string; schema?: object; strict?: boolean | null };
	  };

export interface ChatCompletionParams extends GenerationParams {
	messages: ChatCompletionMessageParam[];
	response_format?: ResponseFormat | null;
	tools?: Tool[] | null;
	tool_choice?: ToolChoice | null;
	/** Tell how likely each token was: of the model's own distribution, before temperature, penalties and biases. */
	logprobs?: boolean | null;
	/** 0 to 20 of the likeliest in each place, too. */
	top_logprobs?: number | null;
	/** @default true */
	parallel_tool_calls?: boolean | null;
	/** @default 1,024, or what the context has room for */
	max_completion_tokens?: number | null;
	max_tokens?: number | null;
	stream?: boolean | null;
}

export interface CompletionParams extends GenerationParams {
	/** Texts, or the tokens of such; each is answered. */
	prompt: string | string[] | number[] | number[][] | null;
	/** @default 16 */
	max_tokens?: number | null;
	/** As `n`, and nothing else: none is thrown away. */
	best_of?: number | null;
	/** 0 to 20: tell how likely each token and so many of the likeliest were. */
	logprobs?: number | null;
	stream?: boolean | null;
}

export interface Usage {
	prompt_tokens: number;
	completion_tokens: number;
	total_tokens: number;
}

/** A token by itself. */
interface TokenLogprob {
	/** Of half a character the replacement character: see `bytes`. */
	token: string;
	/** UTF-8; null where the token stands for no text. */
	bytes: number[] | null;
	logprob: number;
}

/** Of the tokens that `content` is made of. Calls of functions have none. */
export interface ChatLogprobs {
	content: (TokenLogprob & { top_logprobs: TokenLogprob[] })[];
	refusal: null;
}

export interface CompletionLogprobs {
	tokens: string[];
	token_logprobs: number[];
	top_logprobs: Record<string, number>[];
	text_offset: number[];
}

export type ChatFinishReason = "stop" | "length" | "tool_calls";

export interface ChatCompletion {
	id: string;
	object: "chat.completion";
	/** Seconds since 1970. */
	created: number;
	model: string;
	/** CID of the model's manifest: the same one, the same weights. */
	system_fingerprint: string;
	choices: {
		index: number;
		message: { role: "assistant"; content: string | null; refusal: null; tool_calls?: ToolCall[] };
		logprobs: ChatLogprobs | null;
		finish_reason: ChatFinishReason;
	}[];
	usage: Usage;
}

export interface ChatCompletionChunk {
	id: string;
	object: "chat.completion.chunk";
	created: number;
	model: string;
	system_fingerprint: string;
	choices: {
		index: number;
		/** A call comes in one piece. */
		delta: {
			role?: "assistant";
			content?: string;
			refusal?: null;
			tool_calls?: (ToolCall & { index: number })[];
		};
		logprobs: ChatLogprobs | null;
		finish_reason: ChatFinishReason | null;
	}[];
	/** Only where it was asked for: null in all chunks but the last. */
	usage?: Usage | null;
}

export interface Completion {
	id: string;
	object: "text_completion";
	created: number;
	model: string;
	system_fingerprint: string;
	choices: {
		index: number;
		text: string;
		logprobs: CompletionLogprobs | null;
		finish_reason: "stop" | "length";
	}[];
	usage?: Usage;
}

/** A piece of a streamed completion: OpenAI gives it the same name as the whole. */
export interface CompletionChunk extends Omit<Completion, "choices" | "usage"> {
	choices: {
		index: number;
		text: string;
		logprobs: CompletionLogprobs | null;
		finish_reason: "stop" | "length" | null;
	}[];
	usage?: Usage | null;
}

export interface EmbeddingParams {
	/** A name from `models.list`, or the CID of the manifest. */
	model: string;
	/** Texts, or the tokens of such: up to 2,048. */
	input: string | string[] | number[] | number[][];
	/** `base64`: little-endian float32. @default float */
	encoding_format?: "float" | "base64";
	/** As many as the model's vectors have, and nothing else: none is made to be cut short. */
	dimensions?: number | null;
	user?: string;
}

export interface EmbeddingList<Vector = number[]> {
	object: "list";
	/** In the order of the inputs, each of length 1. */
	data: { object: "embedding"; index: number; embedding: Vector }[];
	model: string;
	usage: { prompt_tokens: number; total_tokens: number };
}

export interface Model {
	id: string;
	object: "model";
	/** Always 0: a model's manifest holds no time, so that it has the same id everywhere. */
	created: number;
	owned_by: string;
}

export interface ModelList {
	object: "list";
	data: Model[];
}
