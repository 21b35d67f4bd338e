import { ModelNotFoundError } from "@tabmesh/wire";
import type {
	AnswerProbability,
	CalledTool,
	GenerationSummary,
	ModelView,
	Tabmesh,
	TokenProbability,
} from "../tabmesh.ts";
import { embedInputs } from "./embedInputs.ts";
import {
	type GenerationRequest,
	readChatRequest,
	readCompletionRequest,
	readEmbeddingRequest,
} from "./requests.ts";
import { RunningAnswers } from "./runningAnswers.ts";
import type {
	ChatCompletion,
	ChatCompletionChunk,
	ChatCompletionParams,
	ChatFinishReason,
	ChatLogprobs,
	Completion,
	CompletionChunk,
	CompletionLogprobs,
	CompletionParams,
	EmbeddingList,
	EmbeddingParams,
	Model,
	ModelList,
	ToolCall,
	Usage,
} from "./shapes.ts";

interface RequestOptions {
	/** Frees every stage; what was not told yet is not told. */
	signal?: AbortSignal;
	/** For whom is asked, where that are several people: what peers keep of one's answers begins nobody else's. */
	apart?: string;
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
	readonly embeddings: {
		/**
		 * The vectors of texts: means of a chat model's final hidden states. They tell texts about one thing from others, and are no match for
		 * a model that was trained to do so.
		 *
		 * @throws InvalidParameterError with the field in `details.param`, ModelNotFoundError, and what `Tabmesh.embed` throws
		 */
		create(
			params: EmbeddingParams & { encoding_format: "base64" },
			options?: RequestOptions,
		): Promise<EmbeddingList<string>>;
		create(
			params: EmbeddingParams & { encoding_format?: "float" },
			options?: RequestOptions,
		): Promise<EmbeddingList>;
		create(params: EmbeddingParams, options?: RequestOptions): Promise<EmbeddingList<number[] | string>>;
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
		embeddings: {
			create: (async (params: EmbeddingParams, options: RequestOptions = {}) => {
				const request = readEmbeddingRequest(params);
				options.signal?.throwIfAborted();
				const { name } = findModel(mesh, request.model);
				return { ...(await embedInputs(mesh, request, options)), model: name };
			}) as OpenAi["embeddings"]["create"],
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

/** One answer of a request, whole. */
interface Answer {
	readonly index: number;
	readonly text: string;
	readonly calls: readonly ToolCall[];
	readonly finish: FinishReason;
	readonly logprobs: readonly AnswerProbability[] | undefined;
}

/** A part of one answer: text, or calls of functions of which the first is at `firstCall`, or its end. */
type Part = Partial<Omit<Answer, "index">> & { readonly index: number; readonly firstCall?: number };

/** How one of the two APIs words answers. */
interface Form<Whole, Piece> {
	readonly prefix: string;
	/** What comes before the first piece of an answer's text. */
	begin(head: Head, index: number): Piece[];
	piece(head: Head, part: Part): Piece;
	/** No choice: only what it cost. */
	cost(head: Head): Piece;
	whole(head: Head, answers: readonly Answer[], usage: Usage): Whole;
}

const chatForm: Form<ChatCompletion, ChatCompletionChunk> = {
	prefix: "chatcmpl",
	begin: (head, index) => [chatPiece(head, index, { role: "assistant", content: "", refusal: null })],
	piece: (head, { index, text, calls, firstCall = 0, finish, logprobs }) => {
		const delta = {
			...(text === undefined ? {} : { content: text }),
			...(calls ? { tool_calls: calls.map((call, i) => ({ index: firstCall + i, ...call })) } : {}),
		};
		return chatPiece(head, index, delta, chatLogprobs(logprobs), finish);
	},
	cost: (head) => ({ ...head, object: "chat.completion.chunk", choices: [] }),
	whole: (head, answers, usage) => ({
		...head,
		object: "chat.completion",
		choices: answers.map(({ index, text, calls, finish, logprobs }) => ({
			index,
			message: {
				role: "assistant",
				content: calls.length > 0 ? null : text,
				refusal: null,
				...(calls.length > 0 ? { tool_calls: [...calls] } : {}),
			},
			logprobs: chatLogprobs(logprobs),
			finish_reason: finish,
		})),
		usage,
	}),
};

function chatPiece(
	head: Head,
	index: number,
	delta: ChatCompletionChunk["choices"][number]["delta"],
	logprobs: ChatLogprobs | null = null,
	finish_reason: FinishReason | null = null,
): ChatCompletionChunk {
	return {
		...head,
		object: "chat.completion.chunk",
		choices: [{ index, delta, logprobs, finish_reason }],
	};
}

function chatLogprobs(told: readonly AnswerProbability[] | undefined): ChatLogprobs | null {
	if (!told) return null;
	const token = ({ text, bytes, logprob }: TokenProbability) => {
		return { token: text, bytes: bytes ? [...bytes] : null, logprob };
	};
	const content = told.map((each) => ({ ...token(each), top_logprobs: each.top.map(token) }));
	return { content, refusal: null };
}

const completionForm: Form<Completion, CompletionChunk> = {
	prefix: "cmpl",
	begin: () => [],
	piece: (head, { index, text = "", finish, logprobs }) => ({
		...head,
		object: "text_completion",
		choices: [
			{
				index,
				text,
				logprobs: completionLogprobs(logprobs),
				finish_reason: finish === undefined ? null : textFinish(finish),
			},
		],
	}),
	cost: (head) => ({ ...head, object: "text_completion", choices: [] }),
	whole: (head, answers, usage) => ({
		...head,
		object: "text_completion",
		choices: answers.map(({ index, text, finish, logprobs }) => ({
			index,
			text,
			logprobs: completionLogprobs(logprobs),
			finish_reason: textFinish(finish),
		})),
		usage,
	}),
};

/** A text is never a call. */
function textFinish(finish: FinishReason): "stop" | "length" {
	return finish === "length" ? "length" : "stop";
}

function completionLogprobs(told: readonly AnswerProbability[] | undefined): CompletionLogprobs | null {
	if (!told) return null;
	return {
		tokens: told.map(({ text }) => text),
		token_logprobs: told.map(({ logprob }) => logprob),
		// Of several tokens that are written alike the likeliest stands there.
		top_logprobs: told.map(({ top }) =>
			Object.fromEntries(top.toReversed().map(({ text, logprob }) => [text, logprob])),
		),
		text_offset: told.map(({ at }) => at),
	};
}

async function answer<Whole, Piece extends { usage?: Usage | null }>(
	mesh: Tabmesh,
	request: GenerationRequest,
	form: Form<Whole, Piece>,
	{ apart, signal }: RequestOptions = {},
): Promise<Whole | AsyncIterable<Piece>> {
	signal?.throwIfAborted();
	const { id, name } = findModel(mesh, request.model);
	const head: Head = {
		id: `${form.prefix}-${crypto.randomUUID().replaceAll("-", "")}`,
		created: Math.floor(Date.now() / 1000),
		model: name,
		system_fingerprint: id,
	};
	const running = new RunningAnswers(mesh, request, { apart, signal });
	if (request.stream) {
		const pieces = streamed(running, head, form, request);
		// What fails before the first piece is the request's error, not the stream's.
		const first = await pieces.next();
		return continued(first, pieces);
	}
	const answers: Answer[] = [];
	for await (const { summary, index } of running) {
		if (!summary) continue;
		const finish = finishOf(summary);
		if (finish === undefined)
			throw signal?.reason ?? new DOMException("The answer was cancelled.", "AbortError");
		const { text } = summary;
		const calls = (summary.calls ?? []).map(worded);
		const logprobs = calls.length > 0 ? undefined : summary.logprobs;
		answers.push({ index, text, calls, finish: withCalls(finish, calls.length), logprobs });
	}
	answers.sort((a, b) => a.index - b.index);
	return form.whole(head, answers, running.usage);
}

/** What of one answer has been told. */
interface Telling {
	begun: boolean;
	called: number;
	/** Of text that is held back. */
	logprobs: AnswerProbability[];
}

async function* streamed<Piece extends { usage?: Usage | null }>(
	running: RunningAnswers,
	head: Head,
	form: Form<unknown, Piece>,
	{ includeUsage }: GenerationRequest,
): AsyncGenerator<Piece, void> {
	const tellings = new Map<number, Telling>();
	const told = (piece: Piece): Piece => (includeUsage ? { ...piece, usage: null } : piece);
	for await (const { index, piece, summary } of running) {
		const known = tellings.get(index);
		const telling: Telling = known ?? { begun: false, called: 0, logprobs: [] };
		tellings.set(index, telling);
		const finish = summary && finishOf(summary);
		// Whoever cancelled does not wait for an end.
		if (summary && finish === undefined) return;
		if (!telling.begun) for (const each of form.begin(head, index)) yield told(each);
		telling.begun = true;
		if (piece) {
			const { text } = piece;
			const calls = (piece.calls ?? []).map(worded);
			telling.logprobs.push(...(piece.logprobs ?? []));
			// Half a character, or what may become a stop string or a call.
			if (text !== "") {
				const logprobs = piece.logprobs && telling.logprobs.splice(0);
				yield told(form.piece(head, { index, text, logprobs }));
			}
			if (calls.length > 0) yield told(form.piece(head, { index, calls, firstCall: telling.called }));
			telling.called += calls.length;
		}
		if (finish === undefined) continue;
		const rest = telling.called === 0 && telling.logprobs.length > 0 ? telling.logprobs : undefined;
		yield told(form.piece(head, { index, finish: withCalls(finish, telling.called), logprobs: rest }));
	}
	if (includeUsage) yield { ...form.cost(head), usage: running.usage };
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

function worded({ id, name, arguments: given }: CalledTool): ToolCall {
	return { id, type: "function", function: { name, arguments: given } };
}

function withCalls(finish: FinishReason, calls: number): FinishReason {
	return calls > 0 && finish === "stop" ? "tool_calls" : finish;
}

function finishOf({ finishReason }: GenerationSummary): FinishReason | undefined {
	return finishReason === "cancelled" ? undefined : finishReason;
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
