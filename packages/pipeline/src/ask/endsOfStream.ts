import { bytesToHex } from "@noble/hashes/utils.js";
import type { ForwardResult, StreamKey } from "@tabmesh/model";
import type { MessageStream, Peer } from "@tabmesh/transport";
import {
	decodeCbor,
	decodeFrame,
	decodeTensor,
	encodeCbor,
	encodeFrame,
	encodeTensor,
	equalBytes,
	type FinishReason,
	type HiddenFrame,
	InvalidTensorError,
	limits,
	OutOfMemoryBudgetError,
	ProtocolViolationError,
	type RingFrame,
	type RingOpen,
	type Route,
	RouteViolationError,
	ringAcceptSchema,
	StreamResetError,
	TokenChainError,
	type TokenLogprob,
} from "@tabmesh/wire";
import { MeanOfStates } from "../embedding/meanOfStates.ts";
import { ringProtocol } from "../protocols.ts";
import { RollingMedian } from "../rollingMedian.ts";
import { HeldAnswer } from "../sampling/heldAnswer.ts";
import { logprobsOf } from "../sampling/logprobs.ts";
import { sample } from "../sampling/sampling.ts";
import { Speculation } from "../speculation/speculation.ts";
import type { Lane } from "../stage/batchQueue.ts";
import { historyRowBytes, SentHistory } from "../stage/sentHistory.ts";
import { chunkOf, DRAFT_SHARE } from "../stage/stageSession.ts";
import { type Link, TokenChain } from "../tokenChain.ts";
import type { CheckedRequest } from "./checkedRequest.ts";
import type { OwnEnds } from "./ownEnds.ts";

/** Tokens of a prompt computed in one run, as at other stages: signs of life go between. */
const CHUNK = 32;
/** How long a stage may take to be reached, and to load what it serves; what it says of itself comes over its control stream. */
const CONNECT_MS = 20_000;
/** How long a stage whose link broke has to say why. */
const HEARSAY_MS = 250;
/** Between two messages that keep a line awake, as at other stages. */
const AWAKE_EVERY_MS = 25;
/** What accepts a link: one number. */
const ACCEPT_BYTES = 64;
/** All streams here are this device's own. */
const OWN = "own";

const NO_BYTES = new Uint8Array(0);

interface EndsListener {
	/** The next stage takes frames: they go from now on, as soon as `go` was called. */
	onLinked(): void;
	/** One lap's, of which so many had been drafted. */
	onTokens(
		tokens: readonly number[],
		drafted: number,
		finish: FinishReason | undefined,
		logprobs: readonly TokenLogprob[] | undefined,
	): void;
	/** In place of tokens, where no answer was asked for. */
	onMean(mean: Float32Array): void;
	/** A stage broke its link, or sent what no honest stage sends. */
	onBroken(peer: string, error: unknown): void;
	/** Nothing goes on here. */
	onFailed(error: unknown): void;
}

interface EndsInit {
	readonly ends: OwnEnds;
	readonly peer: Peer;
	readonly stream: Uint8Array<ArrayBuffer>;
	readonly request: CheckedRequest;
	readonly speculation: boolean;
	/** For whom this device asks, where that are several. */
	readonly apart: Uint8Array | undefined;
	/** What the stream's links are made with. */
	readonly key: Uint8Array;
	readonly listener: EndsListener;
}

/** One run through the first layers. */
interface Step {
	readonly position: number;
	readonly rows: number;
	readonly chain: Link;
	readonly links: readonly Link[];
	readonly last: boolean;
	readonly rollback: number;
}

/**
 * The asker's own part of a private stream: tokens go through the embedding and the first layers to the first stage of others, and what
 * comes back from their last one through the head. Tokens are chosen, drafted and verified here.
 */
export class EndsOfStream {
	readonly #init: EndsInit;
	readonly #headMemory: StreamKey;
	readonly #leave: () => void;
	readonly #firstMs = new RollingMedian();
	readonly #headMs = new RollingMedian();
	readonly #speculation: Speculation | undefined;
	readonly #rowBytes: number;
	/** Of what it may go on from. */
	readonly #origin: string;
	#memory: StreamKey | undefined;
	#lane: Lane | undefined;
	#headLane: Lane | undefined;
	/** Prompt and answer, with the drafts of the lap under way. */
	#tokens: TokenChain;
	/** What the first layers made of them. */
	#history: SentHistory;
	/** Aborted when the links of this generation are given up. */
	#links = new AbortController();
	#generation = 0;
	#to: MessageStream | undefined;
	#going = false;
	/** Positions that the next stage has, and those behind them that it must forget with the next frame. */
	#sent = 0;
	#rejected = 0;
	#flushing: Promise<void> | undefined;
	#sentLately = false;
	#awake: ReturnType<typeof setInterval> | undefined;
	/** Positions that came back, and how many of them, at the end, are drafts. */
	#received = 0;
	#drafted = 0;
	/** Prompt and answer, and the answer alone, as far as tokens are certain: what penalties count. */
	#seen: number[] = [];
	#written: number[] = [];
	/** Where the answer is held to a form. */
	#held: HeldAnswer | undefined;
	/** Where nothing is generated. */
	#mean: MeanOfStates | undefined;
	#state: "opening" | "running" | "finished" | "closed" = "opening";

	constructor(init: EndsInit) {
		this.#init = init;
		const { apart, ends, key, speculation } = init;
		this.#origin = apart ? `${OWN} ${bytesToHex(apart)}` : OWN;
		this.#rowBytes = historyRowBytes(ends.model, ends.first.span);
		this.#tokens = new TokenChain(key);
		this.#history = new SentHistory(this.#rowBytes);
		this.#speculation = speculation ? new Speculation(ends.drafter(ends.model)) : undefined;
		this.#headMemory = `head ${crypto.randomUUID()}`;
		this.#leave = ends.enter((error) => this.#fail(error));
	}

	/** Median milliseconds of a decode step through the first layers, and through the head; 0 before the first. */
	get msPerToken(): readonly [first: number, head: number] {
		return [this.#firstMs.value, this.#headMs.value];
	}

	/** Positions that went to the next stage. */
	get sent(): number {
		return this.#sent;
	}

	/** A number that rises whenever something was computed here. */
	get progress(): number {
		return this.#history.end + this.#received;
	}

	/** Whether everything that was sent has come back: the next token is ours to choose. */
	get isDue(): boolean {
		return this.#received >= this.#history.end;
	}

	/**
	 * Sets memory aside, begun with what an earlier stream left, and computes the tokens so far.
	 *
	 * @param tokens - prompt and answer so far
	 * @param links - of the prompt, by which an earlier stream is found
	 * @throws OutOfMemoryBudgetError
	 */
	async begin(tokens: readonly number[], links: Uint8Array): Promise<void> {
		const { ends, request } = this.#init;
		if (ends.lost) throw ends.lost;
		const { engine, first, head, headQueue, prefixes, queue } = ends;
		const { maxPositions } = request;
		const wanted = { origin: this.#origin, handle: first, maxPositions, links, running: [] };
		const { constraint, embedFrom } = request;
		if (embedFrom !== undefined) this.#mean = new MeanOfStates(await ends.norms.of(ends.model), embedFrom);
		if (constraint) this.#held = new HeldAnswer(await ends.constraints.of(ends.model, constraint));
		for (;;) {
			try {
				const { memory, begun } = await prefixes.reserve(wanted);
				this.#memory = memory;
				if (begun) {
					this.#history = begun.history;
					this.#tokens = begun.tokens;
				}
				break;
			} catch (error) {
				if (!(error instanceof OutOfMemoryBudgetError)) throw error;
				if (await prefixes.evict()) continue;
				throw new OutOfMemoryBudgetError(
					"This device has no memory left for its own part of an answer of this length.",
					{
						metaMessages: ["Ask for fewer tokens, or without private mode."],
						details: error.details,
						cause: error,
					},
				);
			}
		}
		if (this.#isClosed) return engine.release(this.#memory);
		const most = Math.min(limits.drafts + 1, ends.model.manifest.config.contextLength);
		await engine.reserve(head, this.#headMemory, most);
		if (this.#isClosed) return engine.release(this.#headMemory);
		this.#lane = queue.lane(this.#memory, first, OWN, (error) => this.#fail(error));
		this.#headLane = headQueue.lane(this.#headMemory, head, OWN, (error) => this.#fail(error));
		this.#awake = setInterval(() => this.#keepAwake(), AWAKE_EVERY_MS);
		this.#take(tokens);
		this.#compute();
	}

	/** These are the tokens so far. */
	#take(tokens: readonly number[]): void {
		for (const token of tokens.slice(this.#tokens.length)) this.#tokens.push(token);
		this.#seen = [...tokens];
		const written = tokens.slice(this.#init.request.promptTokens.length);
		this.#written = written;
		this.#held?.restart(written);
	}

	/**
	 * Goes on by a route: opens the links to both of its inner ends.
	 *
	 * @param tokens - prompt and answer so far; what was drafted or chosen behind them is forgotten
	 */
	route({ generation, hops }: Route, tokens: readonly number[]): void {
		this.#unlink();
		this.#generation = generation;
		if (this.#state === "finished") this.#state = "running";
		if (generation > 0 && this.#lane) this.#goBack(tokens);
		// All before it concerns nobody here: a token is chosen behind the newest position only.
		this.#received = this.#mean ? 0 : tokens.length - 1;
		this.#drafted = 0;
		const { signal } = this.#links;
		const [first, last] = [hops[1]!.peer, hops.at(-2)!.peer];
		void this.#attend(first, signal, () => this.#openTo(first, signal));
		void this.#attend(last, signal, () => this.#openFrom(last, signal));
	}

	/** Sends what there is, and everything that comes. */
	go(): void {
		this.#going = true;
		if (this.#state === "opening") this.#state = "running";
		void this.#flush();
	}

	/**
	 * Frees everything.
	 *
	 * @param links - of what may be kept for streams that begin alike
	 */
	async close(links?: Uint8Array): Promise<void> {
		if (this.#isClosed) return;
		this.#state = "closed";
		clearInterval(this.#awake);
		this.#unlink();
		this.#speculation?.close();
		this.#lane?.close();
		this.#headLane?.close();
		const { ends } = this.#init;
		const { engine, first: handle, prefixes } = ends;
		const memory = this.#memory;
		const kept = links && this.#lane && memory !== undefined;
		const [history, tokens] = [this.#history, this.#tokens];
		await Promise.allSettled([
			kept
				? prefixes.keep({ asker: OWN, origin: this.#origin, handle, memory, links, history, tokens })
				: memory !== undefined && engine.release(memory),
			engine.release(this.#headMemory),
		]);
		this.#history = new SentHistory(this.#rowBytes);
		this.#leave();
	}

	get #isClosed(): boolean {
		return this.#state === "closed";
	}

	#fail(error: unknown): void {
		if (!this.#isClosed) this.#init.listener.onFailed(error);
	}

	/** What is beyond the newest token that the stream goes on with was for nothing. */
	#goBack(tokens: readonly number[]): void {
		const { ends } = this.#init;
		this.#history.truncate(tokens.length - 1);
		const { end } = this.#history;
		this.#tokens.truncate(Math.min(end, this.#tokens.length));
		this.#take(tokens);
		this.#speculation?.interrupted();
		this.#lane!.close();
		this.#headLane!.close();
		// Behind a running step, whose result nobody takes any more.
		ends.engine.truncate(this.#memory!, end).catch((error) => this.#fail(error));
		this.#lane = ends.queue.lane(this.#memory!, ends.first, OWN, (error) => this.#fail(error));
		this.#headLane = ends.headQueue.lane(this.#headMemory, ends.head, OWN, (error) => this.#fail(error));
		this.#compute();
	}

	#unlink(): void {
		const over = new StreamResetError("The stream goes on by a newer route.");
		this.#links.abort(over);
		this.#links = new AbortController();
		this.#to = undefined;
		this.#going = false;
		this.#sent = 0;
		this.#rejected = 0;
		this.#flushing = undefined;
	}

	// To the first stage of others

	/** Runs what serves a link; where it breaks, the stage may say first why. */
	async #attend(peer: string, signal: AbortSignal, serve: () => Promise<void>): Promise<void> {
		try {
			await serve();
		} catch (error) {
			const isWord = !(error instanceof StreamResetError);
			if (!isWord) await new Promise((resolve) => setTimeout(resolve, HEARSAY_MS));
			if (!signal.aborted) this.#init.listener.onBroken(peer, error);
		}
	}

	async #open(to: string, signal: AbortSignal, open: RingOpen): Promise<MessageStream> {
		const ring = await this.#init.peer.open(to, ringProtocol, { signal, timeoutMs: CONNECT_MS });
		const abort = (): void => ring.abort(signal.reason);
		if (signal.aborted) abort();
		signal.throwIfAborted();
		signal.addEventListener("abort", abort, { once: true });
		await ring.send(encodeCbor(open), { signal });
		return ring;
	}

	async #openTo(peer: string, signal: AbortSignal): Promise<void> {
		const { listener, request, stream } = this.#init;
		const ring = await this.#open(peer, signal, { stream, generation: this.#generation });
		const iterator = ring[Symbol.asyncIterator]();
		const { value, done } = await iterator.next();
		if (done) throw new StreamResetError("The next stage did not accept the link.");
		const { position } = decodeCbor(ringAcceptSchema, value, ACCEPT_BYTES);
		signal.throwIfAborted();
		if (position > request.maxPositions) {
			throw new RouteViolationError("A stage claims more positions than its stream can have.");
		}
		this.#sent = position;
		this.#to = ring;
		listener.onLinked();
		void this.#flush();
		if (!(await iterator.next()).done)
			throw new ProtocolViolationError("A stage answered on a one-way link.");
		throw new StreamResetError("The next stage ended the link.");
	}

	/** Computes what of the tokens was not computed yet: the prompt chunk by chunk, and what was decoded one by one. */
	#compute(): void {
		const { length } = this.#tokens;
		const prompt = this.#init.request.promptTokens.length;
		for (let position = this.#history.end; position < length; position++) {
			const rows = position < prompt ? chunkOf(prompt - position, CHUNK) : 1;
			const chain = this.#tokens.at(position + rows);
			this.#push({ position, rows, chain, links: [], last: position + rows === length, rollback: 0 });
			// The rest is known already, so that it can run together.
			if (rows > 1) return;
		}
	}

	#push(step: Step): void {
		const { position, rows, links, rollback } = step;
		this.#lane!.push({
			position,
			input: this.#tokens.tokens.slice(position, position + rows),
			rows,
			logits: "none",
			oneByOne: links.length > 0,
			...(rollback > 0 ? { truncateTo: position } : {}),
			onResult: (result, ms) => this.#onComputed(result, step, ms),
		});
	}

	#onComputed({ hidden }: ForwardResult, step: Step, ms: number): Promise<void> | undefined {
		const { position, rows, chain, links, last, rollback } = step;
		if (rollback > 0) {
			this.#history.rollback(position);
			this.#rejected += Math.max(0, this.#sent - position);
			this.#sent = Math.min(this.#sent, position);
		}
		const { bytes } = encodeTensor(hidden!, this.#init.ends.model.manifest.boundary);
		this.#history.push({ position, rows, chain, links, last, bytes });
		if (rows === 1 && last) this.#firstMs.add(ms);
		if (!last && this.#lane!.backlog === 0) this.#compute();
		return this.#flush();
	}

	/** Sends the next stage what it does not have yet: nearly always one new step. */
	#flush(): Promise<void> | undefined {
		const to = this.#to;
		if (!to || !this.#going || this.#flushing) return this.#flushing;
		const first = this.#nextFrame();
		if (!first) return undefined;
		const flush = async (): Promise<void> => {
			try {
				for (let next: HiddenFrame | undefined = first; next; ) {
					this.#sentLately = true;
					await to.send(encodeFrame(next));
					next = this.#to === to ? this.#nextFrame() : undefined;
				}
			} catch {
				// Who reads the link tells of it.
			}
			if (this.#to === to) this.#flushing = undefined;
		};
		this.#flushing = flush();
		return this.#flushing;
	}

	#nextFrame(): HiddenFrame | undefined {
		const step = this.#history.from(this.#sent);
		if (!step) return undefined;
		const { stream, ends } = this.#init;
		const { boundary, config } = ends.model.manifest;
		const { position, rows, chain, links, last, bytes } = step;
		const rollback = this.#rejected;
		this.#rejected = 0;
		this.#sent = position + rows;
		const header: HiddenFrame["header"] = [boundary, rows, config.hiddenSize];
		return {
			kind: "hidden",
			stream,
			generation: this.#generation,
			position,
			rollback,
			chain,
			last,
			links,
			header,
			bytes,
		};
	}

	/** Sends an empty message where the line rested since the last call, as stages do. */
	#keepAwake(): void {
		const rested = !this.#sentLately;
		this.#sentLately = false;
		if (rested && this.#state === "running") this.#to?.send(NO_BYTES).catch(() => {});
	}

	// From the last stage of others

	async #openFrom(peer: string, signal: AbortSignal): Promise<void> {
		const { stream } = this.#init;
		const ring = await this.#open(peer, signal, {
			stream,
			generation: this.#generation,
			position: this.#received,
		});
		for await (const message of ring) {
			signal.throwIfAborted();
			// Only keeps the line awake.
			if (message.byteLength > 0) this.#onFrame(decodeFrame(message));
		}
		throw new StreamResetError("The last stage ended the link.");
	}

	/** @throws what the frame breaks: TabmeshErrors that say whose offence it is */
	#onFrame(frame: RingFrame): void {
		const { stream, ends } = this.#init;
		const { boundary, config } = ends.model.manifest;
		if (frame.kind === "tokens") throw new RouteViolationError("Tokens came from a stage that sees none.");
		if (frame.generation !== this.#generation || !equalBytes(frame.stream, stream)) {
			throw new RouteViolationError("A frame is of a stream or generation that its link was not opened for.");
		}
		const { position, rollback, header, bytes, chain, last, links } = frame;
		if (header[0] !== boundary) {
			throw new InvalidTensorError(`A hidden state is in ${header[0]} where the model says ${boundary}.`);
		}
		const rows = header[1];
		if (rollback > this.#drafted || position !== this.#received - rollback) {
			throw new RouteViolationError(
				`Positions from ${position} on came back where ${this.#received} less ${rollback} are due.`,
			);
		}
		const { length } = this.#tokens;
		const isOurs = (link: Uint8Array, at: number): boolean =>
			at <= length && equalBytes(link, this.#tokens.at(at));
		if (!isOurs(chain, position + rows) || !links.every((link, i) => isOurs(link, position + i + 1))) {
			throw new TokenChainError("What came back is not of the tokens that were sent.", {
				details: { position },
			});
		}
		const hidden = decodeTensor(header, bytes, config.hiddenSize);
		this.#received = position + rows;
		this.#drafted = links.length;
		this.#mean?.push(position, hidden);
		if (!last) return;
		if (this.#mean) {
			if (this.#state === "running") this.#init.listener.onMean(this.#mean.mean);
			return;
		}
		const wanted = links.length > 0 ? rows : 1;
		const data = hidden.data.subarray((rows - wanted) * config.hiddenSize);
		this.#headLane!.push({
			position: 0,
			input: { rows: wanted, columns: config.hiddenSize, data },
			rows: wanted,
			logits: links.length > 0 ? "all" : "last",
			oneByOne: links.length > 0,
			// The head has no memory: each call is its first.
			truncateTo: 0,
			onResult: ({ logits }, ms) => {
				if (wanted === 1) this.#headMs.add(ms);
				this.#choose(logits!, position + rows - links.length, links.length);
				return undefined;
			},
		});
	}

	/**
	 * Chooses tokens behind every row as long as what is chosen is what was drafted.
	 *
	 * @param start - position of the first of them
	 */
	#choose(logits: Float32Array, start: number, drafted: number): void {
		if (this.#state !== "running") return;
		const { ends, listener, request } = this.#init;
		const { logprobs: wanted, sampling, maxTokens, stopTokens, maxPositions } = request;
		const { vocabularySize } = ends.model.manifest.config;
		const tokens: number[] = [];
		const logprobs: TokenLogprob[] = [];
		let finish: FinishReason | undefined;
		for (let i = 0; i <= drafted && !finish; i++) {
			const at = start + i;
			const outputs = logits.subarray(i * vocabularySize, (i + 1) * vocabularySize);
			const allowed = this.#held?.allowed(maxTokens - this.#written.length, stopTokens);
			const token = sample(outputs, sampling, at, {
				history: this.#seen,
				written: this.#written,
				allowed,
			});
			if (wanted !== undefined) logprobs.push(logprobsOf(outputs, token, wanted));
			tokens.push(token);
			this.#seen.push(token);
			this.#written.push(token);
			if (stopTokens.includes(token)) finish = "stop";
			else this.#held?.push(token);
			if (finish) break;
			if (this.#written.length >= maxTokens || at >= maxPositions) finish = "length";
			if (token !== this.#tokens.tokens[at]) break;
		}
		const accepted = tokens.length - 1;
		this.#tokens.truncate(start + accepted);
		if (finish) {
			this.#state = "finished";
			this.#history.rollback(start + accepted);
		} else {
			this.#next(tokens, start + accepted, drafted - accepted);
		}
		listener.onTokens(tokens, drafted, finish, wanted === undefined ? undefined : logprobs);
	}

	/** Sends the newest token around, with drafts behind it. */
	#next(tokens: readonly number[], position: number, rejected: number): void {
		const link = this.#tokens.push(tokens.at(-1)!);
		this.#speculation?.sampled(tokens, performance.now());
		const drafts = this.#draft();
		if (!("then" in drafts)) {
			this.#startLap(position, link, drafts, rejected);
			return;
		}
		const lane = this.#lane;
		drafts
			.catch(() => [])
			.then((drafts) => {
				if (this.#lane === lane && this.#state === "running")
					this.#startLap(position, link, drafts, rejected);
			});
	}

	#startLap(position: number, link: Link, drafts: readonly number[], rollback: number): void {
		const links = [link];
		for (const draft of drafts) links.push(this.#tokens.push(draft));
		const chain = links.pop()!;
		this.#push({ position, rows: 1 + links.length, chain, links, last: true, rollback });
	}

	#draft(): readonly number[] | Promise<readonly number[]> {
		const { ends, request } = this.#init;
		if (!this.#speculation) return [];
		if (ends.queue.isShared(this.#lane!)) {
			this.#speculation.interrupted();
			return [];
		}
		// The last token of an answer is chosen behind the position before it, and not computed.
		const room = request.maxPositions - 1 - this.#tokens.length;
		// As long for each layer as here.
		const lapComputeMs = (this.#firstMs.value * ends.model.manifest.config.layers) / ends.layers;
		return this.#speculation.draft(this.#tokens.tokens, room, DRAFT_SHARE * lapComputeMs);
	}
}
