import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Directory } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Peer } from "@tabmesh/transport";
import {
	type Constraint,
	type FinishReason,
	type Hop,
	PeerUnreachableError,
	RouteRefusedError,
	type Sampling,
	StageBusyError,
	StageLostError,
	type TabmeshError,
	TimeoutError,
	type TokenLogprob,
} from "@tabmesh/wire";
import type { Experience } from "../plan/experience.ts";
import { lapTime } from "../plan/holders.ts";
import { spanContains } from "../plan/modelSizes.ts";
import { type PlanRouteOptions, planRoute } from "../plan/planRoute.ts";
import type { SignedReceipt } from "../receipts/signedReceipt.ts";
import { inAbout } from "../stage/busyFor.ts";
import { linksUpTo } from "../stage/keptPrefixes.ts";
import type { StageStatus } from "../stage/stageLink.ts";
import { TokenChain } from "../tokenChain.ts";
import { type CheckedRequest, checked } from "./checkedRequest.ts";
import type { OwnEnds } from "./ownEnds.ts";
import { type Replay, type ResumableStream, routesOf, StageFailure, StreamRun } from "./streamRun.ts";
import { swarmChange } from "./swarmChange.ts";

/** Laps of an answer from which they say something about its stages: the first ones are about caches and loading. */
const TELLING_LAPS = 16;
/** Routes tried before an answer is given up: the first, and others without the peers that could not serve. */
const MOST_PLANS = 3;
/** How long peers that are busy, or just took other layers, may take to be able to serve. */
const PATIENCE_MS = 10_000;
/**
 * How much longer the laps of a route may take on which the beginning need not be computed again: for a prompt of some hundred
 * tokens that is as long as for an answer of some hundred.
 */
const MOST_SLOWER = 1.5;
/** Least time before a peer that was busy is asked once more, whatever it says. */
const SOONEST_MS = 100;

export interface GenerateInit {
	peer: Peer;
	signer: EnvelopeSigner;
	/** Who is there; read anew for every plan. */
	directory: Pick<Directory, "members" | "addEventListener" | "removeEventListener">;
	room: string;
	/** In a private room: what shows that we may ask there, without its secret. The owner needs none. */
	capability?: string;
	model: ModelRef;
	/** Chain on which the stages' receipts may be settled (EIP-155). @default 0: none */
	chainId?: number;
	promptTokens: readonly number[];
	/** @default greedy */
	sampling?: Partial<Sampling>;
	/** Cut to what the context has room for. @default 256 */
	maxTokens?: number;
	/** Tokens that end the answer. @default the model's own end tokens */
	stopTokens?: readonly number[];
	/** A form that the answer is held to; it is at most 8,192 tokens long then. */
	constraint?: Constraint;
	/** Of how many of the likeliest tokens (0 to 20) probabilities are told with each token and its own. @default none are told */
	logprobs?: number | undefined;
	/**
	 * Whether the first stage may guess tokens, so that one lap brings several: the answer is the same, and comes sooner.
	 *
	 * @default true
	 */
	speculation?: boolean;
	/** @default 1 */
	minStages?: number;
	/**
	 * Embedding, first layers and head of the model on this device: the stages see hidden states then, and no token leaves it. For as long
	 * as the answer runs they must stay loaded.
	 */
	ends?: OwnEnds;
	/** What answers before this one taught of peers; what this one teaches is added to it. */
	experience?: Experience;
	/** For whom this device asks, where that are several, as 16 bytes: what stages keep of one's streams begins no other's. */
	apart?: Uint8Array<ArrayBuffer>;
	/**
	 * How long the swarm is waited for in all, in milliseconds: before the first token where peers refuse or are busy, and in the
	 * middle of an answer where nobody holds what a lost stage held. @default 10,000 and 30,000
	 */
	patienceMs?: number;
	/** Goes on with an answer that was left with `detach`; everything else is as it was asked then. */
	resume?: ResumableStream;
	/** Aborting ends the answer as `cancel` does. */
	signal?: AbortSignal;
	/** Called whenever a stage's state or timing changes. */
	onStages?: (stages: readonly StageStatus[]) => void;
	/** Called when a lost stage's place was taken and the answer goes on. */
	onReplay?: (replay: Replay) => void;
	/** Called whenever the swarm is waited for before the answer begins, since who holds its layers cannot serve now. */
	onWait?: (wait: Wait) => void;
}

/** What is asked of a swarm: an answer, or a mean of hidden states. */
export interface AskInit extends GenerateInit {
	/** The first position that counts in the mean. Nothing is generated then. */
	embedFrom?: number;
}

/** Why an answer does not begin yet. */
interface Wait {
	/** Whether a peer has no room; else it holds other layers by now, and the swarm is about to fill the gap. */
	readonly busy: boolean;
	/** In how many milliseconds the peer expects to have room, where it can tell. */
	readonly retryAfterMs: number | undefined;
}

export interface GeneratedToken {
	readonly token: number;
	readonly position: number;
	/** Of the model's own distribution, where it was asked for. */
	readonly logprobs?: TokenLogprob;
}

/** What a generation did, in tokens. */
export interface TokenSummary {
	readonly promptTokens: readonly number[];
	/** The answer, the token that ended it included. */
	readonly tokens: readonly number[];
	readonly finishReason: FinishReason | "cancelled";
	readonly stages: readonly StageStatus[];
	/** Every time that a stage was lost and the answer went on, in order. */
	readonly replays: readonly Replay[];
	/** Work that the stages and we signed for: of each stage the newest, which stands for all before. */
	readonly receipts: readonly SignedReceipt[];
	/** Trips around the ring, how many tokens were guessed for them, and how many of those were right. */
	readonly laps: { readonly count: number; readonly drafted: number; readonly accepted: number };
	readonly timing: { readonly firstTokenMs: number; readonly tokensPerSecond: number };
}

/** A running answer in tokens. Iterating ends with the answer, or throws what went wrong after the last token that came. */
export interface TokenGeneration extends AsyncIterable<GeneratedToken> {
	readonly summary: Promise<TokenSummary>;
	/** Ends the answer now and frees every stage; `summary` resolves with what there is. */
	cancel(): void;
	/**
	 * Ends the answer here and leaves it to be gone on with by `resume`, within a minute: the page is being reloaded.
	 *
	 * @returns undefined where nothing is running yet, or any more
	 */
	detach(): ResumableStream | undefined;
}

/**
 * Lets the swarm continue `promptTokens`: chooses a route, signs it, opens its stages, sends the prompt to the first and
 * takes tokens from the last. Starts at once, whether iterated or not; leaving the loop early cancels.
 *
 * Through the iterator and `summary` it throws EmptyPromptError, PromptTooLongError, InvalidParameterError, NoRouteError,
 * StageLostError when a stage leaves or falls silent and nobody takes its place in time, TokenChainError when stages tell
 * different stories, and what stages report. A peer that refuses, is busy or cannot be reached before the answer begins is
 * left out and the route planned anew; where no other peer holds its layers, a refusal is waited out for a while. After
 * that, whoever is lost is replaced, and the answer goes on as if nothing had been.
 *
 * @example
 * ```ts
 * for await (const { token } of generate({ peer, signer, directory, room: "public", model, promptTokens: [1, 9038] })) print(token);
 * ```
 */
export function generate(init: GenerateInit): TokenGeneration {
	return new Generation(init);
}

/** One thing asked, from the first plan to the last word. */
export class Generation implements TokenGeneration {
	readonly summary: Promise<TokenSummary>;
	/** The mean of the final hidden states, as soon as `summary` has resolved, where that was asked for. */
	mean: Float32Array | undefined;
	readonly #init: AskInit;
	readonly #started = performance.now();
	readonly #cancelled = new AbortController();
	readonly #tokens: number[] = [];
	/** Of the tokens of this run; what an earlier one had is not told again. */
	readonly #logprobs = new Map<number, TokenLogprob>();
	readonly #laps = { count: 0, drafted: 0, accepted: 0 };
	#firstTokenAt = 0;
	#lastTokenAt = 0;
	readonly #replays: Replay[] = [];
	#run: StreamRun | undefined;
	#stages: readonly StageStatus[] = [];
	#done: { error?: unknown } | undefined;
	#waiters: (() => void)[] = [];

	constructor(init: AskInit) {
		this.#init = init;
		const { signal } = init;
		const onAbort = (): void => this.cancel();
		if (signal?.aborted) this.cancel();
		else signal?.addEventListener("abort", onAbort, { once: true });
		this.summary = this.#answer().finally(() => signal?.removeEventListener("abort", onAbort));
		this.summary.then(
			() => this.#end({}),
			(error) => this.#end({ error }),
		);
	}

	cancel(): void {
		this.#cancelled.abort();
	}

	detach(): ResumableStream | undefined {
		const left = this.#run?.detach();
		this.cancel();
		return left;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<GeneratedToken> {
		try {
			for (let i = 0; ; i++) {
				while (i >= this.#tokens.length && !this.#done) {
					await new Promise<void>((resolve) => this.#waiters.push(resolve));
				}
				const token = this.#tokens[i];
				if (token === undefined) break;
				const logprobs = this.#logprobs.get(i);
				yield { token, position: this.#init.promptTokens.length + i, ...(logprobs ? { logprobs } : {}) };
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

	#onTokens(tokens: readonly number[], logprobs: readonly TokenLogprob[] = []): void {
		for (const [i, each] of logprobs.entries()) this.#logprobs.set(this.#tokens.length + i, each);
		this.#lastTokenAt = performance.now();
		if (this.#tokens.length === 0) this.#firstTokenAt = this.#lastTokenAt;
		this.#tokens.push(...tokens);
		this.#wake();
	}

	#onStages(stages: readonly StageStatus[]): void {
		this.#stages = stages;
		this.#init.onStages?.(stages);
	}

	async #answer(): Promise<TokenSummary> {
		const { directory, experience, model, room, minStages = 1, patienceMs = PATIENCE_MS, peer } = this.#init;
		const { signal } = this.#cancelled;
		const request = checked(this.#init);
		const { resume } = this.#init;
		if (resume) {
			this.#onTokens(resume.tokens);
			return this.#serve(request, resume);
		}
		const exclude = new Set<string>();
		let reason: unknown;
		/** By `performance.now()`; begins with the first refusal. */
		let deadline = 0;
		for (let plans = 1; ; ) {
			if (signal.aborted) return this.#summary("cancelled");
			let hops: Hop[];
			try {
				const { id: self, connections } = peer;
				const extraMs = (other: string): number => experience?.extraMs(other, performance.now()) ?? 0;
				const ownLayers = this.#init.ends?.layers ?? 0;
				const view = { room, exclude, self, connections, extraMs, ownLayers };
				hops = this.#asBefore(planRoute(directory.members, model, { ...view, minStages }), {
					...view,
					minStages,
				});
			} catch (error) {
				// What the peer that was left out had said is the better explanation.
				if (reason === undefined) throw error;
				if (isRefusal(reason)) {
					const left = deadline - performance.now();
					if (left <= 0) throw givenUp(reason, patienceMs);
					const retryAfterMs = retryAfter(reason);
					this.#init.onWait?.({ busy: reason instanceof StageBusyError, retryAfterMs });
					const soon = Math.min(left, retryAfterMs ?? left);
					await swarmChange(directory, Math.max(soon, SOONEST_MS), signal);
				} else if (!this.#isPassing(reason) || exclude.size === 0) {
					throw reason;
				}
				// Without it there is no route: what failed or was refused once may succeed the next time.
				exclude.clear();
				continue;
			}
			try {
				// Asked before it begins: our own stream makes its stages look busy.
				const announced = lapTime(hops, directory.members, model, { room, self: peer.id }).lapMs;
				const summary = await this.#serve(request, hops);
				this.#learn(hops, announced, summary);
				return summary;
			} catch (error) {
				if (!(error instanceof StageFailure)) throw error;
				reason = error.error;
				const now = performance.now();
				if (!isRefusal(reason)) experience?.failed(error.peer, now);
				else if (reason instanceof RouteRefusedError) experience?.refused(error.peer, now);
				if (isRefusal(reason)) deadline ||= now + patienceMs;
				if (!error.another) throw reason;
				if (plans++ >= MOST_PLANS && now >= deadline) throw reason;
				exclude.add(error.peer);
			}
		}
	}

	/** Adds what the laps of this answer took to what is known of its stages. */
	#learn(hops: readonly Hop[], announcedMs: number, { laps, replays, stages }: TokenSummary): void {
		if (laps.count < TELLING_LAPS || replays.length > 0 || !Number.isFinite(announcedMs)) return;
		const { experience, ends, peer } = this.#init;
		const lapMs = (this.#lastTokenAt - this.#firstTokenAt) / (laps.count - 1);
		const own = stages.filter((stage) => ends && stage.peer === peer.id);
		const ownMs = own.reduce((sum, { msPerToken }) => sum + msPerToken, 0);
		const others = ends ? hops.slice(1, -1) : hops;
		experience?.served(others, announcedMs, Math.max(0, lapMs - ownMs), performance.now());
	}

	async #serve(request: CheckedRequest, start: readonly Hop[] | ResumableStream): Promise<TokenSummary> {
		this.#run = new StreamRun(this.#init, request, start, {
			onTokens: (tokens, drafted, logprobs) => {
				this.#laps.count++;
				this.#laps.drafted += drafted;
				this.#laps.accepted += tokens.length - 1;
				this.#onTokens(tokens, logprobs);
			},
			onMean: (mean) => {
				this.mean = mean;
			},
			onStages: (stages) => this.#onStages(stages),
			onReplay: (replay) => {
				this.#replays.push(replay);
				this.#init.onReplay?.(replay);
			},
			signal: this.#cancelled.signal,
		});
		const finish = await this.#run.run();
		const { experience } = this.#init;
		experience?.routes.note({ ...this.#run.kept, model: routesOf(this.#init), at: performance.now() });
		return this.#summary(finish);
	}

	/**
	 * The stages of the latest answer that began alike, where they are all here and not much slower than `planned`: they may
	 * have kept what has been computed.
	 */
	#asBefore(planned: Hop[], view: PlanRouteOptions): Hop[] {
		const { directory, experience, model, promptTokens } = this.#init;
		const chain = new TokenChain(this.#init.ends?.key);
		for (const token of promptTokens) chain.push(token);
		const links = linksUpTo(chain, promptTokens.length - 1);
		const before = experience?.routes.find(routesOf(this.#init), links, performance.now())?.hops;
		if (!before || before.length < (view.minStages ?? 1)) return planned;
		const { members } = directory;
		const others = this.#init.ends ? before.slice(1, -1) : before;
		const ready = others.every(({ peer, span }) =>
			members
				.find((member) => member.peer === peer)
				?.lends?.spans.some((held) => held.model === model.id && held.ready && spanContains(held, span)),
		);
		const lapOf = (hops: readonly Hop[]): number => lapTime(hops, members, model, view).lapMs;
		return ready && lapOf(before) <= MOST_SLOWER * lapOf(planned) ? [...before] : planned;
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
			replays: [...this.#replays],
			receipts: this.#run?.receipts ?? [],
			laps: { ...this.#laps },
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

/** In how many milliseconds a peer expects to have room, where it said so. */
function retryAfter({ details }: TabmeshError): number | undefined {
	const { retryAfterMs } = details;
	return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? retryAfterMs : undefined;
}

/** A peer's refusal, and that nobody took its place. */
function givenUp(reason: RouteRefusedError | StageBusyError, patienceMs: number): TabmeshError {
	if (patienceMs === 0) return reason;
	const ErrorClass = reason instanceof StageBusyError ? StageBusyError : RouteRefusedError;
	const again = retryAfter(reason);
	return new ErrorClass(reason.shortMessage, {
		metaMessages: [
			`Nobody else could take its place within ${patienceMs / 1000} s.`,
			`Ask again in ${again === undefined ? "a moment" : inAbout(again)}, or open the lend page on another device.`,
		],
		details: reason.details,
		cause: reason,
	});
}
