import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Directory } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Offence, Peer } from "@tabmesh/transport";
import {
	EmptyPromptError,
	equalBytes,
	type FinishReason,
	fromWireError,
	type Hop,
	InvalidParameterError,
	limits,
	NoRouteError,
	PeerUnreachableError,
	PromptTooLongError,
	ProtocolViolationError,
	type Route,
	RouteRefusedError,
	type Sampling,
	StageBusyError,
	StageLostError,
	type StageResponse,
	samplingSchema,
	TabmeshError,
	TimeoutError,
	TokenChainError,
} from "@tabmesh/wire";
import * as v from "valibot";
import { planRoute } from "./planRoute.ts";
import { sealRoute } from "./route.ts";
import { greedy } from "./sampling.ts";
import { StageLink, type StageListener, type StageStatus } from "./stageLink.ts";
import { offenceOf } from "./stageSession.ts";
import { TokenChain } from "./tokenChain.ts";

const DEFAULT_MAX_TOKENS = 256;
/** Often enough that a silent stage is noticed within 2 s. */
const PING_EVERY_MS = 500;
/** Routes tried before an answer is given up: the first, and others without the peers that could not serve. */
const MOST_PLANS = 3;
/** How long peers that are busy, or just took other layers, may take to be able to serve. */
const PATIENCE_MS = 10_000;
/** Least time between two tries after such peers were waited for: a large room changes with every frame. */
const TRY_AGAIN_MS = 250;
/** A route is for opening stages; clocks of devices differ by minutes. */
const ROUTE_LIFETIME_MS = 5 * 60_000;
/** Tokens in one message of the prompt: small enough not to hold up a ping behind it on a slow line. */
const PROMPT_PIECE = 2048;
/** How long the stages' last word on the chain is waited for. */
const LAST_WORD_MS = 1000;
/** A stage that answers pings but brings no token for so long is of no use. */
const STALL_MS = 120_000;
/** Chain links that a stage may be ahead of the tokens that we have heard of. */
const MOST_UNCHECKED = 64;

export interface GenerateInit {
	peer: Peer;
	signer: EnvelopeSigner;
	/** Who is there; read anew for every plan. */
	directory: Pick<Directory, "members" | "addEventListener" | "removeEventListener">;
	room: string;
	/** In a private room: what shows that we may ask there, without its secret. The owner needs none. */
	capability?: string;
	model: ModelRef;
	promptTokens: readonly number[];
	/** @default greedy */
	sampling?: Partial<Sampling>;
	/** Cut to what the context has room for. @default 256 */
	maxTokens?: number;
	/** Tokens that end the answer. @default the model's own end tokens */
	stopTokens?: readonly number[];
	/** @default 1 */
	minStages?: number;
	/** How long the swarm is waited for in all where peers refuse or are busy, in milliseconds. @default 10,000 */
	patienceMs?: number;
	/** Aborting ends the answer as `cancel` does. */
	signal?: AbortSignal;
	/** Called whenever a stage's state or timing changes. */
	onStages?: (stages: readonly StageStatus[]) => void;
}

export interface GeneratedToken {
	readonly token: number;
	readonly position: number;
}

/** What a generation did, in tokens. */
export interface TokenSummary {
	readonly promptTokens: readonly number[];
	/** The answer, the token that ended it included. */
	readonly tokens: readonly number[];
	readonly finishReason: FinishReason | "cancelled";
	readonly stages: readonly StageStatus[];
	readonly timing: { readonly firstTokenMs: number; readonly tokensPerSecond: number };
}

/** A running answer in tokens. Iterating ends with the answer, or throws what went wrong after the last token that came. */
export interface TokenGeneration extends AsyncIterable<GeneratedToken> {
	readonly summary: Promise<TokenSummary>;
	/** Ends the answer now and frees every stage; `summary` resolves with what there is. */
	cancel(): void;
}

/**
 * Lets the swarm continue `promptTokens`: chooses a route, signs it, opens its stages, sends the prompt to the first and
 * takes tokens from the last. Starts at once, whether iterated or not; leaving the loop early cancels.
 *
 * Through the iterator and `summary` it throws EmptyPromptError, PromptTooLongError, InvalidParameterError, NoRouteError,
 * StageLostError when a stage leaves or falls silent, TokenChainError when stages tell different stories, and what stages
 * report. A peer that refuses, is busy or cannot be reached before the first token is left out and the route planned anew;
 * where no other peer holds its layers, a refusal is waited out for a while.
 *
 * @example
 * ```ts
 * for await (const { token } of generate({ peer, signer, directory, room: "public", model, promptTokens: [1, 9038] })) print(token);
 * ```
 */
export function generate(init: GenerateInit): TokenGeneration {
	return new Generation(init);
}

class Generation implements TokenGeneration {
	readonly summary: Promise<TokenSummary>;
	readonly #init: GenerateInit;
	readonly #started = performance.now();
	readonly #cancelled = new AbortController();
	readonly #tokens: number[] = [];
	#firstTokenAt = 0;
	#lastTokenAt = 0;
	#stages: readonly StageStatus[] = [];
	#done: { error?: unknown } | undefined;
	#waiters: (() => void)[] = [];

	constructor(init: GenerateInit) {
		this.#init = init;
		const { signal } = init;
		const onAbort = (): void => this.cancel();
		if (signal?.aborted) this.cancel();
		else signal?.addEventListener("abort", onAbort, { once: true });
		this.summary = this.#run().finally(() => signal?.removeEventListener("abort", onAbort));
		this.summary.then(
			() => this.#end({}),
			(error) => this.#end({ error }),
		);
	}

	cancel(): void {
		this.#cancelled.abort();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<GeneratedToken> {
		try {
			for (let i = 0; ; i++) {
				while (i >= this.#tokens.length && !this.#done) {
					await new Promise<void>((resolve) => this.#waiters.push(resolve));
				}
				const token = this.#tokens[i];
				if (token === undefined) break;
				yield { token, position: this.#init.promptTokens.length + i };
			}
			if (this.#done && "error" in this.#done) throw this.#done.error;
		} finally {
			this.cancel();
		}
	}

	#end(done: { error?: unknown }): void {
		this.#done = done;
		this.#wake();
	}

	#wake(): void {
		const waiters = this.#waiters;
		this.#waiters = [];
		for (const wake of waiters) wake();
	}

	#onToken(token: number): void {
		this.#lastTokenAt = performance.now();
		if (this.#tokens.length === 0) this.#firstTokenAt = this.#lastTokenAt;
		this.#tokens.push(token);
		this.#wake();
	}

	#onStages(stages: readonly StageStatus[]): void {
		this.#stages = stages;
		this.#init.onStages?.(stages);
	}

	async #run(): Promise<TokenSummary> {
		const { directory, model, room, minStages = 1, patienceMs = PATIENCE_MS, peer } = this.#init;
		const { signal } = this.#cancelled;
		const request = checked(this.#init);
		const exclude = new Set<string>();
		let reason: unknown;
		/** By `performance.now()`; begins with the first refusal. */
		let deadline = 0;
		for (let plans = 1; ; ) {
			if (signal.aborted) return this.#summary("cancelled");
			let hops: Hop[];
			try {
				const { id: self, connections } = peer;
				hops = planRoute(directory.members, model, { room, minStages, exclude, self, connections });
			} catch (error) {
				// What the peer that was left out had said is the better explanation.
				if (reason === undefined) throw error;
				if (isRefusal(reason)) {
					const changed = await nextChange(directory, deadline - performance.now(), signal);
					if (!changed && !signal.aborted) throw givenUp(reason, patienceMs);
				} else if (!this.#isPassing(reason) || exclude.size === 0) {
					throw reason;
				}
				// Without it there is no route: what failed or was refused once may succeed the next time.
				exclude.clear();
				continue;
			}
			const attempt = new Attempt(this.#init, request, hops, {
				onToken: (token) => this.#onToken(token),
				onStages: (stages) => this.#onStages(stages),
				signal,
			});
			try {
				return this.#summary(await attempt.run());
			} catch (error) {
				if (!(error instanceof StageFailure)) throw error;
				reason = error.error;
				const now = performance.now();
				if (isRefusal(reason)) deadline ||= now + patienceMs;
				if (this.#tokens.length > 0 || !error.another) throw reason;
				if (plans++ >= MOST_PLANS && now >= deadline) throw reason;
				exclude.add(error.peer);
			}
		}
	}

	/** Whether the same peers may do the next moment what they did not do now: a dial failed, or a stream of a peer that is still there. */
	#isPassing(error: unknown): boolean {
		if (error instanceof PeerUnreachableError || error instanceof TimeoutError) return true;
		if (!(error instanceof StageLostError)) return false;
		return this.#init.peer.connections.some(({ peer }) => peer === error.details.peer);
	}

	#summary(finishReason: TokenSummary["finishReason"]): TokenSummary {
		const seconds = (this.#lastTokenAt - this.#firstTokenAt) / 1000;
		const count = this.#tokens.length;
		return {
			promptTokens: [...this.#init.promptTokens],
			tokens: [...this.#tokens],
			finishReason,
			stages: this.#stages,
			timing: {
				firstTokenMs: count > 0 ? this.#firstTokenAt - this.#started : 0,
				tokensPerSecond: seconds > 0 ? (count - 1) / seconds : 0,
			},
		};
	}
}

/** Whether a peer said itself that it cannot serve now. */
function isRefusal(error: unknown): error is RouteRefusedError | StageBusyError {
	return error instanceof RouteRefusedError || error instanceof StageBusyError;
}

/** A peer's refusal, and that nobody took its place. */
function givenUp(reason: RouteRefusedError | StageBusyError, patienceMs: number): TabmeshError {
	if (patienceMs === 0) return reason;
	const ErrorClass = reason instanceof StageBusyError ? StageBusyError : RouteRefusedError;
	return new ErrorClass(reason.shortMessage, {
		metaMessages: [
			`Nobody else could take its place within ${patienceMs / 1000} s.`,
			"Ask again in a moment, or open the lend page on another device.",
		],
		details: reason.details,
		cause: reason,
	});
}

/**
 * Waits until the directory shows something new, and for a moment in any case.
 *
 * @returns false where nothing came within `withinMs`, or the signal was aborted
 */
async function nextChange(
	directory: GenerateInit["directory"],
	withinMs: number,
	signal: AbortSignal,
): Promise<boolean> {
	if (withinMs <= 0) return false;
	let timer: ReturnType<typeof setTimeout> | undefined;
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const started = performance.now();
	const onChange = (): void => {
		const wait = Math.max(0, started + TRY_AGAIN_MS - performance.now());
		directory.removeEventListener("change", onChange);
		clearTimeout(timer);
		timer = setTimeout(() => resolve(true), wait);
	};
	const onAbort = (): void => resolve(false);
	timer = setTimeout(() => resolve(false), withinMs);
	directory.addEventListener("change", onChange);
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		return await promise;
	} finally {
		clearTimeout(timer);
		directory.removeEventListener("change", onChange);
		signal.removeEventListener("abort", onAbort);
	}
}

/** What is asked for, checked and complete. */
interface CheckedRequest {
	readonly promptTokens: readonly number[];
	readonly sampling: Sampling;
	readonly maxTokens: number;
	readonly stopTokens: readonly number[];
	readonly maxPositions: number;
}

function checked(init: GenerateInit): CheckedRequest {
	const { promptTokens, model, maxTokens = DEFAULT_MAX_TOKENS } = init;
	const { contextLength, vocabularySize } = model.manifest.config;
	const { eos } = model.manifest.tokenizer;
	if (promptTokens.length === 0)
		throw new EmptyPromptError("There is nothing to continue: the prompt is empty.");
	// One position is the answer's.
	const longest = contextLength - 1;
	if (promptTokens.length > longest) {
		throw new PromptTooLongError(
			`The prompt has ${promptTokens.length} tokens; the model takes at most ${longest}.`,
			{
				metaMessages: [`Shorten it by ${promptTokens.length - longest} tokens.`],
				details: { promptTokens: promptTokens.length, maxPromptTokens: longest, contextLength },
			},
		);
	}
	const stopTokens = init.stopTokens ?? eos;
	for (const token of [...promptTokens, ...stopTokens]) {
		if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
			throw new InvalidParameterError(
				`${token} is no token of this model: its vocabulary has ${vocabularySize}.`,
				{ details: { vocabularySize } },
			);
		}
	}
	if (!Number.isInteger(maxTokens) || maxTokens < 1) {
		throw new InvalidParameterError(`maxTokens must be a whole number from 1 on, not ${maxTokens}.`);
	}
	if (stopTokens.length > 64) throw new InvalidParameterError("There can be at most 64 stop tokens.");
	const sampling = v.safeParse(samplingSchema, { ...greedy, ...init.sampling });
	if (!sampling.success) {
		const [issue] = sampling.issues;
		throw new InvalidParameterError(
			`The sampling option ${v.getDotPath(issue) ?? ""} is out of range: ${issue.message}`,
		);
	}
	const fitting = Math.min(maxTokens, contextLength - promptTokens.length);
	return {
		promptTokens,
		sampling: sampling.output,
		maxTokens: fitting,
		stopTokens,
		maxPositions: promptTokens.length + fitting,
	};
}

/** A stage could not or would not go on. */
class StageFailure extends Error {
	readonly peer: string;
	readonly error: unknown;
	/** Whether another peer could do what this one did not. */
	readonly another: boolean;

	constructor(peer: string, error: unknown) {
		super("A stage failed.", { cause: error });
		this.peer = peer;
		this.error = error;
		this.another = !(error instanceof InvalidParameterError);
	}
}

interface AttemptListener {
	onToken(token: number): void;
	onStages(stages: readonly StageStatus[]): void;
	readonly signal: AbortSignal;
}

/** One stream on one route. */
class Attempt implements StageListener {
	readonly #init: GenerateInit;
	readonly #request: CheckedRequest;
	readonly #listener: AttemptListener;
	readonly #links: StageLink[];
	readonly #chain = new TokenChain();
	/** Links of the chain that stages told us before we heard of the tokens. */
	readonly #unchecked = new Map<StageLink, { position: number; chain: Uint8Array }[]>();
	readonly #stop = new AbortController();
	readonly #ready = Promise.withResolvers<void>();
	readonly #finished = Promise.withResolvers<FinishReason>();
	readonly #failed = Promise.withResolvers<never>();
	#finish: FinishReason | undefined;
	#lastToken = performance.now();
	#settled = false;

	constructor(init: GenerateInit, request: CheckedRequest, hops: readonly Hop[], listener: AttemptListener) {
		this.#init = init;
		this.#request = request;
		this.#listener = listener;
		this.#links = hops.map((hop) => new StageLink(hop, this));
		for (const token of request.promptTokens) this.#chain.push(token);
		for (const { promise } of [this.#ready, this.#finished, this.#failed]) promise.catch(() => {});
	}

	async run(): Promise<FinishReason | "cancelled"> {
		const { peer } = this.#init;
		const { signal } = this.#listener;
		const cancelled = new Promise<"cancelled">((resolve) => {
			if (signal.aborted) resolve("cancelled");
			else signal.addEventListener("abort", () => resolve("cancelled"), { once: true });
		});
		const onDisconnect = ({ detail }: CustomEvent<{ peer: string }>): void => {
			this.#links.find((link) => link.hop.peer === detail.peer)?.disconnected();
		};
		peer.addEventListener("disconnect", onDisconnect);
		const watch = this.#watch();
		try {
			const result = await Promise.race([this.#generate(), this.#failed.promise, cancelled]);
			if (result !== "cancelled") await this.#lastWords();
			return result;
		} finally {
			this.#settled = true;
			clearInterval(watch);
			peer.removeEventListener("disconnect", onDisconnect);
			for (const link of this.#links) link.close();
			this.#stop.abort();
		}
	}

	async #generate(): Promise<FinishReason> {
		const { capability, model, peer, room, signer } = this.#init;
		const { promptTokens, sampling, maxTokens, stopTokens, maxPositions } = this.#request;
		this.#changed();
		const route: Route = {
			stream: crypto.getRandomValues(new Uint8Array(16)),
			generation: 0,
			room,
			model: model.id,
			hops: this.#links.map((link) => link.hop),
			expires: Date.now() + ROUTE_LIFETIME_MS,
			...(capability === undefined ? {} : { capability }),
		};
		const sealed = (await sealRoute(signer, route)) as Uint8Array<ArrayBuffer>;
		const generation = {
			sampling,
			maxTokens,
			stopTokens: [...stopTokens],
			...(sampling.repetitionPenalty === 1 ? {} : { history: promptTokens.slice(-limits.controlTokens) }),
		};
		for (const link of this.#links) {
			const isLast = link === this.#links.at(-1);
			void link.open(
				peer,
				{ type: "open", route: sealed, maxPositions, ...(isLast ? { generation } : {}) },
				this.#stop.signal,
			);
		}
		await this.#ready.promise;
		this.#lastToken = performance.now();
		const first = this.#links[0]!;
		for (let position = 0; position < promptTokens.length; position += PROMPT_PIECE) {
			const tokens = promptTokens.slice(position, position + PROMPT_PIECE);
			const last = position + tokens.length === promptTokens.length;
			// A stream that is gone is noticed by its reader.
			await first.send({ type: "prompt", position, tokens, last }).catch(() => {});
		}
		return this.#finished.promise;
	}

	/** Pings every stage. */
	#watch(): ReturnType<typeof setInterval> {
		return setInterval(() => {
			const now = performance.now();
			for (const link of this.#links) link.check(now);
			const ready = this.#links.every((link) => link.status.state === "ready");
			if (ready && !this.#finish && now - this.#lastToken > STALL_MS) {
				const { peer } = this.#links.at(-1)!.hop;
				const error = new TimeoutError("The stages are there but bring no tokens.", { details: { peer } });
				this.#fail(peer, error);
			}
		}, PING_EVERY_MS);
	}

	/** Ends the stream in order and compares what every stage says of the whole chain. */
	async #lastWords(): Promise<void> {
		for (const link of this.#links) link.finish();
		let timer: ReturnType<typeof setTimeout> | undefined;
		const timeout = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, LAST_WORD_MS);
		});
		try {
			const ended = Promise.all(this.#links.map((link) => link.ended));
			await Promise.race([ended, timeout, this.#failed.promise]);
		} finally {
			clearTimeout(timer);
		}
	}

	onResponse(link: StageLink, response: Exclude<StageResponse, { type: "pong" }>): void {
		switch (response.type) {
			case "preparing": {
				const { loadedBytes, totalBytes } = response;
				const progress = totalBytes > 0 ? Math.min(1, loadedBytes / totalBytes) : 0;
				link.update({ state: "preparing", progress });
				this.#changed();
				return;
			}
			case "ready":
				link.update({ state: "ready", progress: 1, numericsClass: response.numericsClass });
				this.#changed();
				if (this.#links.every(({ status }) => status.state === "ready")) this.#ready.resolve();
				return;
			case "token":
				this.#onToken(link, response);
				return;
			case "progress":
				link.update({ msPerToken: response.msPerToken });
				this.#checkChain(link, response.position, response.chain);
				this.#changed();
				return;
			case "error":
				this.#fail(link.hop.peer, fromWireError(response.error));
		}
	}

	onLost(link: StageLink, error: unknown): void {
		// After the last token a stage may go; its last word is missing then, the answer is not.
		if (this.#finish || this.#settled) return;
		const offence = offenceOf(error);
		this.#fail(link.hop.peer, error, error instanceof TokenChainError ? undefined : offence);
	}

	#onToken(link: StageLink, message: Extract<StageResponse, { type: "token" }>): void {
		const { position, token, chain, finish } = message;
		const { promptTokens, maxTokens } = this.#request;
		const ready = this.#links.every(({ status }) => status.state === "ready");
		if (
			link !== this.#links.at(-1) ||
			!ready ||
			this.#finish ||
			position !== this.#chain.length ||
			position - promptTokens.length >= maxTokens ||
			token >= this.#init.model.manifest.config.vocabularySize
		) {
			this.#fail(
				link.hop.peer,
				new ProtocolViolationError("A stage sent a token that was not due.", { details: { position } }),
				"violation",
			);
			return;
		}
		const own = this.#chain.push(token);
		if (!equalBytes(own, chain)) {
			this.#forked(link, position + 1);
			return;
		}
		this.#lastToken = performance.now();
		for (const [stage, links] of this.#unchecked) {
			while (links.length > 0 && links[0]!.position <= this.#chain.length) {
				const { position: at, chain: told } = links.shift()!;
				this.#checkChain(stage, at, told);
			}
		}
		if (this.#settled) return;
		this.#listener.onToken(token);
		if (finish) {
			this.#finish = finish;
			this.#finished.resolve(finish);
		}
	}

	#checkChain(link: StageLink, position: number, chain: Uint8Array): void {
		if (position > this.#chain.length) {
			const links = this.#unchecked.get(link) ?? [];
			if (links.length === MOST_UNCHECKED || position > this.#request.maxPositions) {
				const error = new ProtocolViolationError("A stage claims to be ahead of its stream.");
				this.#fail(link.hop.peer, error, "violation");
				return;
			}
			links.push({ position, chain });
			this.#unchecked.set(link, links);
		} else if (!equalBytes(this.#chain.at(position), chain)) {
			this.#forked(link, position);
		}
	}

	/**
	 * Two stories were told. When the first stage computes with other tokens than we heard, the last stage told them; a stage
	 * between them only repeats what runs through it.
	 */
	#forked(link: StageLink, position: number): void {
		const liar = link === this.#links[0] ? this.#links.at(-1)! : link;
		this.#fail(
			liar.hop.peer,
			new TokenChainError("Stages of the route disagree about which tokens were generated.", {
				details: { position, peer: liar.hop.peer },
			}),
			"equivocation",
		);
	}

	#fail(peer: string, error: unknown, offence?: Offence): void {
		if (!this.#settled) this.#settle(peer, error);
		// Last: it may end the connection to the peer, which is no news any more then.
		if (offence) this.#init.peer.report(peer, offence);
	}

	#settle(peer: string, error: unknown): void {
		this.#settled = true;
		const blamed = error instanceof TabmeshError ? error.details.peer : undefined;
		const known =
			this.#links.find((link) => link.hop.peer === blamed) ?? this.#links.find((l) => l.hop.peer === peer)!;
		known.update({ state: "lost" });
		this.#changed();
		this.#failed.reject(new StageFailure(known.hop.peer, naming(error, known.hop.peer)));
	}

	#changed(): void {
		this.#listener.onStages(this.#links.map((link) => link.status));
	}
}

/** The same error with the peer that it is about in its details. */
function naming(error: unknown, peer: string): unknown {
	if (!(error instanceof TabmeshError) || error instanceof NoRouteError || error.details.peer === peer) {
		return error;
	}
	return fromWireError({
		code: error.code,
		message: error.shortMessage,
		details: { ...error.details, peer },
	});
}
