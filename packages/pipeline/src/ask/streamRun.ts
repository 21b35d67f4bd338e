import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import type { Member } from "@tabmesh/directory";
import type { Offence } from "@tabmesh/transport";
import {
	decodeTensor,
	equalBytes,
	type FinishReason,
	fromWireError,
	type Hop,
	InvalidParameterError,
	limits,
	NoRouteError,
	PeerUnreachableError,
	ProtocolViolationError,
	type Route,
	RouteRefusedError,
	StageBusyError,
	StageLostError,
	type StageResponse,
	StreamResetError,
	TabmeshError,
	TimeoutError,
	TokenChainError,
	type TokenLogprob,
} from "@tabmesh/wire";
import { planRoute } from "../plan/planRoute.ts";
import type { RecentRoute, Stretch } from "../plan/recentRoutes.ts";
import { replaceLost } from "../plan/spares.ts";
import { AskerReceipts } from "../receipts/askerReceipts.ts";
import type { SignedReceipt } from "../receipts/signedReceipt.ts";
import { RollingMedian } from "../rollingMedian.ts";
import { sealRoute } from "../route.ts";
import { checkLogprobs } from "../sampling/logprobs.ts";
import { linksUpTo } from "../stage/keptPrefixes.ts";
import { StageLink, type StageListener, type StageStatus } from "../stage/stageLink.ts";
import { chunkOf, type OpenRequest, offenceOf } from "../stage/stageSession.ts";
import { TokenChain } from "../tokenChain.ts";
import { type CheckedRequest, countsWritten } from "./checkedRequest.ts";
import { EndsOfStream } from "./endsOfStream.ts";
import type { AskInit } from "./generate.ts";
import { swarmChange } from "./swarmChange.ts";
import { whoStalls } from "./whoStalls.ts";

/** How often the stages are looked after. */
const LOOK_EVERY_MS = 100;
/** Between two signs of life while tokens come, which are a sign of life of every stage themselves. */
const PING_EVERY_MS = 500;
/** The same when a token is late. */
const LATE_PING_MS = 100;
/** A token is late after so many laps, but no sooner than this: within a room a lap takes 10 ms, and machines hiccup. */
const LATE_LAPS = 4;
const LATE_MS = 100;
/** The same before the first token, when no lap is known. */
const LATE_FIRST_MS = 250;
/** Stages that answer but do not get on are helped after so many laps, but no sooner than this: another's prompt may go first. */
const STALL_LAPS = 20;
const STALL_MS = 2_000;
/** The same before the first token: how long a chunk of a prompt takes is not known. */
const STALL_FIRST_MS = 10_000;
/** What brings no token for so long is of no use, whatever the stages say. */
const HOPELESS_MS = 120_000;
/** How long a stage may take to be reached and to agree to a newer route, while another could do it. */
const REROUTE_MS = 2_000;
/** How long a lender to take lost layers is waited for: it has to notice, and to fetch them. */
const RECOVERY_MS = 30_000;
/** How long a peer that refused or could not be reached is not asked again, and one that was lost. */
const REFUSED_MS = 2_000;
const LOST_MS = 5_000;
/** Between two looks at the swarm for a spare when nothing changes there. */
const LOOK_AGAIN_MS = 1_000;
/** Failovers of one answer: beyond that something is wrong with the asker himself. */
const MOST_FAILOVERS = 64;
/** A route is for opening stages; clocks of devices differ by minutes. */
const ROUTE_LIFETIME_MS = 5 * 60_000;
/** Tokens in one message of the prompt: small enough not to hold up a ping behind it on a slow line. */
const PROMPT_PIECE = 2048;
/** How long the stages' last word on the chain is waited for. */
const LAST_WORD_MS = 1000;
/** Chain links that a stage may be ahead of the tokens that we have heard of. */
const MOST_UNCHECKED = 64;

/** What it takes to go on with a stream that was left, for as long as its stages keep it: a minute. */
export interface ResumableStream {
	/** Its id in hex. */
	readonly stream: string;
	/** Of its newest route. */
	readonly generation: number;
	readonly hops: readonly Hop[];
	/** The answer so far. */
	readonly tokens: readonly number[];
	/** Of a private stream: what its links are made with, in hex. */
	readonly key?: string;
}

/** A stage was lost in the middle of an answer, and others computed again what it had. */
export interface Replay {
	/** Of the first token that came after it. */
	readonly position: number;
	readonly lost: readonly string[];
	/** Who took their places. */
	readonly spares: readonly string[];
	/** From the last token before to the first one after. */
	readonly stallMs: number;
	/**
	 * Whether a spare computes other floats than the stage that it replaces: what follows may differ from what would have
	 * been written.
	 */
	readonly numericsChanged: boolean;
}

interface RunListener {
	/** One lap's, of which so many had been drafted. */
	onTokens(tokens: readonly number[], drafted: number, logprobs: readonly TokenLogprob[] | undefined): void;
	/** In place of tokens, where no answer was asked for. */
	onMean(mean: Float32Array): void;
	onStages(stages: readonly StageStatus[]): void;
	onReplay(replay: Replay): void;
	readonly signal: AbortSignal;
}

/** A stage could not or would not go on before the first token was asked for. */
export class StageFailure extends Error {
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

/** Among which routes those of streams are that may begin with each other. */
export function routesOf({ apart, model }: AskInit): string {
	return apart ? `${model.id} ${bytesToHex(apart)}` : model.id;
}

/** What is known of a failover until the first token after it. */
interface Stall {
	readonly since: number;
	readonly deadline: number;
	readonly reason: unknown;
	/** Peers of the route that it began with. */
	readonly before: ReadonlySet<string>;
	/** Peers that were lost, with the class of their numerics. */
	readonly lost: Map<string, string | undefined>;
}

/**
 * One stream from its first route to its end. When a stage is lost, the asker, who owns the route, signs a newer one with a
 * spare in its place; the stages before it have kept what they sent, and the answer goes on where it was.
 */
export class StreamRun implements StageListener {
	readonly #init: AskInit;
	readonly #request: CheckedRequest;
	readonly #listener: RunListener;
	readonly #stream: Uint8Array<ArrayBuffer>;
	readonly #resumed: boolean;
	/** Of prompt and answer: what we know of the tokens is what counts. */
	readonly #chain: TokenChain;
	/** Of a private stream: our own part of it, and what its links are made with. */
	readonly #ends: EndsOfStream | undefined;
	readonly #key: Uint8Array | undefined;
	readonly #answer: number[] = [];
	/** Where its first stage began with an earlier stream: positions that had been decoded in that one. */
	#decodedBefore: readonly Stretch[] = [];
	/** Links of the chain that stages told us before we heard of the tokens. */
	readonly #unchecked = new Map<StageLink, { position: number; chain: Uint8Array }[]>();
	readonly #stop = new AbortController();
	readonly #ready = Promise.withResolvers<void>();
	readonly #finished = Promise.withResolvers<FinishReason>();
	readonly #failed = Promise.withResolvers<never>();
	readonly #lap = new RollingMedian();
	readonly #receipts: AskerReceipts;
	#laps = 0;
	/** To the stages, in their order; our own ends are none. */
	#links: StageLink[] = [];
	#ownHops: readonly [Hop, Hop] | undefined;
	#generation: number;
	/** `opening`: the first route; `recovering`: a newer one, whose first stage did not say yet how far it is. */
	#phase: "opening" | "running" | "recovering" = "opening";
	/** Peers that are not to be used, until a time by `performance.now()`. */
	readonly #excluded = new Map<string, number>();
	/** What lost peers announced, for the class of their numerics. */
	readonly #lostMembers = new Map<string, Member>();
	/** Links between stages that were made anew once. */
	readonly #relinked = new Set<string>();
	#stall: Stall | undefined;
	#failovers = 0;
	/** By `performance.now()`: when the newest route was sent out. */
	#rerouted = 0;
	#recovering = false;
	#again = false;
	#finish: FinishReason | undefined;
	#lastToken = performance.now();
	#lastProgress = this.#lastToken;
	#progress = 0;
	#settled = false;

	constructor(
		init: AskInit,
		request: CheckedRequest,
		start: readonly Hop[] | ResumableStream,
		listener: RunListener,
	) {
		this.#init = init;
		this.#request = request;
		this.#listener = listener;
		const resumed = "stream" in start ? start : undefined;
		this.#resumed = resumed !== undefined;
		this.#stream = resumed
			? (hexToBytes(resumed.stream) as Uint8Array<ArrayBuffer>)
			: crypto.getRandomValues(new Uint8Array(16));
		this.#generation = resumed?.generation ?? 0;
		this.#answer.push(...(resumed?.tokens ?? []));
		this.#receipts = new AskerReceipts({
			signer: init.signer,
			terms: {
				asker: init.peer.id,
				chainId: init.chainId ?? 0,
				model: init.model.id,
				stream: this.#stream,
			},
			resumed: this.#resumed,
			countersigned: ({ peer }, receipt) =>
				this.#linkOf(peer)
					?.send({ type: "countersigned", receipt: receipt as Uint8Array<ArrayBuffer> })
					.catch(() => {}),
			refused: ({ peer }, error) => {
				const link = this.#linkOf(peer);
				if (link) this.#lose(link, error, "violation");
			},
		});
		const hops = "stream" in start ? start.hops : start;
		const { ends, peer } = init;
		this.#key = ends && (resumed?.key === undefined ? ends.key : hexToBytes(resumed.key));
		this.#chain = new TokenChain(this.#key);
		if (ends) {
			this.#ownHops = [hops[0]!, hops.at(-1)!];
			this.#ends = new EndsOfStream({
				ends,
				peer,
				stream: this.#stream,
				request,
				speculation: init.speculation ?? true,
				apart: init.apart,
				key: this.#key!,
				listener: {
					onLinked: () => this.#phase === "recovering" && void this.#feed(0),
					onTokens: (tokens, drafted, finish, logprobs) =>
						this.#onOwnTokens(tokens, drafted, finish, logprobs),
					onMean: (mean) => this.#onMean(mean),
					onBroken: (stage, error) => this.#onOwnBroken(stage, error),
					onFailed: (error) => this.#fail(error),
				},
			});
		}
		this.#links = this.#othersOf(hops).map((hop) => new StageLink(hop, this));
		for (const token of [...request.promptTokens, ...this.#answer]) this.#chain.push(token);
		for (const { promise } of [this.#ready, this.#finished, this.#failed]) promise.catch(() => {});
	}

	/** What both sides signed for: of each stage the newest. */
	get receipts(): readonly SignedReceipt[] {
		return this.#receipts.signed;
	}

	/** @throws StageFailure before anything was computed, else what the stages failed with */
	async run(): Promise<FinishReason | "cancelled"> {
		const { peer } = this.#init;
		const { signal } = this.#listener;
		const cancelled = new Promise<"cancelled">((resolve) => {
			if (signal.aborted) resolve("cancelled");
			else signal.addEventListener("abort", () => resolve("cancelled"), { once: true });
		});
		const onDisconnect = ({ detail }: CustomEvent<{ peer: string }>): void => {
			this.#linkOf(detail.peer)?.disconnected();
		};
		peer.addEventListener("disconnect", onDisconnect);
		const looking = setInterval(() => this.#look(performance.now()), LOOK_EVERY_MS);
		try {
			const result = await Promise.race([this.#generate(), this.#failed.promise, cancelled]);
			if (result !== "cancelled") await this.#lastWords();
			else for (const link of this.#links) link.close(this.#keptLinks());
			return result;
		} finally {
			this.#settled = true;
			clearInterval(looking);
			peer.removeEventListener("disconnect", onDisconnect);
			for (const link of this.#links) link.close();
			this.#stop.abort();
			await this.#ends?.close(this.#keptLinks());
		}
	}

	/** The whole route. */
	get #hops(): Hop[] {
		const hops = this.#links.map(({ hop }) => hop);
		return this.#ownHops ? [this.#ownHops[0], ...hops, this.#ownHops[1]] : hops;
	}

	/** The stages of a route that are not our own ends. */
	#othersOf(hops: readonly Hop[]): readonly Hop[] {
		return this.#ownHops ? hops.slice(1, -1) : hops;
	}

	/**
	 * Leaves the stream where it is, without ending it: its stages keep it for a while. `run` has to be ended by the signal.
	 *
	 * @returns undefined where there is nothing to come back to yet, or any more
	 */
	detach(): ResumableStream | undefined {
		if (this.#settled || this.#finish || this.#phase === "opening") return undefined;
		this.#settled = true;
		const hops = this.#hops;
		for (const link of this.#links) link.abandon();
		return {
			stream: bytesToHex(this.#stream),
			generation: this.#generation,
			hops,
			tokens: [...this.#answer],
			...(this.#key ? { key: bytesToHex(this.#key) } : {}),
		};
	}

	async #generate(): Promise<FinishReason> {
		const links = this.#resumed ? new Uint8Array(0) : this.#wantedLinks();
		await this.#ends?.begin([...this.#request.promptTokens, ...this.#answer], links);
		if (this.#resumed) {
			this.#beginStall(new StageLostError("The stages did not keep the answer."));
			// Its own links are all new, whatever the stages are.
			const hops = this.#hops;
			this.#links = [];
			void this.#recover(hops);
			return this.#finished.promise;
		}
		await this.#route(undefined);
		await this.#ready.promise;
		const begun = this.#links[0]!.received;
		this.#decodedBefore = this.#decodedOf(links, begun);
		await this.#feed(begun);
		return this.#finished.promise;
	}

	/** Signs the route of this generation and brings it to the stages: to those in `known` as a newer one. */
	async #route(keep: number | undefined, known: ReadonlySet<StageLink> = new Set()): Promise<void> {
		const { capability, model, peer, room, signer } = this.#init;
		const { maxPositions } = this.#request;
		const generation = this.#generation;
		const links = this.#links;
		const apart = this.#init.apart ? { apart: this.#init.apart } : {};
		this.#changed();
		const route: Route = {
			stream: this.#stream,
			generation,
			room,
			model: model.id,
			hops: this.#hops,
			expires: Date.now() + ROUTE_LIFETIME_MS,
			...(capability === undefined ? {} : { capability }),
		};
		this.#receipts.onRoute(route);
		const sealed = (await sealRoute(signer, route)) as Uint8Array<ArrayBuffer>;
		if (this.#settled || generation !== this.#generation) return;
		this.#ends?.route(route, [...this.#request.promptTokens, ...this.#answer]);
		for (const link of links) {
			// In private they have neither: both ends are ours.
			const isThin = !this.#ends;
			const forLast = isThin && link === links.at(-1) ? this.#forLast() : {};
			const forFirst = isThin && link === links[0] ? { speculation: this.#init.speculation ?? true } : {};
			if (known.has(link)) {
				const { generation } = forLast;
				const more = generation ? { generation } : {};
				link.reroute({ type: "reroute", route: sealed, keep: keep!, ...more });
			} else {
				const begins = keep === undefined ? { links: this.#wantedLinks() } : { keep };
				void link.open(
					peer,
					{ type: "open", route: sealed, maxPositions, ...begins, ...apart, ...forFirst, ...forLast },
					this.#stop.signal,
				);
			}
		}
	}

	#forLast(): Pick<OpenRequest, "embed" | "generation"> {
		const { embedFrom } = this.#request;
		if (embedFrom !== undefined) return { embed: { from: embedFrom } };
		const { constraint, logprobs, promptTokens, sampling, maxTokens, stopTokens } = this.#request;
		const history = new Set([...promptTokens.slice(-limits.controlTokens), ...this.#answer]);
		const generation = {
			sampling,
			maxTokens: maxTokens - this.#answer.length,
			stopTokens: [...stopTokens],
			...(constraint ? { constraint } : {}),
			...(constraint || countsWritten(sampling) ? { written: [...this.#answer] } : {}),
			...(logprobs === undefined ? {} : { logprobs }),
			...(sampling.repetitionPenalty === 1 ? {} : { history: [...history].slice(-limits.controlTokens) }),
		};
		return { generation };
	}

	/** Sends the first stage the tokens from `position` on, and with them the stream around the ring. */
	async #feed(position: number): Promise<void> {
		this.#phase = "running";
		this.#lastProgress = performance.now();
		if (!this.#stall) this.#lastToken = this.#lastProgress;
		if (this.#ends) {
			this.#ends.go();
			return;
		}
		const first = this.#links[0]!;
		const tokens = [...this.#request.promptTokens, ...this.#answer];
		const decoded = this.#decodedUpTo(tokens.length);
		for (let at = position; at < tokens.length; ) {
			const next = decoded.find(([, to]) => to > at);
			// What was decoded goes one by one, and is computed so again.
			const rows = next && next[0] <= at ? 1 : chunkOf((next?.[0] ?? tokens.length) - at, PROMPT_PIECE);
			const piece = tokens.slice(at, at + rows);
			const last = at + rows === tokens.length;
			// A stream that is gone is noticed by its reader.
			await first.send({ type: "prompt", position: at, tokens: piece, last }).catch(() => {});
			at += rows;
		}
	}

	/** Who may have kept what of the stream. */
	get kept(): Pick<RecentRoute, "links" | "hops" | "decoded"> {
		const decoded = this.#decodedUpTo(this.#chain.length - 1);
		return { links: this.#keptLinks(), hops: this.#hops, decoded };
	}

	/** Positions before `end` that were computed one by one. */
	#decodedUpTo(end: number): readonly Stretch[] {
		const from = this.#request.promptTokens.length;
		return end > from ? [...this.#decodedBefore, [from, end]] : this.#decodedBefore;
	}

	/** The same of what the first stage had kept of an earlier stream, up to `end`. */
	#decodedOf(links: Uint8Array, end: number): readonly Stretch[] {
		const { experience } = this.#init;
		const before = experience?.routes.find(routesOf(this.#init), links, performance.now())?.decoded ?? [];
		return before.filter(([from]) => from < end).map(([from, to]) => [from, Math.min(to, end)]);
	}

	/** Of what stages may go on from, and keep: the last token never went around with an answer behind it. */
	#keptLinks(): Uint8Array<ArrayBuffer> {
		// A mean is of all states, and of what was kept there are none.
		if (this.#request.embedFrom !== undefined) return new Uint8Array(0);
		return linksUpTo(this.#chain, this.#chain.length - 1);
	}

	/** Of what stages may begin with: of the prompt its last two tokens are computed anew, since one alone would seem decoded. */
	#wantedLinks(): Uint8Array<ArrayBuffer> {
		if (this.#request.embedFrom !== undefined) return new Uint8Array(0);
		return linksUpTo(this.#chain, Math.max(0, this.#chain.length - 2));
	}

	/** Ends the stream in order and compares what every stage says of the whole chain. */
	async #lastWords(): Promise<void> {
		for (const link of this.#links) link.finish(this.#keptLinks());
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

	// What stages say

	onResponse(link: StageLink, response: Exclude<StageResponse, { type: "pong" }>): void {
		if (!this.#links.includes(link)) return;
		switch (response.type) {
			case "preparing": {
				const { loadedBytes, totalBytes } = response;
				const progress = totalBytes > 0 ? Math.min(1, loadedBytes / totalBytes) : 0;
				link.update({ state: "preparing", progress });
				this.#changed();
				return;
			}
			case "ready":
				this.#onReady(link, response);
				return;
			case "tokens":
				// Of an older route: they are computed again.
				if (link.generation === this.#generation) this.#onTokens(link, response);
				return;
			case "embedding":
				this.#onEmbedding(link, response);
				return;
			case "progress":
				link.update({ msPerToken: response.msPerToken });
				if (link.generation === this.#generation) {
					this.#checkChain(link, response.position, response.chain);
				}
				this.#changed();
				return;
			case "broken":
				if (response.generation === this.#generation) {
					this.#onBroken(link, response.peer, fromWireError(response.error));
				}
				return;
			case "receipt":
				void this.#receipts.take(link.hop, response.receipt, this.#chain);
				return;
			case "leaving":
				link.leaving = true;
				return;
			case "error":
				this.#blame(link, fromWireError(response.error));
		}
	}

	onPong(link: StageLink): void {
		const own = this.#ends?.progress ?? 0;
		const progress = this.#links.reduce((sum, { received, computed }) => sum + received + computed, own);
		if (progress !== this.#progress) this.#lastProgress = performance.now();
		this.#progress = progress;
		const { maxPositions } = this.#request;
		if (link.computed > link.received || link.received > maxPositions) {
			const error = new ProtocolViolationError("A stage claims to be ahead of its stream.");
			this.#lose(link, error, "violation");
		}
	}

	onLost(link: StageLink, error: unknown): void {
		if (!this.#links.includes(link)) return;
		const offence = offenceOf(error);
		this.#blame(link, error, error instanceof TokenChainError ? undefined : offence);
	}

	#onReady(
		link: StageLink,
		{ generation, position, numericsClass }: StageResponse & { type: "ready" },
	): void {
		link.generation = generation;
		link.received = position;
		link.computed = position;
		link.update({ state: "ready", progress: 1, numericsClass });
		this.#changed();
		if (generation !== this.#generation) return;
		if (this.#phase === "opening") {
			if (position >= this.#chain.length) {
				this.#lose(
					link,
					new ProtocolViolationError("A stage claims to have all of a new stream."),
					"violation",
				);
			} else {
				this.#receipts.onTaken(link.hop, position);
				if (this.#links.every(({ status }) => status.state === "ready")) this.#ready.resolve();
			}
		} else if (this.#phase === "recovering" && link === this.#links[0] && !this.#ends) {
			if (position < this.#chain.length) void this.#feed(position);
			else this.#lose(link, new ProtocolViolationError("A stage kept what it was to forget."), "violation");
		}
	}

	#onTokens(link: StageLink, message: StageResponse & { type: "tokens" }): void {
		const { position, tokens, chain, drafted, finish, logprobs } = message;
		const { vocabularySize } = this.#init.model.manifest.config;
		if (
			this.#ends ||
			link !== this.#links.at(-1) ||
			this.#phase !== "running" ||
			this.#finish ||
			position !== this.#chain.length ||
			tokens.length > this.#request.maxTokens - this.#answer.length ||
			tokens.length > drafted + 1 ||
			tokens.some((token) => token >= vocabularySize)
		) {
			const error = new ProtocolViolationError("A stage sent a token that was not due.", {
				details: { position },
			});
			this.#lose(link, error, "violation");
			return;
		}
		try {
			checkLogprobs(logprobs, tokens, this.#request.logprobs, vocabularySize);
		} catch (error) {
			this.#lose(link, error, "violation");
			return;
		}
		for (const token of tokens) this.#chain.push(token);
		if (!equalBytes(this.#chain.head, chain)) {
			this.#forked(link, this.#chain.length);
			return;
		}
		this.#onKnownTokens(tokens, drafted, finish, logprobs);
	}

	#onEmbedding(link: StageLink, { position, chain, mean }: StageResponse & { type: "embedding" }): void {
		const { hiddenSize } = this.#init.model.manifest.config;
		const isDue =
			this.#request.embedFrom !== undefined &&
			!this.#ends &&
			link === this.#links.at(-1) &&
			this.#phase === "running" &&
			!this.#finish &&
			position === this.#chain.length;
		try {
			if (!isDue) throw new ProtocolViolationError("A stage sent an embedding that was not due.");
			const { data } = decodeTensor(["f32", 1, hiddenSize], mean, hiddenSize);
			if (!equalBytes(this.#chain.head, chain)) this.#forked(link, position);
			else this.#onMean(data);
		} catch (error) {
			this.#lose(link, error, offenceOf(error));
		}
	}

	#onMean(mean: Float32Array): void {
		if (this.#settled || this.#finish) return;
		this.#listener.onMean(mean);
		this.#finish = "stop";
		this.#finished.resolve("stop");
	}

	/** Tokens that were chosen here. */
	#onOwnTokens(
		tokens: readonly number[],
		drafted: number,
		finish: FinishReason | undefined,
		logprobs: readonly TokenLogprob[] | undefined,
	): void {
		if (this.#settled || this.#finish) return;
		for (const token of tokens) this.#chain.push(token);
		this.#onKnownTokens(tokens, drafted, finish, logprobs);
	}

	/** Tokens that the chain has already. */
	#onKnownTokens(
		tokens: readonly number[],
		drafted: number,
		finish: FinishReason | undefined,
		logprobs: readonly TokenLogprob[] | undefined,
	): void {
		const position = this.#chain.length - tokens.length;
		this.#answer.push(...tokens);
		this.#receipts.onTokens(this.#chain);
		for (const [stage, links] of this.#unchecked) {
			while (links.length > 0 && links[0]!.position <= this.#chain.length) {
				const { position: at, chain: told } = links.shift()!;
				this.#checkChain(stage, at, told);
			}
		}
		if (this.#settled) return;
		this.#measure(position);
		this.#listener.onTokens(tokens, drafted, logprobs);
		if (finish) {
			this.#finish = finish;
			this.#finished.resolve(finish);
		}
	}

	#measure(position: number): void {
		const now = performance.now();
		const stall = this.#stall;
		if (!stall) {
			// The first gap is the prompt's.
			if (position > this.#request.promptTokens.length) {
				this.#lap.add(now - this.#lastToken);
				this.#laps++;
			}
		} else {
			this.#stall = undefined;
			const spares = this.#links.filter(({ hop }) => !stall.before.has(hop.peer));
			if (spares.length > 0 && stall.lost.size > 0) {
				const lost = [...stall.lost.values()];
				this.#listener.onReplay({
					position,
					lost: [...stall.lost.keys()],
					spares: spares.map(({ hop }) => hop.peer),
					stallMs: now - stall.since,
					numericsChanged: spares.some(({ status }) => !lost.includes(status.numericsClass)),
				});
			}
		}
		this.#lastToken = now;
		this.#lastProgress = now;
	}

	#checkChain(link: StageLink, position: number, chain: Uint8Array): void {
		if (position > this.#chain.length) {
			const links = this.#unchecked.get(link) ?? [];
			if (links.length === MOST_UNCHECKED || position > this.#request.maxPositions) {
				const error = new ProtocolViolationError("A stage claims to be ahead of its stream.");
				this.#lose(link, error, "violation");
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
		const liar = link === this.#links[0] && !this.#ends ? this.#links.at(-1)! : link;
		const error = new TokenChainError("Stages of the route disagree about which tokens were generated.", {
			details: { position, peer: liar.hop.peer },
		});
		this.#lose(liar, error, "equivocation");
	}

	/** One stage complains of another. Where only the link broke, it is made anew once; then the other one has to go. */
	#onBroken(link: StageLink, peer: string, error: TabmeshError): void {
		const accused = this.#linkOf(peer);
		// Of a link to ourselves we hear as well as the stage.
		if (accused === link) return;
		if (accused) this.#accuse(accused, link.hop.peer, error);
	}

	/** Our own link to a stage broke, or brought what no honest stage sends. */
	#onOwnBroken(peer: string, error: unknown): void {
		const accused = this.#linkOf(peer);
		if (accused) this.#accuse(accused, this.#init.peer.id, error, offenceOf(error));
	}

	#accuse(accused: StageLink, by: string, error: unknown, offence?: Offence): void {
		if (this.#settled || this.#finish) return;
		const { peer } = accused.hop;
		const onlyLink =
			error instanceof StageLostError ||
			error instanceof StreamResetError ||
			error instanceof PeerUnreachableError ||
			error instanceof TimeoutError;
		if (this.#phase !== "opening" && onlyLink && this.#relinks(by, peer)) {
			// Unless it is the stage after all: its own silence tells.
			this.#beginStall(naming(error, peer));
			const generation = this.#generation;
			setTimeout(() => {
				if (this.#generation === generation && !this.#recovering) void this.#recover();
			}, LOOK_EVERY_MS * 2);
			return;
		}
		this.#lose(accused, error, offence);
	}

	#relinks(from: string, to: string): boolean {
		if (this.#request.embedFrom !== undefined) return false;
		const key = [from, to].sort().join(" ");
		if (this.#relinked.has(key)) return false;
		this.#relinked.add(key);
		return true;
	}

	// Who is still there

	#look(now: number): void {
		if (this.#settled || this.#finish) return;
		const late = this.#isLate(now);
		for (const link of [...this.#links]) {
			const { state, peer } = link.status;
			if (state === "lost") continue;
			link.ping(now, late ? LATE_PING_MS : PING_EVERY_MS);
			if (link.isSilent(now, false) || (late && link.isSilent(now, true) && this.#canDoWithout(peer))) {
				const error = new StageLostError("A stage of the route has fallen silent.", { details: { peer } });
				this.#lose(link, error);
			} else if (link.leaving && this.#phase === "running" && this.#canDoWithout(peer)) {
				this.#lose(link, new StageLostError("A stage of the route is leaving.", { details: { peer } }));
			} else if (this.#isOverdue(link, now) && this.#canDoWithout(peer)) {
				const details = { peer };
				this.#lose(link, new PeerUnreachableError("A stage did not take a newer route.", { details }));
			}
		}
		if (this.#phase === "running") this.#checkStall(now);
	}

	/** Whether a stage neither loads nor serves by the newest route, long after it was sent there. */
	#isOverdue({ status, generation }: StageLink, now: number): boolean {
		if (this.#phase === "opening" || now - this.#rerouted < REROUTE_MS) return false;
		return status.state !== "preparing" && generation !== this.#generation;
	}

	#isLate(now: number): boolean {
		if (this.#phase !== "running") return this.#phase === "recovering";
		const quiet = now - this.#lastToken;
		return quiet > (this.#laps < LATE_LAPS ? LATE_FIRST_MS : Math.max(LATE_MS, LATE_LAPS * this.#lap.value));
	}

	#checkStall(now: number): void {
		const known = this.#laps >= LATE_LAPS && !this.#stall;
		const allowed = known ? Math.max(STALL_MS, STALL_LAPS * this.#lap.value) : STALL_FIRST_MS;
		const hopeless = now - this.#lastToken > HOPELESS_MS;
		if (now - this.#lastProgress < allowed && !hopeless) return;
		// What we have not sent yet, or what we make of what came back, no stage can do for us.
		if (this.#ends && !hopeless && this.#links.every(({ computed }) => computed >= this.#ends!.sent)) {
			if (this.#ends.isDue) return;
		}
		const { place, link } = whoStalls(this.#links, this.#ends?.sent ?? this.#chain.length);
		const stage = this.#links[place]!;
		const { peer } = stage.hop;
		const error = new TimeoutError("A stage is there but does not get on.", { details: { peer } });
		if (link && this.#relinks(this.#links[place - 1]!.hop.peer, peer)) {
			this.#beginStall(error);
			void this.#recover();
		} else if (hopeless || this.#canDoWithout(peer)) {
			this.#lose(stage, error, "timeout");
		}
	}

	#canDoWithout(peer: string): boolean {
		return this.#plan(peer) !== undefined;
	}

	#linkOf(peer: string): StageLink | undefined {
		return this.#links.find((link) => link.hop.peer === peer);
	}

	// Failover

	/** The stage that `error` is about is lost: the one it names, or the one that told of it. */
	#blame(link: StageLink, error: unknown, offence?: Offence): void {
		const named = error instanceof TabmeshError ? error.details.peer : undefined;
		this.#lose(this.#links.find(({ hop }) => hop.peer === named) ?? link, error, offence);
	}

	#lose(link: StageLink, error: unknown, offence?: Offence): void {
		// After the last token a stage may go; its last word is missing then, the answer is not. Lies count even then.
		const over = this.#settled || (this.#finish !== undefined && !(error instanceof TokenChainError));
		if (!over && link.status.state !== "lost") {
			const { peer } = link.hop;
			// Where the tokens are ours alone, a stage that made others of them is only wrong.
			const isFork = error instanceof TokenChainError && !this.#ends;
			const final = isFork || error instanceof InvalidParameterError;
			const wasOpening = this.#phase === "opening";
			this.#beginStall(naming(error, peer));
			this.#stall!.lost.set(peer, link.status.numericsClass);
			const member = this.#init.directory.members.find((each) => each.peer === peer);
			if (member) this.#lostMembers.set(peer, member);
			if (!wasOpening && !isRefusal(error)) this.#init.experience?.failed(peer, performance.now());
			link.update({ state: "lost" });
			this.#changed();
			// Of a mean nothing is there before all of it is.
			const fromTheBeginning = wasOpening || this.#request.embedFrom !== undefined;
			if (fromTheBeginning || final || ++this.#failovers > MOST_FAILOVERS) {
				this.#fail(naming(error, peer), fromTheBeginning ? peer : undefined);
			} else {
				const spell = offence ? Number.POSITIVE_INFINITY : isRefusal(error) ? REFUSED_MS : LOST_MS;
				this.#excluded.set(peer, performance.now() + spell);
				void this.#recover();
			}
		}
		// Last: it may end the connection to the peer, which is no news any more then.
		if (offence) this.#init.peer.report(link.hop.peer, offence);
	}

	#beginStall(reason: unknown): void {
		const { patienceMs = RECOVERY_MS } = this.#init;
		if (this.#stall) return;
		const deadline = performance.now() + patienceMs;
		const before = new Set(this.#links.map(({ hop }) => hop.peer));
		this.#stall = { since: this.#lastToken, deadline, reason, before, lost: new Map() };
	}

	/** Goes on by another route as soon as there is one. One at a time: what is lost meanwhile is seen to right after. */
	async #recover(first?: readonly Hop[]): Promise<void> {
		this.#again = true;
		if (this.#recovering) return;
		this.#recovering = true;
		let next = first;
		while (this.#again && !this.#settled) {
			this.#again = false;
			const hops = next ?? this.#plan();
			next = undefined;
			if (hops) {
				await this.#reroute(hops);
				continue;
			}
			const left = (this.#stall?.deadline ?? 0) - performance.now();
			if (left <= 0) {
				this.#fail(this.#stall?.reason);
				break;
			}
			await swarmChange(this.#init.directory, Math.min(left, LOOK_AGAIN_MS), this.#stop.signal);
			this.#again = true;
		}
		this.#recovering = false;
	}

	/** The route without the lost stages, and without `peer`; undefined where those that are here cannot make one. */
	#plan(peer?: string): Hop[] | undefined {
		const { directory, experience, model, room } = this.#init;
		const { id: self, connections } = this.#init.peer;
		const hops = this.#hops;
		const lost = new Set(
			this.#links.filter(({ status }) => status.state === "lost").map(({ hop }) => hop.peer),
		);
		if (peer !== undefined) lost.add(peer);
		if (lost.size === 0) return hops;
		const { members } = directory;
		const here = new Set(members.map((member) => member.peer));
		const known = [...members, ...[...this.#lostMembers.values()].filter((member) => !here.has(member.peer))];
		const now = performance.now();
		const extraMs = (other: string): number => experience?.extraMs(other, now) ?? 0;
		// To find out that a peer which earlier answers lost is gone would take longer than all the rest.
		const doubtful = members.map((member) => member.peer).filter((each) => experience?.isDoubtful(each, now));
		const ever = new Set([...this.#excluded.keys(), ...lost]);
		const still = new Set([...this.#excluded].filter(([, until]) => until > now).map(([each]) => each));
		if (peer !== undefined) still.add(peer);
		const gone = new Set([...this.#lostMembers.keys()].filter((each) => !here.has(each)));
		for (const exclude of [new Set([...ever, ...doubtful]), ever, still]) {
			const all = new Set([...exclude, ...gone]);
			const ownLayers = this.#init.ends?.layers ?? 0;
			const view = { room, self, connections, exclude: all, extraMs, ownLayers };
			const replaced = replaceLost(hops, lost, known, model, view);
			if (replaced) return replaced;
			try {
				return planRoute(members, model, view);
			} catch (error) {
				if (!(error instanceof NoRouteError)) throw error;
			}
		}
		return undefined;
	}

	async #reroute(hops: readonly Hop[]): Promise<void> {
		const before = this.#links;
		this.#generation++;
		this.#phase = "recovering";
		this.#rerouted = performance.now();
		this.#unchecked.clear();
		this.#links = this.#othersOf(hops).map(
			(hop) =>
				before.find((link) => link.status.state !== "lost" && sameHop(link.hop, hop)) ??
				new StageLink(hop, this),
		);
		for (const link of before) if (!this.#links.includes(link)) link.close();
		// Its last token goes around again, so that the last stage samples behind it.
		await this.#route(this.#chain.length - 1, new Set(before));
	}

	/** @param opening - peer to blame while there is nothing to lose yet */
	#fail(error: unknown, opening?: string): void {
		if (this.#settled) return;
		this.#settled = true;
		this.#failed.reject(opening === undefined ? error : new StageFailure(opening, error));
	}

	#changed(): void {
		const others = this.#links.map((link) => link.status);
		const own = this.#ownStatus();
		this.#listener.onStages(own ? [own[0], ...others, own[1]] : others);
	}

	#ownStatus(): [StageStatus, StageStatus] | undefined {
		const { ends } = this.#init;
		if (!ends || !this.#ownHops) return undefined;
		const [firstMs, headMs] = this.#ends!.msPerToken;
		const { numericsClass } = ends.engine.info;
		const status = ({ peer, span }: Hop, msPerToken: number): StageStatus => {
			return { peer, span, state: "ready", progress: 1, msPerToken, numericsClass };
		};
		return [status(this.#ownHops[0], firstMs), status(this.#ownHops[1], headMs)];
	}
}

function sameHop(a: Hop, b: Hop): boolean {
	return a.peer === b.peer && a.span.from === b.span.from && a.span.to === b.span.to;
}

/** Whether a peer said itself that it cannot serve now, or could not be asked. */
function isRefusal(error: unknown): boolean {
	return (
		error instanceof RouteRefusedError ||
		error instanceof StageBusyError ||
		error instanceof PeerUnreachableError
	);
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
