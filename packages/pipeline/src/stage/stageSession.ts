import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Engine, FinalNorm, ForwardResult, ModelRef, StreamKey } from "@tabmesh/model";
import type { TokenConstraint } from "@tabmesh/model/constraint";
import type { MessageStream, Offence, Peer } from "@tabmesh/transport";
import {
	type Constraint,
	decodeCbor,
	decodeFrame,
	decodeTensor,
	encodeCbor,
	encodeFrame,
	encodeTensor,
	equalBytes,
	type FinishReason,
	type HiddenFrame,
	InvalidParameterError,
	InvalidTensorError,
	isPrivateRoute,
	MalformedMessageError,
	MessageTooLargeError,
	OutOfMemoryBudgetError,
	PeerUnreachableError,
	ProtocolViolationError,
	ReceiptError,
	type RingAccept,
	type RingFrame,
	type RingOpen,
	type Route,
	RouteViolationError,
	ringAcceptSchema,
	type StageBusyError,
	StageLostError,
	type StageRequest,
	type StageResponse,
	StreamResetError,
	TabmeshError,
	TokenChainError,
	type TokenFrame,
	type TokenLogprob,
	toWireError,
} from "@tabmesh/wire";
import { Chatter } from "../chatter.ts";
import { MeanOfStates } from "../embedding/meanOfStates.ts";
import { ringProtocol } from "../protocols.ts";
import { outputSample } from "../receipts/outputSample.ts";
import type { SignedReceipt } from "../receipts/signedReceipt.ts";
import { StageReceipts, type Work } from "../receipts/stageReceipts.ts";
import { RollingMedian } from "../rollingMedian.ts";
import { type OpenedRoute, openRoute } from "../route.ts";
import { HeldAnswer } from "../sampling/heldAnswer.ts";
import { logprobsOf } from "../sampling/logprobs.ts";
import { sample } from "../sampling/sampling.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { Speculation } from "../speculation/speculation.ts";
import { type Link, nextLink, TokenChain } from "../tokenChain.ts";
import type { BatchQueue, Lane } from "./batchQueue.ts";
import { type Beginning, type KeptPrefixes, originOf, type Prefix } from "./keptPrefixes.ts";
import type { LoadedSpans, SpanLease } from "./loadedSpans.ts";
import { historyRowBytes, SentHistory, type SentStep } from "./sentHistory.ts";

/**
 * Frames of older generations that are dropped in silence. Links are made anew with each generation, so that an honest neighbour's are on
 * their way at most.
 */
const MOST_STALE = 64;
/** Runs of one stream that may wait here; behind them the sender waits for credit. */
const MOST_BACKLOG = 4;
/** Tokens between two `progress` messages: the asker learns of a forked chain within so many. */
const PROGRESS_EVERY = 8;
/** How long reaching the next stage may take: a dial through the relay, and the asker's own dial to that stage. */
const CONNECT_MS = 20_000;
/** How long a stage whose neighbour's link broke leaves the word to the neighbour, who knows why. */
const HEARSAY_MS = 250;
/** Least time between two `preparing` messages. */
const PREPARING_EVERY_MS = 100;
/**
 * A prompt is computed in chunks of about this long, so that other streams, signs of life and the next stage do not wait
 * for all of it.
 */
const CHUNK_MS = 150;
const FIRST_CHUNK = 32;
const SMALLEST_CHUNK = 8;
const LARGEST_CHUNK = 128;
/** What accepts a link: one number. */
const ACCEPT_BYTES = 64;

/**
 * What a row beside another costs, of what a row alone does, before laps have shown it: FACTS has a third on WebAssembly with one thread and
 * an eighth with two; Node takes less. Where an engine runs rows one after the other it is all of it, which the first lap tells.
 */
export const DRAFT_SHARE = 1 / 3;

const NO_BYTES = new Uint8Array(0);

export type OpenRequest = Extract<StageRequest, { type: "open" }>;
type RerouteRequest = Extract<StageRequest, { type: "reroute" }>;

/** What a stage shares with the others of its server. */
export interface StageContext {
	readonly peer: Peer;
	readonly engine: Engine;
	readonly spans: LoadedSpans;
	readonly prefixes: KeptPrefixes;
	readonly queue: BatchQueue;
	/** Signs receipts. */
	readonly signer: EnvelopeSigner;
	/** Chain on which receipts may be settled (EIP-155); 0 for none. */
	readonly chainId: number;
	/** How long an asker may take to countersign a receipt, in milliseconds. */
	readonly countersignMs: number;
	/** How long a stream whose asker is gone is kept for him, in milliseconds. */
	readonly leaseMs: number;
	/** Streams of which others may begin with the same. */
	running(): Iterable<Prefix>;
	/** What guesses tokens of a model. */
	drafter(model: ModelRef): Drafter;
	/** The norm behind a model's last layer. */
	finalNorm(model: ModelRef): Promise<FinalNorm>;
	/** What holds the tokens of a model to a form. @throws InvalidParameterError where the form is not offered */
	constraint(model: ModelRef, terms: Constraint): Promise<TokenConstraint>;
	/** Called after each step with the positions it computed, and its time where it was a decode step. */
	onStep(rows: number, decodeMs: number | undefined): void;
	/** The session has a newer route: links of it may be waiting. */
	onRoute(session: StageSession): void;
	/**
	 * The error of a stage that has no room.
	 *
	 * @param sentence - without its end
	 * @param needed - what is missing
	 * @param frees - what each stream gives back when it ends
	 */
	busy(sentence: string, needed: number, frees: (session: StageSession) => number): StageBusyError;
	/**
	 * Holds the streams of one asker to its share of the memory: whoever has one here already leaves room for others.
	 *
	 * @param bytes - what `session` is about to take
	 * @throws StageBusyError
	 */
	holdToShare(session: StageSession, bytes: number): Promise<void>;
	/** @throws OutOfMemoryBudgetError where `bytes` more would take what layers on their way need */
	keepPromised(bytes: number): Promise<void>;
	/** Ends a stream whose asker is gone, if there is one, to make room. */
	evict(): Promise<boolean>;
	onEnd(session: StageSession): void;
}

export interface StageSessionInit {
	readonly key: string;
	readonly context: StageContext;
	readonly model: ModelRef;
	readonly route: Route;
	readonly place: number;
	readonly open: OpenRequest;
	/** To the asker. */
	readonly control: MessageStream;
}

/** One stream at one stage: from its signed route to the last byte that it held, over every failover in between. */
export class StageSession {
	readonly key: string;
	readonly asker: string;
	/** By `performance.now()`: when the asker or the predecessor was last heard. */
	lastHeard = performance.now();
	/** By `performance.now()`: since when the asker is gone. */
	detachedSince: number | undefined;
	/** Resolves when everything is freed. */
	readonly ended: Promise<void>;
	/** Resolves when the asker has signed for all of it, too, or does not in time. */
	readonly settled: Promise<void>;

	readonly #context: StageContext;
	readonly #model: ModelRef;
	readonly #isFirst: boolean;
	readonly #isLast: boolean;
	readonly #abort = new AbortController();
	readonly #resolveEnded: () => void;
	readonly #decodeMs = new RollingMedian();

	#route: Route;
	#place: number;
	#open: OpenRequest;
	#control: MessageStream;
	/** `finished`: the last token was sampled. */
	#state: "preparing" | "serving" | "finished" | "ended" = "preparing";
	readonly #loaded: Promise<void>;
	#lease: SpanLease | undefined;
	/** Its name in the engine, once it has memory there. */
	#memory: StreamKey | undefined;
	/** Of whom it may take over a beginning, and who may take over its own; undefined after the stages before it changed. */
	#origin: string | undefined;
	#lane: Lane | undefined;
	/** Aborted when the links of this generation are given up. */
	#links = new AbortController();
	#predecessor: MessageStream | undefined;
	/** Frames of older generations that came over its link. */
	#stale = 0;
	/** What the asker and the neighbours say that is no work. */
	readonly #chatter = new Chatter();
	#successor: MessageStream | undefined;
	/** Resolves when the asker of a private stream has opened the link on which it comes back. */
	#returned = Promise.withResolvers<void>();
	/** Whether a frame went to the successor since `keepAwake` looked. */
	#sentLately = false;
	/** Runs while the asker is gone. */
	#leaseTimer: ReturnType<typeof setTimeout> | undefined;
	/** The tokens themselves, at the first stage, with the drafts of the lap under way. */
	#tokens = new TokenChain();
	/** At the first stage, where the asker wants it. */
	readonly #speculation: Speculation | undefined;
	/** Positions that have come in; what the engine has computed follows it. */
	#received = 0;
	/** How many of them, at the end, are drafts that may be rejected. */
	#drafted = 0;
	#prompt: Int32Array[] = [];
	#promptDone = false;
	#promptPosition = 0;
	#chunk = FIRST_CHUNK;
	/** What the engine has computed. */
	#history: SentHistory;
	/** Positions that the successor has, from us or from before. */
	#sent = 0;
	/** Positions behind them that it must forget with the next frame. */
	#rejected = 0;
	#flushing: Promise<void> | undefined;
	/** At the last stage: a token for which the link to the first stage does not stand yet. */
	#waitingToken: TokenFrame | undefined;
	/** Position of the latest `progress`. */
	#told = 0;
	/** When the prompt was computed, by `performance.now()`, and the position behind it. */
	#paced: { readonly since: number; readonly from: number } | undefined;
	/** At the last stage. */
	#sampled: Sampled;
	/** At the last stage, where the answer is held to a form. */
	#held: HeldAnswer | undefined;
	/** At the last stage, where nothing is generated. */
	#mean: MeanOfStates | undefined;
	readonly #receipts: StageReceipts;

	constructor(init: StageSessionInit) {
		this.key = init.key;
		this.asker = init.control.remote;
		this.#route = init.route;
		this.#context = init.context;
		this.#model = init.model;
		this.#place = init.place;
		this.#open = init.open;
		this.#control = init.control;
		this.#isFirst = init.place === 0;
		this.#isLast = init.place === init.route.hops.length - 1;
		const speculates = this.#isFirst && init.open.speculation;
		this.#speculation = speculates ? new Speculation(init.context.drafter(init.model)) : undefined;
		this.#sampled = sampledBefore(init.open.generation);
		this.#origin = this.#originOf(init.route);
		this.#history = new SentHistory(historyRowBytes(init.model, init.route.hops[init.place]!.span));
		const { promise, resolve } = Promise.withResolvers<void>();
		this.ended = promise;
		this.#resolveEnded = resolve;
		this.#receipts = new StageReceipts({
			signer: init.context.signer,
			terms: {
				asker: this.asker,
				chainId: init.context.chainId,
				model: init.model.id,
				numericsClass: init.context.engine.info.numericsClass,
				peer: init.context.peer.id,
				span: init.route.hops[init.place]!.span,
				stream: init.route.stream,
			},
			send: (receipt) => this.#tell({ type: "receipt", receipt: receipt as Uint8Array<ArrayBuffer> }),
			countersignMs: init.context.countersignMs,
			refused: (error) => this.fail(error),
		});
		this.#receipts.onRoute(init.route);
		this.settled = promise.then(() => this.#receipts.settled());
		this.#loaded = this.#load();
		void this.#join(init.open.keep === undefined);
	}

	/** The newest. */
	get route(): Route {
		return this.#route;
	}

	/** Which of its hops is here. */
	get place(): number {
		return this.#place;
	}

	/** Positions computed so far, prompt and answer. */
	get positions(): number {
		return this.#history.end;
	}

	/** The asker's control stream: another one after his tab was reloaded. */
	get control(): MessageStream {
		return this.#control;
	}

	/** What both sides signed for so far. */
	get receipt(): SignedReceipt | undefined {
		return this.#receipts.signed;
	}

	/** About how long it goes on, in milliseconds, if it writes as much as it may; undefined before its pace is known. */
	get remainingMs(): number | undefined {
		const { end } = this.#history;
		const computed = this.#paced ? end - this.#paced.from : 0;
		if (!this.#paced || computed <= 0) return undefined;
		return ((this.#open.maxPositions - end) * (performance.now() - this.#paced.since)) / computed;
	}

	/** Bytes of the engine that it has. */
	get memoryBytes(): number {
		return this.#lane ? this.#open.maxPositions * this.#lane.handle.keyValueBytesPerToken : 0;
	}

	/** The same, with what it is about to be given. */
	get askedBytes(): number {
		return this.#lease ? this.#open.maxPositions * this.#lease.handle.keyValueBytesPerToken : 0;
	}

	/** Bytes kept for a spare of the successor. */
	get historyBytes(): number {
		return this.#history.bytes;
	}

	/** Most that `historyBytes` can become. */
	get mostHistoryBytes(): number {
		return this.#open.maxPositions * this.#history.rowBytes;
	}

	/** What another stream may begin with. */
	get prefix(): Prefix | undefined {
		const { links } = this.#open;
		return links && this.#state !== "ended" ? this.#prefix(links) : undefined;
	}

	#prefix(links: Uint8Array): Prefix | undefined {
		const { asker } = this;
		const { handle } = this.#lane ?? {};
		const [origin, memory] = [this.#origin, this.#memory];
		if (!handle || origin === undefined || memory === undefined) return undefined;
		return { asker, origin, handle, memory, links, history: this.#history, tokens: this.#tokens };
	}

	#originOf({ model, hops }: Route): string {
		return originOf(this.asker, model, hops.slice(0, this.#place + 1), this.#open.apart);
	}

	/** Whether an `open` of a newer generation finds here what it can go on from. */
	continues({ route, place }: OpenedRoute, open: OpenRequest): boolean {
		return (
			open.keep !== undefined &&
			this.#state !== "ended" &&
			route.model === this.#route.model &&
			this.#isAskedFor(route, place) &&
			open.maxPositions === this.#open.maxPositions
		);
	}

	#isAskedFor(route: Route, place: number): boolean {
		const { span } = this.#route.hops[this.#place]!;
		const asked = route.hops[place]!.span;
		return span.from === asked.from && span.to === asked.to;
	}

	/** The asker is back on a new control stream. */
	adopt(opened: OpenedRoute, open: OpenRequest, control: MessageStream): void {
		const before = this.#control;
		this.#control = control;
		this.detachedSince = undefined;
		clearTimeout(this.#leaseTimer);
		before.abort(new StreamResetError("The asker has opened the stream anew."));
		this.#goOn(opened, open.keep!, open.generation);
	}

	/**
	 * Goes on by a newer route. What was under way on the links is lost, so that what has come in is what was computed; of
	 * that, positions from `keep` on are forgotten, because the asker sends that token around again.
	 */
	#goOn({ route, place }: OpenedRoute, keep: number, generation: OpenRequest["generation"]): void {
		this.lastHeard = performance.now();
		this.#route = route;
		this.#place = place;
		if (this.#originOf(route) !== this.#origin) this.#origin = undefined;
		this.#receipts.onRoute(route);
		this.#unlink();
		this.#open = { ...this.#open, generation };
		this.#held?.restart(generation?.written ?? []);
		this.#sampled = sampledBefore(generation);
		if (this.#state === "finished") this.#state = "serving";
		this.#history.truncate(keep);
		const { end } = this.#history;
		this.#received = end;
		this.#drafted = 0;
		this.#told = end;
		this.#speculation?.interrupted();
		this.#tokens.truncate(Math.min(end, this.#tokens.length));
		this.#prompt = [];
		this.#promptPosition = end;
		this.#promptDone = false;
		if (this.#lane) {
			const { handle } = this.#lane;
			this.#lane.close();
			// Behind a running step, whose result nobody takes any more.
			this.#context.engine.truncate(this.#memory!, end).catch((error) => this.fail(error));
			this.#lane = this.#context.queue.lane(this.#memory!, handle, this.asker, (error) => this.fail(error));
		}
		this.#context.onRoute(this);
		void this.#join(false);
	}

	#unlink(): void {
		const over = new StreamResetError("The stream goes on by a newer route.");
		this.#links.abort(over);
		this.#links = new AbortController();
		this.#predecessor?.abort(over);
		this.#predecessor = undefined;
		this.#successor = undefined;
		this.#returned = Promise.withResolvers();
		this.#flushing = undefined;
		this.#waitingToken = undefined;
		this.#sent = 0;
		this.#rejected = 0;
	}

	/**
	 * Reaches the next stage and tells the asker, when the span is loaded.
	 *
	 * @param waitsForLink - tell the asker only when the link stands: before a stream begins, another route costs nothing
	 */
	async #join(waitsForLink: boolean): Promise<void> {
		const { generation } = this.#route;
		const over = (): boolean => this.#state === "ended" || this.#route.generation !== generation;
		const linked = this.#connect();
		linked.catch(() => {});
		try {
			await this.#loaded;
			if (waitsForLink) await linked.catch(afterTheNeighbour);
		} catch (error) {
			if (!over()) this.fail(error);
			return;
		}
		if (over()) return;
		const { numericsClass } = this.#context.engine.info;
		// Later, what it has came from its predecessor, and was computed here.
		this.#receipts.begin(waitsForLink ? this.#received : 0);
		this.#tell({ type: "ready", numericsClass, generation, position: this.#received });
		try {
			await linked.catch(afterTheNeighbour);
		} catch (error) {
			const { hops } = this.#route;
			if (!over()) this.#tellBroken(hops[(this.#place + 1) % hops.length]!.peer, error);
		}
	}

	async #load(): Promise<void> {
		const { spans, engine, prefixes, queue } = this.#context;
		let lastTold = Number.NEGATIVE_INFINITY;
		const lease = await spans.acquire(this.#model, this.#route.hops[this.#place]!.span, {
			signal: this.#abort.signal,
			onProgress: ({ phase, loadedBytes, totalBytes }) => {
				const now = performance.now();
				if (now - lastTold < PREPARING_EVERY_MS && phase === "fetch") return;
				lastTold = now;
				this.#tell({ type: "preparing", loadedBytes, totalBytes });
			},
		});
		if (this.#state === "ended") {
			lease.release();
			return;
		}
		this.#lease = lease;
		const { handle } = lease;
		const { embed, generation, maxPositions, links } = this.#open;
		if (embed) {
			this.#mean = new MeanOfStates(await this.#context.finalNorm(this.#model), embed.from);
			if ((this.#state as string) === "ended") return;
		}
		if (generation?.constraint) {
			const held = new HeldAnswer(await this.#context.constraint(this.#model, generation.constraint));
			if ((this.#state as string) === "ended") return;
			// A newer route may have come in between.
			held.restart(this.#open.generation?.written ?? []);
			this.#held = held;
		}
		await this.#context.holdToShare(this, this.askedBytes);
		let beginning: Beginning;
		for (;;) {
			try {
				await this.#context.keepPromised(this.askedBytes);
				beginning = await prefixes.reserve({
					origin: this.#origin,
					handle,
					maxPositions,
					links: links ?? NO_BYTES,
					running: this.#context.running(),
				});
				break;
			} catch (error) {
				if (!(error instanceof OutOfMemoryBudgetError)) throw error;
				if ((await spans.freeIdle()) || (await this.#context.evict())) continue;
				const { bytes, freeBytes } = error.details;
				throw this.#context.busy(
					"This peer has no memory left for another stream of this length",
					Number(bytes) - Number(freeBytes),
					({ memoryBytes }) => memoryBytes,
				);
			}
		}
		const { memory, begun } = beginning;
		if ((this.#state as string) === "ended") {
			await engine.release(memory);
			return;
		}
		this.#memory = memory;
		if (begun) {
			this.#history = begun.history;
			this.#tokens = begun.tokens;
			this.#received = begun.history.end;
			this.#promptPosition = this.#received;
		}
		this.#lane = queue.lane(memory, handle, this.asker, (error) => this.fail(error));
		this.#state = "serving";
	}

	async #connect(): Promise<void> {
		const { hops, stream, generation } = this.#route;
		if (hops.length === 1) return;
		const to = hops[(this.#place + 1) % hops.length]!.peer;
		const { signal } = this.#links;
		// The asker of a private stream opens the link himself: he serves nobody.
		if (isPrivateRoute(this.#route.hops) && to === this.asker) return this.#returned.promise;
		let ring: MessageStream;
		try {
			ring = await this.#context.peer.open(to, ringProtocol, { signal, timeoutMs: CONNECT_MS });
		} catch (cause) {
			signal.throwIfAborted();
			throw new PeerUnreachableError("A stage cannot reach the next one.", {
				details: { peer: to },
				cause,
			});
		}
		if (signal.aborted) {
			ring.abort(signal.reason);
			return;
		}
		signal.addEventListener("abort", () => ring.abort(signal.reason), { once: true });
		await ring.send(encodeCbor({ stream, generation } satisfies RingOpen), { signal });
		const iterator = ring[Symbol.asyncIterator]();
		const { value, done } = await iterator.next().catch((error) => {
			throw this.#neighbourError(error, to);
		});
		signal.throwIfAborted();
		if (done) {
			throw this.#neighbourError(new StreamResetError("The next stage did not accept the link."), to);
		}
		const { position } = decodeCbor(ringAcceptSchema, value, ACCEPT_BYTES);
		if (position > this.#open.maxPositions) {
			const error = new RouteViolationError("A stage claims more positions than its stream can have.", {
				details: { peer: to, position },
			});
			this.#violation(error, to);
			throw error;
		}
		this.#goOver(ring, iterator, position);
	}

	/** Sends the successor over `ring` what it lacks, and everything that comes. */
	#goOver(ring: MessageStream, iterator: AsyncIterator<Uint8Array>, position: number): void {
		this.#sent = position;
		this.#successor = ring;
		// Nothing else comes this way; what the loop sees is the end.
		iterator.next().then(
			({ done }) => {
				const error = new ProtocolViolationError("A stage answered on a one-way link.");
				if (!done) this.#violation(error, ring.remote);
				else this.#neighbourLost(new StreamResetError("The next stage ended the link."), ring);
			},
			(error) => this.#neighbourLost(error, ring),
		);
		if (this.#waitingToken) void this.#send(this.#waitingToken);
		else void this.#flush();
	}

	/**
	 * Takes the link on which the asker of a private stream wants what comes out behind the last stage.
	 *
	 * @throws RouteViolationError when `ring` is of somebody else, of another generation, or the second one
	 */
	attachReturn(ring: MessageStream, generation: number, position: number): void {
		const { hops } = this.#route;
		if (!isPrivateRoute(hops) || this.#place !== hops.length - 2 || ring.remote !== this.asker) {
			throw new RouteViolationError(
				"A peer that is not the successor on the route wants to be sent its frames.",
			);
		}
		this.#assertGeneration(generation);
		if (this.#successor) throw new RouteViolationError("The successor has opened its link before.");
		if (position > this.#open.maxPositions) {
			throw new RouteViolationError("An asker claims more positions than the stream can have.");
		}
		const { signal } = this.#links;
		signal.addEventListener("abort", () => ring.abort(signal.reason), { once: true });
		this.#goOver(ring, ring[Symbol.asyncIterator](), position);
		this.#returned.resolve();
	}

	#assertGeneration(generation: number): void {
		if (generation === this.#route.generation) return;
		throw new RouteViolationError("A link is of another generation of the route.", {
			details: { generation, expected: this.#route.generation },
		});
	}

	/** A message from the asker after `open`. */
	async onControl(request: StageRequest): Promise<void> {
		this.lastHeard = performance.now();
		switch (request.type) {
			case "ping":
				this.#chatter.heard();
				// Awaited: who does not read the answers is not read, either.
				await this.#control.send(
					encodeCbor({
						type: "pong",
						nonce: request.nonce,
						received: this.#received - this.#drafted,
						computed: Math.min(this.#history.certain.position, this.#received - this.#drafted),
					} satisfies StageResponse),
				);
				return;
			case "reroute":
				await this.#reroute(request);
				return;
			case "prompt":
				this.#onPrompt(request);
				return;
			case "countersigned":
				await this.#receipts.onCountersigned(request.receipt);
				return;
			case "close":
				this.close(request.links);
				return;
			case "open":
				throw new ProtocolViolationError("A stream was opened twice.");
		}
	}

	async #reroute(request: RerouteRequest): Promise<void> {
		const { stream, generation, model, room } = this.#route;
		const opened = await openRoute(request.route, { remote: this.asker, self: this.#context.peer.id, room });
		const { route, place } = opened;
		if (!equalBytes(route.stream, stream) || route.model !== model || route.generation <= generation) {
			throw new RouteViolationError("A newer route is of another stream, or older.");
		}
		if (!this.#isAskedFor(route, place)) {
			throw new RouteViolationError("A newer route asks a stage for other layers.");
		}
		const { generation: asked } = request;
		if (this.#isLast !== (asked !== undefined)) {
			throw new ProtocolViolationError("How to generate is for the last stage, and for that one only.");
		}
		if (asked?.constraint?.schema !== this.#open.generation?.constraint?.schema) {
			throw new ProtocolViolationError("A newer route holds the answer to another form.");
		}
		if (this.#state !== "ended") this.#goOn(opened, request.keep, request.generation);
	}

	#onPrompt({ position, tokens, last }: Extract<StageRequest, { type: "prompt" }>): void {
		if (!this.#isFirst) throw new RouteViolationError("A prompt came to a stage that is not the first.");
		if (this.#state !== "serving" || this.#promptDone) {
			throw new RouteViolationError("A prompt came when none was due.");
		}
		this.#assertPlace(position, 0, tokens.length);
		const { vocabularySize } = this.#model.manifest.config;
		for (const token of tokens) {
			if (token >= vocabularySize) throw outsideVocabulary(token, vocabularySize);
			this.#tokens.push(token);
		}
		this.#received += tokens.length;
		this.#prompt.push(Int32Array.from(tokens));
		this.#promptDone = last;
		if (this.#lane!.backlog === 0) this.#pushPromptChunk();
	}

	/** Computes the next chunk of what the asker sent, or all the positions that he sent one by one: they were decoded. */
	#pushPromptChunk(): void {
		do {
			const tokens = this.#prompt.shift();
			if (!tokens) return;
			const input = tokens.subarray(0, chunkOf(tokens.length, this.#chunk));
			if (input.length < tokens.length) this.#prompt.unshift(tokens.subarray(input.length));
			this.#pushPrompt(input);
		} while (this.#lane!.backlog === 1 && this.#prompt[0]?.length === 1);
	}

	#pushPrompt(input: Int32Array): void {
		const rows = input.length;
		const position = this.#promptPosition;
		this.#promptPosition += rows;
		const last = this.#promptDone && this.#prompt.length === 0;
		const chain = this.#tokens.at(this.#promptPosition);
		this.#lane!.push({
			position,
			input,
			rows,
			logits: this.#isLast && last && !this.#mean ? "last" : "none",
			oneByOne: false,
			onResult: (result, ms) => {
				if (rows > 1) this.#chunk = fittingChunk(ms / rows);
				const sent = this.#onComputed(result, { position, rows, chain, links: [], last, rollback: 0 }, ms);
				if (this.#lane?.backlog === 0) this.#pushPromptChunk();
				return sent;
			},
		});
	}

	/**
	 * Takes the link of the predecessor, and accepts it as soon as frames can be taken: with how many positions are here.
	 *
	 * @throws RouteViolationError when `ring` is of somebody else, of another generation, or the second one
	 */
	async attach(ring: MessageStream, generation: number): Promise<void> {
		const { hops } = this.#route;
		const from = hops[(this.#place + hops.length - 1) % hops.length]!.peer;
		if (hops.length === 1 || ring.remote !== from) {
			throw new RouteViolationError("A link came from a peer that is not the predecessor on the route.");
		}
		this.#assertGeneration(generation);
		if (this.#predecessor) throw new RouteViolationError("The predecessor has opened its link before.");
		this.#predecessor = ring;
		this.#stale = 0;
		try {
			await this.#loaded;
		} catch (cause) {
			const { id } = this.#context.peer;
			throw new StageLostError("A stage could not take the stream.", { details: { peer: id }, cause });
		}
		if (this.#predecessor !== ring) return;
		await ring.send(encodeCbor({ position: this.#received } satisfies RingAccept));
	}

	/** Reads the predecessor's frames until it ends its side, the stream ends, or a newer route has another link. */
	async readRing(ring: MessageStream): Promise<void> {
		const from = ring.remote;
		try {
			for await (const message of ring) {
				if (this.#predecessor !== ring) return;
				this.lastHeard = performance.now();
				try {
					// Only keeps the line awake.
					if (message.byteLength === 0) this.#chatter.heard();
					else this.#onFrame(decodeFrame(message));
				} catch (error) {
					this.#violation(error, from);
					return;
				}
				if (this.#lane && this.#lane.backlog >= MOST_BACKLOG) await this.#lane.fewerThan(MOST_BACKLOG);
			}
			this.#neighbourLost(new StreamResetError("The stage before ended the link."), ring);
		} catch (error) {
			this.#neighbourLost(error, ring);
		}
	}

	#onFrame(frame: RingFrame): void {
		const { stream, generation } = this.#route;
		if (frame.generation < generation && equalBytes(frame.stream, stream)) {
			if (++this.#stale <= MOST_STALE) return;
			throw new RouteViolationError("Frames of an older generation come again and again.");
		}
		if (frame.generation !== generation || !equalBytes(frame.stream, stream)) {
			throw new RouteViolationError("A frame is of a stream or generation that its link was not opened for.");
		}
		if (this.#state === "preparing")
			throw new RouteViolationError("A frame came before the link was accepted.");
		if (this.#state === "ended") return;
		if (frame.kind === "tokens") this.#onTokens(frame);
		else this.#onHidden(frame);
	}

	#onTokens({ position, rollback, tokens, chain }: TokenFrame): void {
		if (!this.#isFirst) throw new RouteViolationError("A token came to a stage that is not the first.");
		if (!this.#promptDone) throw new RouteViolationError("A token came before the end of the prompt.");
		if (rollback !== this.#drafted) {
			throw new RouteViolationError("Tokens came that leave drafts where they are.", {
				details: { position, rollback, drafted: this.#drafted },
			});
		}
		this.#assertPlace(position, rollback, tokens.length);
		this.#takeTokens(position, tokens, chain);
	}

	/** At the first stage: the drafts that were accepted, and the token that goes around next, with new drafts behind it. */
	#takeTokens(position: number, tokens: readonly number[], expected: Uint8Array): void {
		const accepted = tokens.length - 1;
		const sent = this.#tokens.tokens.subarray(position);
		if (accepted > this.#drafted || sent.subarray(0, accepted).some((draft, i) => draft !== tokens[i])) {
			throw new ProtocolViolationError("The last stage accepted what was not drafted.", {
				details: { position, accepted, drafted: this.#drafted },
			});
		}
		const { vocabularySize } = this.#model.manifest.config;
		const token = tokens[accepted]!;
		if (token >= vocabularySize) throw outsideVocabulary(token, vocabularySize);
		const rejected = this.#drafted - accepted;
		this.#tokens.truncate(position + accepted);
		const link = this.#tokens.push(token);
		if (!equalBytes(link, expected)) {
			throw new TokenChainError("The last stage's token does not continue the stream's chain.", {
				details: { position },
			});
		}
		this.#speculation?.sampled(tokens, performance.now());
		const start = position + accepted;
		// Nothing is under way until the next lap begins.
		this.#drafted = 0;
		this.#received = start;
		const drafts = this.#draft();
		if (!("then" in drafts)) {
			this.#startLap(start, link, drafts, rejected);
			return;
		}
		const lane = this.#lane;
		drafts
			.catch(() => [])
			.then((drafts) => {
				if (this.#lane === lane && this.#state === "serving") this.#startLap(start, link, drafts, rejected);
			});
	}

	/** Sends the newest token around, with drafts behind it. */
	#startLap(start: number, link: Link, drafts: readonly number[], rollback: number): void {
		const links = [link];
		for (const draft of drafts) links.push(this.#tokens.push(draft));
		const chain = links.pop()!;
		this.#drafted = links.length;
		const rows = 1 + links.length;
		this.#received = start + rows;
		const input = this.#tokens.tokens.slice(start);
		this.#push(input, { position: start, rows, chain, links, last: true, rollback });
	}

	/** Where others wait for the engine, a lap takes one position as ever. */
	#draft(): readonly number[] | Promise<readonly number[]> {
		if (!this.#speculation) return [];
		if (this.#context.queue.isShared(this.#lane!)) {
			this.#speculation.interrupted();
			return [];
		}
		// The last token of an answer is sampled behind the position before it, and not computed.
		const room = this.#open.maxPositions - 1 - this.#tokens.length;
		return this.#speculation.draft(this.#tokens.tokens, room, this.#draftMs());
	}

	/** About what a draft adds to the work of all stages: they take as long for each layer of a token as we do. */
	#draftMs(): number {
		const { from, to } = this.#route.hops[this.#place]!.span;
		const { layers } = this.#model.manifest.config;
		// Who has no layer knows nothing of that.
		return to > from ? (DRAFT_SHARE * this.#decodeMs.value * layers) / (to - from) : Number.MAX_SAFE_INTEGER;
	}

	#onHidden(frame: HiddenFrame): void {
		const { position, rollback, header, bytes, chain, last, links } = frame;
		if (this.#isFirst) throw new RouteViolationError("A hidden state came to the first stage.");
		const { boundary, config } = this.#model.manifest;
		if (header[0] !== boundary) {
			throw new InvalidTensorError(`A hidden state is in ${header[0]} where the model says ${boundary}.`);
		}
		this.#assertPlace(position, rollback, header[1]);
		const hidden = decodeTensor(header, bytes, config.hiddenSize);
		const { next } = this.#sampled;
		if (this.#isLast && next && (position !== next.position || !equalBytes(links[0] ?? chain, next.chain))) {
			throw new TokenChainError("The stages before the last one went on with another token.", {
				details: { position },
			});
		}
		this.#received = position + hidden.rows;
		this.#drafted = links.length;
		const step: Step = {
			position,
			rows: hidden.rows,
			chain: chain as Link,
			links: links as Link[],
			last,
			rollback,
		};
		this.#push(hidden, step);
	}

	#assertPlace(position: number, rollback: number, rows: number): void {
		if (rollback > this.#drafted || position !== this.#received - rollback) {
			throw new RouteViolationError(
				`Input for position ${position} came where ${this.#received} less ${rollback} is due.`,
				{ details: { position, rollback, length: this.#received } },
			);
		}
		if (position + rows > this.#open.maxPositions) {
			throw new RouteViolationError(`The stream has room for ${this.#open.maxPositions} positions.`, {
				details: { position, rows, maxPositions: this.#open.maxPositions },
			});
		}
	}

	#push(input: Int32Array | ReturnType<typeof decodeTensor>, step: Step): void {
		this.#lane!.push({
			position: step.position,
			input,
			rows: step.rows,
			logits: !this.#isLast || !step.last || this.#mean ? "none" : step.links.length > 0 ? "all" : "last",
			oneByOne: step.links.length > 0,
			...(step.rollback > 0 ? { truncateTo: step.position } : {}),
			onResult: (result, ms) => this.#onComputed(result, step, ms),
		});
	}

	#onComputed(result: ForwardResult, step: Step, ms: number): Promise<void> | undefined {
		const { position, rows, chain, links, last, rollback } = step;
		const decoded = rows === 1 && last;
		if (decoded) this.#decodeMs.add(ms);
		this.#context.onStep(rows, decoded ? ms : undefined);
		if (rollback > 0) {
			this.#history.rollback(position);
			this.#rejected += Math.max(0, this.#sent - position);
			this.#sent = Math.min(this.#sent, position);
		}
		// What came before this step stays: nobody takes it back any more.
		if (this.#receipts.isDue(position)) this.#askForReceipt(position);
		const bytes = this.#isLast ? NO_BYTES : encodeTensor(result.hidden!, this.#model.manifest.boundary).bytes;
		this.#history.push({ position, rows, chain, links, last, bytes });
		if (last) this.#paced ??= { since: performance.now(), from: position + rows };
		if (this.#mean) this.#takeMean(this.#mean, result, step);
		const sent = this.#mean ? undefined : this.#isLast ? this.#afterLast(result, step) : this.#flush();
		if (last && this.#history.certain.position >= this.#told + PROGRESS_EVERY) this.#tellProgress();
		return sent;
	}

	#askForReceipt(positions: number): void {
		const step = positions > 0 ? this.#history.from(positions - 1) : undefined;
		if (step?.rows !== 1) return;
		const outputs = this.#outputsOf(step);
		if (outputs) this.#receipts.ask({ positions, chain: step.chain, outputs } satisfies Work);
	}

	/** Some of what came out behind a position: what was sent, or logits. */
	#outputsOf({ position, bytes, chain }: SentStep): Work["outputs"] | undefined {
		if (this.#isLast) {
			const { outputs } = this.#sampled;
			return outputs?.positions === position + 1 ? outputs.sample : undefined;
		}
		const { boundary, config } = this.#model.manifest;
		return outputSample(decodeTensor([boundary, 1, config.hiddenSize], bytes, config.hiddenSize).data, chain);
	}

	/** Sends the successor what it does not have yet: nearly always one new step. */
	#flush(): Promise<void> | undefined {
		const successor = this.#successor;
		if (this.#isLast || !successor || this.#flushing) return this.#flushing;
		const sent = this.#sendNext();
		if (!sent || this.#sent >= this.#history.end) return sent;
		const flush = async (): Promise<void> => {
			for (let next: Promise<void> | undefined = sent; next; next = this.#sendNext()) {
				await next;
				if (this.#successor !== successor) return;
			}
			this.#flushing = undefined;
		};
		this.#flushing = flush();
		return this.#flushing;
	}

	#sendNext(): Promise<void> | undefined {
		const step = this.#history.from(this.#sent);
		if (!step) return undefined;
		const { stream, generation } = this.#route;
		const { boundary, config } = this.#model.manifest;
		const { position, rows, chain, links, last, bytes } = step;
		const rollback = this.#rejected;
		this.#rejected = 0;
		this.#sent = position + rows;
		const header: HiddenFrame["header"] = [boundary, rows, config.hiddenSize];
		const base = { stream, generation, position, rollback, chain };
		return this.#send({ kind: "hidden", ...base, last, links, header, bytes });
	}

	/** Adds what came out to the mean, which is all that is told of a stream that generates nothing. */
	#takeMean(mean: MeanOfStates, { hidden }: ForwardResult, { position, rows, chain, last }: Step): void {
		if (this.#state === "finished") return;
		mean.push(position, hidden!);
		if (!last) return;
		this.#state = "finished";
		const newest = position + rows;
		this.#sampled.outputs = { positions: newest, sample: outputSample(mean.newest, chain) };
		const data = mean.mean;
		const { bytes } = encodeTensor({ rows: 1, columns: data.length, data }, "f32");
		this.#tell({ type: "embedding", position: newest, chain, mean: bytes });
	}

	/** Samples behind every row as long as what is sampled is what was drafted. */
	#afterLast(
		{ logits }: ForwardResult,
		{ position, rows, chain, links, last }: Step,
	): Promise<void> | undefined {
		if (!last || this.#state === "finished") return undefined;
		const { logprobs: wanted, sampling, maxTokens, stopTokens } = this.#open.generation!;
		const { vocabularySize } = this.#model.manifest.config;
		const sampled = this.#sampled;
		const drafted = links.length;
		const start = position + rows - drafted;
		const tokens: number[] = [];
		const logprobs: TokenLogprob[] = [];
		let behind: Link = links[0] ?? chain;
		let head = behind;
		let outputs = logits!;
		let finish: FinishReason | undefined;
		for (let i = 0; i <= drafted && !finish; i++) {
			if (i > 0 && !equalBytes(head, links[i] ?? chain)) break;
			const at = start + i;
			behind = head;
			outputs = logits!.subarray(i * vocabularySize, (i + 1) * vocabularySize);
			const allowed = this.#held?.allowed(maxTokens - sampled.count, stopTokens);
			const token = sample(outputs, sampling, at, { ...sampled, allowed });
			if (wanted !== undefined) logprobs.push(logprobsOf(outputs, token, wanted));
			tokens.push(token);
			sampled.history.push(token);
			sampled.written.push(token);
			sampled.count++;
			head = nextLink(head, at, token);
			if (stopTokens.includes(token)) finish = "stop";
			else this.#held?.push(token);
			if (finish) break;
			if (sampled.count >= maxTokens || at >= this.#open.maxPositions) finish = "length";
		}
		const newest = start + tokens.length - 1;
		sampled.next = { position: newest, chain: head };
		sampled.outputs = { positions: newest, sample: outputSample(outputs, behind) };
		this.#history.rollback(newest);

		let sent: Promise<void> | undefined;
		if (finish) this.#state = "finished";
		else if (this.#isFirst) this.#takeTokens(start, tokens, head);
		else {
			const { stream, generation } = this.#route;
			const base = { stream, generation, position: start, rollback: drafted, chain: head };
			const frame: TokenFrame = { kind: "tokens", ...base, tokens };
			// Around the ring before anything else: the next lap waits for it.
			if (this.#successor) sent = this.#send(frame);
			else this.#waitingToken = frame;
		}
		const told = { position: start, tokens, chain: head, drafted };
		const more = { ...(finish ? { finish } : {}), ...(wanted === undefined ? {} : { logprobs }) };
		this.#tell({ type: "tokens", ...told, ...more });
		return sent;
	}

	#send(frame: RingFrame): Promise<void> {
		const successor = this.#successor!;
		this.#sentLately = true;
		return successor.send(encodeFrame(frame)).catch((error) => this.#neighbourLost(error, successor));
	}

	/**
	 * Sends an empty message where the line to the successor rested since the last call: the radio of a phone falls asleep
	 * between two frames otherwise, and wakes up late (pooled.run: stalls of 0.4 to 0.8 s).
	 *
	 * @param awake - peers whose lines are awake; grows
	 */
	keepAwake(awake: Set<string>): void {
		const rested = !this.#sentLately;
		this.#sentLately = false;
		const successor = this.#successor;
		if (!successor || this.#state !== "serving") return;
		if (rested && !awake.has(successor.remote)) successor.send(NO_BYTES).catch(() => {});
		awake.add(successor.remote);
	}

	#tell(response: StageResponse): void {
		// When it cannot be sent the control stream is gone, which its reader notices.
		this.#control.send(encodeCbor(response)).catch(() => {});
	}

	#tellProgress(): void {
		const { position, chain } = this.#history.certain;
		this.#told = position;
		this.#tell({ type: "progress", position, chain, msPerToken: this.#decodeMs.value });
	}

	/** What the asker is told when a neighbour's link breaks: the neighbour's own error where it gave one. */
	#neighbourError(error: unknown, peer: string): TabmeshError {
		if (error instanceof TabmeshError && !(error instanceof StreamResetError)) return error;
		return new StageLostError("A stage lost the link to its neighbour.", { details: { peer }, cause: error });
	}

	#violation(error: unknown, offender: string): void {
		if (this.#state === "ended") return;
		if (error instanceof TokenChainError) this.fail(error);
		else this.#breakLinks(offender, error);
		const offence = offenceOf(error);
		// A forked chain may have come through an honest neighbour. Last, because it may end the connection.
		if (offence && !(error instanceof TokenChainError && this.#route.hops.length > 2)) {
			this.#context.peer.report(offender, offence);
		}
	}

	/** A neighbour's link has ended. Why, the neighbour tells the asker itself if it still can: that is worth a moment. */
	#neighbourLost(error: unknown, link: MessageStream): void {
		if (link !== this.#successor && link !== this.#predecessor) return;
		const { signal } = this.#links;
		setTimeout(() => {
			if (!signal.aborted) this.#breakLinks(link.remote, error);
		}, HEARSAY_MS);
	}

	/** Nothing comes or goes any more. What is here is kept, and the asker is told. */
	#breakLinks(peer: string, error: unknown): void {
		if (this.#state === "ended") return;
		const reason = this.#neighbourError(error, peer);
		for (const link of [this.#predecessor, this.#successor]) if (link?.remote === peer) link.abort(reason);
		this.#unlink();
		this.#tellBroken(peer, reason);
	}

	#tellBroken(peer: string, error: unknown): void {
		const { generation } = this.#route;
		this.#tell({ type: "broken", generation, peer, error: toWireError(error) });
	}

	/** The control stream broke: the asker may only be reloading his tab. What is here is kept for him for a while. */
	detach(control: MessageStream): void {
		if (control !== this.#control || this.#state === "ended" || this.detachedSince !== undefined) return;
		if (this.#state === "preparing") {
			this.close();
			return;
		}
		this.detachedSince = performance.now();
		this.#receipts.onAskerGone();
		this.#unlink();
		this.#prompt = [];
		// Nothing is computed for nobody; the next route makes another lane.
		this.#lane?.close();
		this.#leaseTimer = setTimeout(() => this.close(), this.#context.leaseMs);
	}

	/** Asks the asker to put a spare in our place. */
	leave(): void {
		if (this.#state !== "ended") this.#tell({ type: "leaving" });
	}

	/**
	 * Ends the stream in order: tells how far it came, and frees everything.
	 *
	 * @param links - of what may be kept for streams that begin alike
	 */
	close(links?: Uint8Array): void {
		if (this.#state === "ended") return;
		// Drafts that nobody verified are no work.
		this.#history.rollback(this.#history.certain.position);
		this.#tellProgress();
		this.#askForReceipt(this.#history.end);
		const control = this.#control;
		void this.settled.then(() => control.close());
		const successor = this.#successor;
		this.#successor = undefined;
		this.#predecessor = undefined;
		if (successor) void successor.close();
		else this.#links.abort(new StreamResetError("The stream has ended."));
		this.#free(links);
	}

	/** Ends the stream with an error that the asker and the neighbours are told. */
	fail(error: unknown): void {
		if (this.#state === "ended") return;
		this.#tell({ type: "error", error: toWireError(error) });
		this.#receipts.close();
		void this.#control.close();
		const reason =
			error instanceof TabmeshError
				? error
				: new StageLostError("A stage met an internal error.", { cause: error });
		const predecessor = this.#predecessor;
		this.#successor?.abort(reason);
		this.#successor = undefined;
		this.#predecessor = undefined;
		predecessor?.abort(reason);
		this.#links.abort(reason);
		this.#free();
	}

	#free(links?: Uint8Array): void {
		const prefix = links && this.#prefix(links);
		this.#state = "ended";
		clearTimeout(this.#leaseTimer);
		this.#abort.abort(new StreamResetError("The stream has ended."));
		this.#lane?.close();
		this.#speculation?.close();
		this.#prompt = [];
		const { engine, prefixes } = this.#context;
		const released = prefix ? prefixes.keep(prefix) : this.#memory && engine.release(this.#memory);
		this.#history.truncate(0);
		void Promise.resolve(released)
			.catch(() => {})
			.then(() => {
				this.#lease?.release();
				this.#context.onEnd(this);
				this.#resolveEnded();
			});
	}
}

/** What the last stage knows of the tokens so far. */
interface Sampled {
	/** Tokens sampled by this route. */
	count: number;
	readonly history: number[];
	/** The answer, where a penalty counts it: else that of this route. */
	readonly written: number[];
	/** The newest token's position, and the chain after it. */
	next: { readonly position: number; readonly chain: Link } | undefined;
	/** Of the logits that the newest token came from, or of the newest state that a mean was taken of. */
	outputs: { readonly positions: number; readonly sample: Work["outputs"] } | undefined;
}

function sampledBefore(generation: OpenRequest["generation"]): Sampled {
	const [history, written] = [[...(generation?.history ?? [])], [...(generation?.written ?? [])]];
	return { count: 0, history, written, next: undefined, outputs: undefined };
}

/** Rejects as before, but leaves the first word to the neighbour. */
async function afterTheNeighbour(error: unknown): Promise<never> {
	await new Promise((resolve) => setTimeout(resolve, HEARSAY_MS));
	throw error;
}

/** One input on its way through the engine. */
interface Step {
	readonly position: number;
	readonly rows: number;
	readonly chain: Link;
	readonly links: readonly Link[];
	readonly last: boolean;
	readonly rollback: number;
}

/** What a peer is held responsible for when this error comes from what it sent. */
export function offenceOf(error: unknown): Offence | undefined {
	if (error instanceof InvalidTensorError) return "wrong-result";
	if (error instanceof MalformedMessageError || error instanceof MessageTooLargeError) return "malformed";
	if (
		error instanceof RouteViolationError ||
		error instanceof ProtocolViolationError ||
		error instanceof ReceiptError ||
		error instanceof InvalidParameterError
	) {
		return "violation";
	}
	if (error instanceof TokenChainError) return "equivocation";
	return undefined;
}

function outsideVocabulary(token: number, vocabularySize: number): InvalidParameterError {
	return new InvalidParameterError(`Token ${token} lies outside the vocabulary of ${vocabularySize}.`, {
		details: { token, vocabularySize },
	});
}

/**
 * How many of so many positions make the next chunk. A single one is not left over: it would be computed as if it were decoded, to slightly
 * other floats, and whether it is must not depend on how large chunks happen to be.
 */
export function chunkOf(left: number, most: number): number {
	return left <= most + 1 ? left : most;
}

/** The power of two of positions that takes about CHUNK_MS. */
function fittingChunk(msPerPosition: number): number {
	const fitting = 2 ** Math.floor(Math.log2(CHUNK_MS / Math.max(msPerPosition, 1e-3)));
	return Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, fitting));
}
