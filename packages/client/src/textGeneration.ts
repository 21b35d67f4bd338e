import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Directory } from "@tabmesh/directory";
import type { LoadProgress, ShardSource, Tokenizer } from "@tabmesh/model";
import type { ConstraintVocabulary } from "@tabmesh/model/constraint";
import {
	type Experience,
	generate,
	ownSpanOf,
	type ResumableStream,
	type SignedReceipt,
	type TokenGeneration,
} from "@tabmesh/pipeline";
import type { Peer } from "@tabmesh/transport";
import {
	type Constraint,
	EmptyPromptError,
	InvalidParameterError,
	ProtocolViolationError,
	type Sampling,
	type TokenLogprob,
} from "@tabmesh/wire";
import { apartOf } from "./apartOf.ts";
import type { LeftAnswer } from "./leftAnswer.ts";
import { tokenizerBytes, tokenizerOf } from "./modelTokenizer.ts";
import type { NetworkModel } from "./networkModel.ts";
import type { OwnPart } from "./ownPart.ts";
import { StopStrings } from "./stopStrings.ts";
import type {
	AnswerPiece,
	AnswerProbability,
	CalledTool,
	GenerateOptions,
	Generation,
	GenerationSummary,
	ReplayView,
	StageView,
	TokenProbability,
} from "./tabmesh.ts";
import type { Calling } from "./toolCalls.ts";

/** What of the network an answer needs. */
export interface GenerationNetwork {
	readonly peer: Peer;
	readonly signer: EnvelopeSigner;
	readonly directory: Directory;
	readonly room: string;
	/** In a private room: what shows that we may ask there. */
	readonly capability?: string;
	readonly minStages: number;
	/** Chain on which receipts may be settled (EIP-155); 0 for none. */
	readonly chainId: number;
	/** What earlier answers taught of peers. */
	readonly experience: Experience;
	/** For private answers. */
	readonly ownPart: OwnPart;
	model(nameOrId: string | undefined): Promise<NetworkModel>;
	source(model: NetworkModel): ShardSource;
}

const defaultMaxTokens = 256;
/** Strings that end an answer; more than this is a list, not a choice. */
const mostStopStrings = 16;

/** One running answer: text in, tokens around the ring, text out. */
export class TextGeneration implements Generation {
	readonly summary: Promise<GenerationSummary>;
	readonly #network: GenerationNetwork;
	readonly #options: GenerateOptions;
	readonly #resume: ResumableStream | undefined;
	#answer: TokenGeneration | undefined;
	/** What is asked for, once that is known. */
	#asked: Omit<LeftAnswer, "stream"> | undefined;
	readonly #cancelled = new AbortController();
	readonly #pieces: AnswerPiece[] = [];
	#ended = false;
	#wake: (() => void) | undefined;

	/** @param resume - a stream that was left, where the answer goes on with one; `options` are what was asked for then */
	constructor(network: GenerationNetwork, options: GenerateOptions, resume?: ResumableStream) {
		this.#network = network;
		this.#options = options;
		this.#resume = resume;
		this.summary = this.#run().finally(() => {
			this.#ended = true;
			this.#wake?.();
		});
		// Who only iterates gets the error from the iterator; it must not count as unhandled here.
		this.summary.catch(() => {});
	}

	cancel(): void {
		this.#cancelled.abort();
	}

	detach(): string | undefined {
		const { logprobs, tools } = this.#options;
		const stream = logprobs === undefined && !tools ? this.#answer?.detach() : undefined;
		this.cancel();
		return stream && JSON.stringify({ ...this.#asked, stream } satisfies Partial<LeftAnswer>);
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<AnswerPiece> {
		try {
			for (let next = 0; ; ) {
				const piece = this.#pieces[next];
				if (piece) {
					next++;
					yield piece;
				} else if (this.#ended) {
					await this.summary;
					return;
				} else {
					await new Promise<void>((resolve) => {
						this.#wake = resolve;
					});
				}
			}
		} finally {
			// Whoever stops listening stops paying.
			this.cancel();
		}
	}

	async #run(): Promise<GenerationSummary> {
		const started = performance.now();
		const options = this.#options;
		const sampling = samplingOf(options);
		const model = await this.#network.model(options.model);
		const source = this.#network.source(model);
		const tokenizer = await tokenizerOf(model, source);
		const calling = await callingFor(options, tokenizer);
		const promptTokens = promptOf(options, tokenizer, calling);
		const constraint = calling?.constraint ?? options.constraint;
		const reader = calling?.constraint && new calling.CallReader(calling.form);
		const calls: CalledTool[] = [];
		const held = constraint && (await heldTo(constraint, model, source));
		const stop = stopsOf(options);
		const stops = new StopStrings(stop);
		const decoder = tokenizer.streamingDecoder(promptTokens);
		const tokens: number[] = [];
		let stages: readonly StageView[] = [];
		const replays: ReplayView[] = [];
		let text = "";
		let firstTokenAt = 0;
		let lastTokenAt = 0;
		let finishReason: GenerationSummary["finishReason"] | undefined;
		let receipts: readonly SignedReceipt[] = [];
		let laps: GenerationSummary["laps"] = { count: 0, drafted: 0, accepted: 0 };

		const asksLogprobs = options.logprobs !== undefined;
		const logprobs: AnswerProbability[] = [];
		/** Of tokens whose text is not shown yet. */
		const later: AnswerProbability[] = [];
		let decoded = 0;

		const show = (written: string, token: number, isEnd = false): void => {
			const { text: piece, calls: made } = reader?.push(written) ?? { text: written, calls: [] };
			text += piece;
			calls.push(...made);
			// Of a call nobody asks how likely its letters were.
			if (calls.length > 0) later.length = 0;
			const shown = later.findLastIndex(({ at }) => at < text.length || isEnd);
			const told = later.splice(0, shown + 1);
			logprobs.push(...told);
			this.#pieces.push({
				text: piece,
				token,
				...(made.length > 0 ? { calls: made } : {}),
				...(asksLogprobs ? { logprobs: told } : {}),
			});
			this.#wake?.();
		};
		const signal = options.signal
			? AbortSignal.any([options.signal, this.#cancelled.signal])
			: this.#cancelled.signal;
		const { eos } = model.manifest.tokenizer;
		const { capability } = this.#network;
		const maxTokens = options.maxTokens ?? defaultMaxTokens;
		this.#asked = {
			peer: this.#network.peer.id,
			model: model.id,
			promptTokens,
			sampling,
			maxTokens,
			stop: [...stop],
			...(constraint ? { constraint } : {}),
			...(options.private ? { private: true } : {}),
		};
		/** Tokens that were there before the answer was left. */
		const before = this.#resume?.tokens.length ?? 0;
		const onStages = (views: readonly StageView[]): void => {
			stages = views;
			options.onStages?.(views);
		};
		let own: Awaited<ReturnType<OwnPart["take"]>> | undefined;
		try {
			if (options.private) own = await this.#takeOwnPart(model, signal, onStages);
			const answer = generate({
				...(own ? { ends: own.ends } : {}),
				peer: this.#network.peer,
				signer: this.#network.signer,
				directory: this.#network.directory,
				room: this.#network.room,
				chainId: this.#network.chainId,
				...(capability === undefined ? {} : { capability }),
				model,
				promptTokens,
				sampling,
				maxTokens,
				stopTokens: eos,
				...(constraint ? { constraint } : {}),
				...(asksLogprobs ? { logprobs: options.logprobs } : {}),
				...(options.apart === undefined ? {} : { apart: await apartOf(options.apart) }),
				...(this.#resume ? { resume: this.#resume } : {}),
				minStages: options.minStages ?? this.#network.minStages,
				speculation: options.speculation ?? true,
				experience: this.#network.experience,
				signal,
				onReplay: (replay) => {
					replays.push(replay);
					options.onReplay?.(replay);
				},
				...(options.onWait ? { onWait: options.onWait } : {}),
				onStages,
			});
			this.#answer = answer;
			for await (const { token, logprobs: told } of answer) {
				if (tokens.length >= before) lastTokenAt = performance.now();
				firstTokenAt ||= lastTokenAt;
				if (eos.includes(token)) continue;
				held?.(token);
				tokens.push(token);
				if (told) later.push(probabilityOf(token, told, tokenizer, decoded));
				const piece = decoder.push(token);
				decoded += piece.length;
				const { shown, stopped } = stops.push(piece);
				show(shown, token);
				if (stopped) {
					finishReason = "stop";
					break;
				}
			}
			const summary = await answer.summary;
			finishReason ??= summary.finishReason;
			receipts = summary.receipts;
			laps = summary.laps;
		} catch (error) {
			if (!signal.aborted) throw error;
			finishReason = "cancelled";
		} finally {
			own?.release();
		}
		const rest = stops.hit ? "" : stops.push(decoder.flush()).shown + stops.flush();
		if (rest || (later.length > 0 && !stops.hit)) show(rest, tokens.at(-1) ?? 0, true);
		const decodeMs = lastTokenAt - firstTokenAt;
		return {
			model: model.id,
			promptTokens,
			tokens,
			text,
			...(calls.length > 0 ? { calls } : {}),
			...(asksLogprobs ? { logprobs } : {}),
			finishReason,
			stages,
			replays,
			receipts,
			laps,
			timing: {
				firstTokenMs: firstTokenAt > 0 ? firstTokenAt - started : 0,
				tokensPerSecond: decodeMs > 0 ? ((tokens.length - before - 1) * 1000) / decodeMs : 0,
			},
		};
	}

	/** This device's own part; while it loads it is shown as the stage that it is. */
	#takeOwnPart(
		model: NetworkModel,
		signal: AbortSignal,
		onStages: (views: readonly StageView[]) => void,
	): ReturnType<OwnPart["take"]> {
		const { ownPart, peer } = this.#network;
		const span = ownSpanOf(model);
		const onProgress = ({ loadedBytes, totalBytes }: LoadProgress): void => {
			const progress = totalBytes > 0 ? loadedBytes / totalBytes : 0;
			onStages([{ peer: peer.id, span, state: "preparing", progress, msPerToken: 0 }]);
		};
		return ownPart.take(model, { signal, onProgress });
	}
}

/**
 * What was asked for over the defaults; `pipeline` checks the ranges. A question gets the likeliest answer, the same each time: chance
 * costs small models their facts first. A beginning is continued in ever other ways.
 */
function samplingOf(options: GenerateOptions): Sampling {
	return {
		temperature: options.temperature ?? (options.messages ? 0 : 0.8),
		topK: options.topK ?? 0,
		topP: options.topP ?? 1,
		minP: options.minP ?? 0.05,
		repetitionPenalty: options.repetitionPenalty ?? 1,
		seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
		presencePenalty: options.presencePenalty ?? 0,
		frequencyPenalty: options.frequencyPenalty ?? 0,
		logitBias: options.logitBias ?? [],
	};
}

/** What was told of a token, in text. */
function probabilityOf(
	token: number,
	{ logprob, top }: TokenLogprob,
	tokenizer: Tokenizer,
	at: number,
): AnswerProbability {
	const written = (token: number, logprob: number): TokenProbability => {
		const { text, bytes } = tokenizer.piece(token);
		return { token, text, bytes, logprob };
	};
	return { ...written(token, logprob), at, top: top.map(([id, each]) => written(id, each)) };
}

function stopsOf({ stop = [] }: GenerateOptions): readonly string[] {
	if (stop.length > mostStopStrings || stop.some((text) => text === "")) {
		throw new InvalidParameterError(
			`At most ${mostStopStrings} stop strings are taken, and none of them empty.`,
		);
	}
	return stop;
}

/** What of a chat is about functions; undefined where nothing is. */
async function callingFor({ constraint, messages, tools }: GenerateOptions, tokenizer: Tokenizer) {
	if (tools && (!messages || constraint)) {
		throw new InvalidParameterError("Functions are called in answers to messages, and beside no other form.");
	}
	if (!messages || !(tools || messages.some((turn) => turn.role === "tool" || "calls" in turn)))
		return undefined;
	const { CallReader, callingOf } = await import("./toolCalls.ts");
	return { CallReader, ...callingOf(messages, tools, tokenizer.toolForm) };
}

function promptOf(options: GenerateOptions, tokenizer: Tokenizer, calling: Calling | undefined): number[] {
	const { messages, prompt, promptTokens } = options;
	if ([messages, prompt, promptTokens].filter((given) => given !== undefined).length !== 1) {
		throw new InvalidParameterError("Exactly one of messages, prompt and promptTokens is needed.");
	}
	// A beginning-of-text token alone would be a prompt to the model; to a person who wrote nothing it is none.
	if (prompt === "" || messages?.length === 0) {
		throw new EmptyPromptError("There is nothing to continue: the prompt is empty.");
	}
	if (promptTokens) return [...promptTokens];
	if (calling) return tokenizer.encodeChat(calling.turns, calling.tools);
	if (messages) return tokenizer.encodeChat(messages);
	return tokenizer.encodePrompt(prompt!);
}

const vocabularies = new WeakMap<NetworkModel, Promise<ConstraintVocabulary>>();

/**
 * What checks that the last stage keeps to the form that it was told: call it with every token.
 *
 * @throws InvalidParameterError where the form is not offered
 */
async function heldTo(
	terms: Constraint,
	model: NetworkModel,
	source: ShardSource,
): Promise<(token: number) => void> {
	const { ConstraintVocabulary, TokenConstraint } = await import("@tabmesh/model/constraint");
	let vocabulary = vocabularies.get(model);
	if (!vocabulary) {
		vocabulary = tokenizerBytes(model, source).then(
			(bytes) => new ConstraintVocabulary(bytes, model.manifest),
		);
		vocabularies.set(model, vocabulary);
		vocabulary.catch(() => vocabularies.delete(model));
	}
	const constraint = new TokenConstraint(terms, await vocabulary);
	let match = constraint.begin;
	return (token) => {
		const next = constraint.accept(match, token);
		if (!next) throw new ProtocolViolationError("The last stage did not keep to the form of the answer.");
		match = next;
	};
}
