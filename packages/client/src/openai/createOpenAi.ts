import { ModelNotFoundError } from "@tabmesh/wire";
import type { Generation, GenerationSummary, ModelView, Tabmesh } from "../tabmesh.ts";
import { type GenerationRequest, readChatRequest, readCompletionRequest } from "./requests.ts";
import type {
	ChatCompletion,
	ChatCompletionChunk,
	ChatCompletionParams,
	ChatFinishReason,
	Completion,
	CompletionChunk,
	CompletionParams,
	Model,
	ModelList,
	ToolCall,
	Usage,
} from "./shapes.ts";
import { CallReader } from "./toolCalls.ts";

interface RequestOptions {
	/** Frees every stage; what was not told yet is not told. */
	signal?: AbortSignal;
}

/** A network, asked as OpenAI is: the same names, the same shapes. */
export interface OpenAi {
	readonly chat: {
		readonly completions: {
			/**
			 * One turn of a chat, whole or, with `stream`, piece by piece. A stream resolves with its first piece, so that what fails before
			 * it is thrown here.
			 *
			 * @throws InvalidParameterError with the field in `details.param`, ModelNotFoundError, and what `Tabmesh.generate` throws
			 */
			create(
				params: ChatCompletionParams & { stream: true },
				options?: RequestOptions,
			): Promise<AsyncIterable<ChatCompletionChunk>>;
			create(
				params: ChatCompletionParams & { stream?: false | null },
				options?: RequestOptions,
			): Promise<ChatCompletion>;
			create(
				params: ChatCompletionParams,
				options?: RequestOptions,
			): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
		};
	};
	readonly completions: {
		/** A text, continued. Else as `chat.completions.create`. */
		create(
			params: CompletionParams & { stream: true },
			options?: RequestOptions,
		): Promise<AsyncIterable<CompletionChunk>>;
		create(
			params: CompletionParams & { stream?: false | null },
			options?: RequestOptions,
		): Promise<Completion>;
		create(
			params: CompletionParams,
			options?: RequestOptions,
		): Promise<Completion | AsyncIterable<CompletionChunk>>;
	};
	readonly models: {
		/** Every model of the network, whether lenders hold it now or not. */
		list(): Promise<ModelList>;
		/** @throws ModelNotFoundError */
		retrieve(model: string): Promise<Model>;
	};
}

/**
 * The same calls as of OpenAI's own client, answered by a swarm.
 *
 * @example
 * ```ts
 * import { connect } from "@tabmesh/client";
 * import { createOpenAi } from "@tabmesh/client/openai";
 * const openai = createOpenAi(await connect({ relay: "https://relay.example.org" }));
 * const messages = [{ role: "user" as const, content: "What is the capital of France?" }];
 * const stream = await openai.chat.completions.create({ model: "tinyllama-1.1b-chat", messages, stream: true });
 * for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? "");
 * ```
 */
export function createOpenAi(mesh: Tabmesh): OpenAi {
	return {
		chat: {
			completions: {
				create: ((params: ChatCompletionParams, options?: RequestOptions) =>
					answer(
						mesh,
						readChatRequest(params),
						chatForm,
						options,
					)) as OpenAi["chat"]["completions"]["create"],
			},
		},
		completions: {
			create: ((params: CompletionParams, options?: RequestOptions) =>
				answer(
					mesh,
					readCompletionRequest(params),
					completionForm,
					options,
				)) as OpenAi["completions"]["create"],
		},
		models: {
			list: async () => ({ object: "list", data: mesh.models.map(modelOf) }),
			retrieve: async (model) => modelOf(findModel(mesh, model)),
		},
	};
}

/** What every answer and every piece of it begins with. */
interface Head {
	readonly id: string;
	readonly created: number;
	readonly model: string;
	readonly system_fingerprint: string;
}

type FinishReason = ChatFinishReason;

/** How one of the two APIs words an answer. */
interface Form<Whole, Piece> {
	readonly prefix: string;
	/** What comes before the first piece of text. */
	begin(head: Head): Piece[];
	piece(head: Head, text: string): Piece;
	/** Calls of functions, the first of which is at `index`. */
	calls(head: Head, calls: readonly ToolCall[], index: number): Piece;
	end(head: Head, finish: FinishReason): Piece;
	/** No choice: only what it cost. */
	cost(head: Head): Piece;
	whole(head: Head, text: string, calls: ToolCall[], finish: FinishReason, usage: Usage): Whole;
}

const chatForm: Form<ChatCompletion, ChatCompletionChunk> = {
	prefix: "chatcmpl",
	begin: (head) => [chatPiece(head, { role: "assistant", content: "", refusal: null }, null)],
	piece: (head, content) => chatPiece(head, { content }, null),
	calls: (head, calls, first) =>
		chatPiece(head, { tool_calls: calls.map((call, i) => ({ index: first + i, ...call })) }, null),
	end: (head, finish) => chatPiece(head, {}, finish),
	cost: (head) => ({ ...head, object: "chat.completion.chunk", choices: [] }),
	whole: (head, text, calls, finish_reason, usage) => ({
		...head,
		object: "chat.completion",
		choices: [
			{
				index: 0,
				message: {
					role: "assistant",
					content: calls.length > 0 ? null : text,
					refusal: null,
					...(calls.length > 0 ? { tool_calls: calls } : {}),
				},
				logprobs: null,
				finish_reason,
			},
		],
		usage,
	}),
};

function chatPiece(
	head: Head,
	delta: ChatCompletionChunk["choices"][number]["delta"],
	finish_reason: FinishReason | null,
): ChatCompletionChunk {
	return {
		...head,
		object: "chat.completion.chunk",
		choices: [{ index: 0, delta, logprobs: null, finish_reason }],
	};
}

const completionForm: Form<Completion, CompletionChunk> = {
	prefix: "cmpl",
	begin: () => [],
	piece: (head, text) => completionPiece(head, text, null),
	calls: (head) => completionPiece(head, "", null),
	end: (head, finish) => completionPiece(head, "", textFinish(finish)),
	cost: (head) => ({ ...head, object: "text_completion", choices: [] }),
	whole: (head, text, _calls, finish, usage) => ({
		...head,
		object: "text_completion",
		choices: [{ index: 0, text, logprobs: null, finish_reason: textFinish(finish) }],
		usage,
	}),
};

/** A text is never a call. */
function textFinish(finish: FinishReason): "stop" | "length" {
	return finish === "length" ? "length" : "stop";
}

function completionPiece(head: Head, text: string, finish_reason: "stop" | "length" | null): CompletionChunk {
	return {
		...head,
		object: "text_completion",
		choices: [{ index: 0, text, logprobs: null, finish_reason }],
	};
}

async function answer<Whole, Piece extends { usage?: Usage | null }>(
	mesh: Tabmesh,
	request: GenerationRequest,
	form: Form<Whole, Piece>,
	{ signal }: RequestOptions = {},
): Promise<Whole | AsyncIterable<Piece>> {
	signal?.throwIfAborted();
	const { options, stream, mayCall } = request;
	const { id, name } = findModel(mesh, options.model!);
	const head: Head = {
		id: `${form.prefix}-${crypto.randomUUID().replaceAll("-", "")}`,
		created: Math.floor(Date.now() / 1000),
		model: name,
		system_fingerprint: id,
	};
	const generation = mesh.generate({ ...options, ...(signal ? { signal } : {}) });
	if (stream) {
		const pieces = streamed(generation, head, form, request);
		// What fails before the first piece is the request's error, not the stream's.
		const first = await pieces.next();
		return continued(first, pieces);
	}
	const summary = await generation.summary;
	const finish = finishOf(summary);
	if (finish === undefined)
		throw signal?.reason ?? new DOMException("The answer was cancelled.", "AbortError");
	const calls = mayCall ? new CallReader().push(summary.text).calls : [];
	return form.whole(head, summary.text, calls, withCalls(finish, calls.length), usageOf(summary));
}

async function* streamed<Piece extends { usage?: Usage | null }>(
	generation: Generation,
	head: Head,
	form: Form<unknown, Piece>,
	{ includeUsage, mayCall }: GenerationRequest,
): AsyncGenerator<Piece, void> {
	const reader = mayCall ? new CallReader() : undefined;
	let called = 0;
	const told = (piece: Piece): Piece => (includeUsage ? { ...piece, usage: null } : piece);
	let begun = false;
	for await (const { text } of generation) {
		if (!begun) for (const piece of form.begin(head)) yield told(piece);
		begun = true;
		const read = reader?.push(text) ?? { text, calls: [] };
		// Half a character, or what may become a stop string or a call.
		if (read.text !== "") yield told(form.piece(head, read.text));
		if (read.calls.length > 0) yield told(form.calls(head, read.calls, called));
		called += read.calls.length;
	}
	const summary = await generation.summary;
	const finish = finishOf(summary);
	// Whoever cancelled does not wait for an end.
	if (finish === undefined) return;
	if (!begun) for (const piece of form.begin(head)) yield told(piece);
	yield told(form.end(head, withCalls(finish, called)));
	if (includeUsage) yield { ...form.cost(head), usage: usageOf(summary) };
}

async function* continued<T>(
	first: IteratorResult<T, void>,
	rest: AsyncGenerator<T, void>,
): AsyncGenerator<T, void> {
	try {
		if (first.done) return;
		yield first.value;
		yield* rest;
	} finally {
		await rest.return();
	}
}

function withCalls(finish: FinishReason, calls: number): FinishReason {
	return calls > 0 && finish === "stop" ? "tool_calls" : finish;
}

function finishOf({ finishReason }: GenerationSummary): FinishReason | undefined {
	return finishReason === "cancelled" ? undefined : finishReason;
}

function usageOf({ promptTokens, tokens }: GenerationSummary): Usage {
	return {
		prompt_tokens: promptTokens.length,
		completion_tokens: tokens.length,
		total_tokens: promptTokens.length + tokens.length,
	};
}

function modelOf({ name }: ModelView): Model {
	return { id: name, object: "model", created: 0, owned_by: "tabmesh" };
}

function findModel(mesh: Tabmesh, wanted: string): ModelView {
	const model = mesh.models.find(({ id, name }) => id === wanted || name === wanted);
	if (model) return model;
	const names = mesh.models.map(({ name }) => name).join(", ");
	throw new ModelNotFoundError(`This network serves no model called "${wanted.slice(0, 100)}".`, {
		metaMessages: names === "" ? [] : [`It serves ${names}.`],
		details: { param: "model" },
	});
}
