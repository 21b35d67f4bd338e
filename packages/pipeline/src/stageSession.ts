import type { Engine, ForwardResult, ModelRef } from "@tabmesh/model";
import type { MessageStream, Offence, Peer } from "@tabmesh/transport";
import {
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
	MalformedMessageError,
	MessageTooLargeError,
	OutOfMemoryBudgetError,
	PeerUnreachableError,
	ProtocolViolationError,
	type RingFrame,
	type RingOpen,
	type Route,
	RouteViolationError,
	StageBusyError,
	StageLostError,
	type StageRequest,
	type StageResponse,
	StreamResetError,
	TabmeshError,
	TokenChainError,
	type TokenFrame,
	toWireError,
} from "@tabmesh/wire";
import type { BatchQueue, Lane } from "./batchQueue.ts";
import type { LoadedSpans, SpanLease } from "./loadedSpans.ts";
import { ringProtocol } from "./protocols.ts";
import { RollingMedian } from "./rollingMedian.ts";
import { sample } from "./sampling.ts";
import { FIRST_LINK, type Link, nextLink, TokenChain } from "./tokenChain.ts";

/** Steps of one stream that may wait here; behind them the sender waits for credit. */
const MOST_BACKLOG = 4;
/** Tokens between two `progress` messages: the asker learns of a forked chain within so many. */
const PROGRESS_EVERY = 8;
/** How long reaching the next stage may take: a dial through the relay, and the asker's own dial to that stage. */
const CONNECT_MS = 20_000;
/** How long a stage whose neighbour's link broke leaves the word to the neighbour; the asker is to know within 2 s. */
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

const NO_BYTES = new Uint8Array(0);

export type OpenRequest = Extract<StageRequest, { type: "open" }>;

/** What a stage shares with the others of its server. */
export interface StageContext {
	readonly peer: Peer;
	readonly engine: Engine;
	readonly spans: LoadedSpans;
	readonly queue: BatchQueue;
	/** Called after each step with the positions it computed, and its time where it was a decode step. */
	onStep(rows: number, decodeMs: number | undefined): void;
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

/** One stream at one stage: from its signed route to the last byte that it held. */
export class StageSession {
	readonly key: string;
	readonly route: Route;
	readonly asker: string;
	/** By `performance.now()`: when the asker or the predecessor was last heard. */
	lastHeard = performance.now();
	/** Resolves when everything is freed. */
	readonly ended: Promise<void>;

	readonly #context: StageContext;
	readonly #model: ModelRef;
	readonly #place: number;
	readonly #open: OpenRequest;
	readonly #control: MessageStream;
	readonly #isFirst: boolean;
	readonly #isLast: boolean;
	readonly #abort = new AbortController();
	readonly #resolveEnded: () => void;
	readonly #decodeMs = new RollingMedian();

	#state: "preparing" | "ready" | "finished" | "ended" = "preparing";
	#lease: SpanLease | undefined;
	#reserved = false;
	#lane: Lane | undefined;
	#predecessor: MessageStream | undefined;
	#successor: MessageStream | undefined;
	/** The tokens themselves, at the first stage. */
	readonly #tokens = new TokenChain();
	/** Positions that have come in; what the engine has computed follows it. */
	#received = 0;
	#prompt: Int32Array[] = [];
	#promptDone = false;
	#promptPosition = 0;
	#chunk = FIRST_CHUNK;
	/** Positions computed, and the chain after them: what `progress` reports. */
	#computed: { position: number; chain: Link } = { position: 0, chain: FIRST_LINK };
	#decodeSteps = 0;
	/** At the last stage. */
	#sampled: { tokens: number[]; history: number[]; next: Link | undefined };

	constructor(init: StageSessionInit) {
		this.key = init.key;
		this.route = init.route;
		this.asker = init.control.remote;
		this.#context = init.context;
		this.#model = init.model;
		this.#place = init.place;
		this.#open = init.open;
		this.#control = init.control;
		this.#isFirst = init.place === 0;
		this.#isLast = init.place === init.route.hops.length - 1;
		this.#sampled = { tokens: [], history: [...(init.open.generation?.history ?? [])], next: undefined };
		const { promise, resolve } = Promise.withResolvers<void>();
		this.ended = promise;
		this.#resolveEnded = resolve;
	}

	/** Loads the span, reserves memory, reaches the next stage, and tells the asker; on failure ends the stream. */
	async prepare(): Promise<void> {
		try {
			await Promise.all([this.#load(), this.#connect()]);
			if (this.#state !== "preparing") return;
			this.#state = "ready";
			const { numericsClass } = this.#context.engine.info;
			this.#tell({ type: "ready", numericsClass });
		} catch (error) {
			this.fail(error);
		}
	}

	async #load(): Promise<void> {
		const { spans, engine, queue } = this.#context;
		let lastTold = Number.NEGATIVE_INFINITY;
		const lease = await spans.acquire(this.#model, this.route.hops[this.#place]!.span, {
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
		for (;;) {
			try {
				await engine.reserve(lease.handle, this.key, this.#open.maxPositions);
				break;
			} catch (error) {
				if (!(error instanceof OutOfMemoryBudgetError)) throw error;
				if (await spans.freeIdle()) continue;
				throw new StageBusyError("This peer has no memory left for another stream of this length.", {
					details: { maxPositions: this.#open.maxPositions },
					cause: error,
				});
			}
		}
		this.#reserved = true;
		if ((this.#state as string) === "ended") {
			await engine.release(this.key);
			return;
		}
		this.#lane = queue.lane(this.key, lease.handle, (error) => this.fail(error));
	}

	async #connect(): Promise<void> {
		const { hops, stream, generation } = this.route;
		if (hops.length === 1) return;
		const to = hops[(this.#place + 1) % hops.length]!.peer;
		const { signal } = this.#abort;
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
		if (this.#state === "ended") {
			ring.abort(new StreamResetError("The stream has ended."));
			return;
		}
		this.#successor = ring;
		await ring.send(encodeCbor({ stream, generation } satisfies RingOpen), { signal });
		const iterator = ring[Symbol.asyncIterator]();
		const accepted = iterator.next().catch((error) => {
			throw this.#neighbourError(error, to);
		});
		const { value, done } = await accepted;
		if (done || value.byteLength !== 0) {
			throw this.#neighbourError(new StreamResetError("The next stage did not accept the link."), to);
		}
		// Nothing else comes this way; what the loop sees is the end.
		iterator.next().then(
			({ done }) => {
				if (!done) this.#violation(new ProtocolViolationError("A stage answered on a one-way link."), to);
			},
			(error) => this.#neighbourLost(error, to),
		);
	}

	/** A message from the asker after `open`. */
	async onControl(request: StageRequest): Promise<void> {
		this.lastHeard = performance.now();
		switch (request.type) {
			case "ping":
				// Awaited: who does not read the answers is not read, either.
				await this.#control.send(encodeCbor({ type: "pong", nonce: request.nonce } satisfies StageResponse));
				return;
			case "prompt":
				this.#onPrompt(request);
				return;
			case "close":
				this.close();
				return;
			case "open":
				throw new ProtocolViolationError("A stream was opened twice.");
		}
	}

	#onPrompt({ position, tokens, last }: Extract<StageRequest, { type: "prompt" }>): void {
		if (!this.#isFirst) throw new RouteViolationError("A prompt came to a stage that is not the first.");
		if (this.#state !== "ready" || this.#promptDone) {
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

	#pushPromptChunk(): void {
		const tokens = this.#prompt.shift();
		if (!tokens) return;
		const input = tokens.subarray(0, this.#chunk);
		if (input.length < tokens.length) this.#prompt.unshift(tokens.subarray(input.length));
		const position = this.#promptPosition;
		this.#promptPosition += input.length;
		const last = this.#promptDone && this.#prompt.length === 0;
		const chain = this.#tokens.at(this.#promptPosition);
		this.#lane!.push({
			position,
			input,
			rows: input.length,
			logits: this.#isLast && last,
			onResult: (result, ms) => {
				this.#chunk = fittingChunk(ms / input.length);
				const sent = this.#onComputed(result, { position, rows: input.length, chain, last, rollback: 0 }, ms);
				this.#pushPromptChunk();
				return sent;
			},
		});
	}

	/**
	 * Takes the link of the predecessor, whose messages then go to `onRingMessage`.
	 *
	 * @throws RouteViolationError when `ring` is of somebody else, of another generation, or the second one
	 */
	async attach(ring: MessageStream, generation: number): Promise<void> {
		const { hops } = this.route;
		const from = hops[(this.#place + hops.length - 1) % hops.length]!.peer;
		if (hops.length === 1 || ring.remote !== from) {
			throw new RouteViolationError("A link came from a peer that is not the predecessor on the route.");
		}
		if (generation !== this.route.generation) {
			throw new RouteViolationError("A link is of another generation of the route.", {
				details: { generation, expected: this.route.generation },
			});
		}
		if (this.#predecessor) throw new RouteViolationError("The predecessor has opened its link before.");
		this.#predecessor = ring;
		await ring.send(NO_BYTES);
	}

	/** Reads the predecessor's frames until it ends its side or the stream ends. */
	async readRing(ring: MessageStream): Promise<void> {
		const from = ring.remote;
		try {
			for await (const message of ring) {
				if (this.#state === "ended") return;
				this.lastHeard = performance.now();
				try {
					this.#onFrame(decodeFrame(message));
				} catch (error) {
					this.#violation(error, from);
					return;
				}
				if (this.#lane && this.#lane.backlog >= MOST_BACKLOG) await this.#lane.fewerThan(MOST_BACKLOG);
			}
		} catch (error) {
			this.#neighbourLost(error, from);
		}
	}

	#onFrame(frame: RingFrame): void {
		const { stream, generation } = this.route;
		if (frame.generation < generation && equalBytes(frame.stream, stream)) return;
		if (frame.generation !== generation || !equalBytes(frame.stream, stream)) {
			throw new RouteViolationError("A frame is of a stream or generation that its link was not opened for.");
		}
		if (this.#state !== "ready" && this.#state !== "finished") {
			throw new RouteViolationError("A frame came before the stage was ready.");
		}
		if (frame.kind === "token") this.#onToken(frame);
		else this.#onHidden(frame);
	}

	#onToken({ position, rollback, token, chain }: TokenFrame): void {
		if (!this.#isFirst) throw new RouteViolationError("A token came to a stage that is not the first.");
		if (!this.#promptDone) throw new RouteViolationError("A token came before the end of the prompt.");
		this.#assertPlace(position, rollback, 1);
		this.#decodeToken(position, rollback, token, chain);
	}

	/** At the first stage: one more token goes around. */
	#decodeToken(position: number, rollback: number, token: number, expected: Uint8Array): void {
		const { vocabularySize } = this.#model.manifest.config;
		if (token >= vocabularySize) throw outsideVocabulary(token, vocabularySize);
		if (rollback > 0) this.#tokens.truncate(position);
		const chain = this.#tokens.push(token);
		if (!equalBytes(chain, expected)) {
			throw new TokenChainError("The last stage's token does not continue the stream's chain.", {
				details: { position },
			});
		}
		this.#received = position + 1;
		this.#push(Int32Array.of(token), { position, rows: 1, chain, last: true, rollback });
	}

	#onHidden(frame: HiddenFrame): void {
		const { position, rollback, header, bytes, chain, last } = frame;
		if (this.#isFirst) throw new RouteViolationError("A hidden state came to the first stage.");
		const { boundary, config } = this.#model.manifest;
		if (header[0] !== boundary) {
			throw new InvalidTensorError(`A hidden state is in ${header[0]} where the model says ${boundary}.`);
		}
		this.#assertPlace(position, rollback, header[1]);
		const hidden = decodeTensor(header, bytes, config.hiddenSize);
		const { next } = this.#sampled;
		if (this.#isLast && next && rollback === 0 && hidden.rows === 1 && !equalBytes(next, chain)) {
			throw new TokenChainError("The stages before the last one went on with another token.", {
				details: { position },
			});
		}
		this.#received = position + hidden.rows;
		this.#push(hidden, { position, rows: hidden.rows, chain: chain as Link, last, rollback });
	}

	#assertPlace(position: number, rollback: number, rows: number): void {
		if (rollback > this.#received || position !== this.#received - rollback) {
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
			logits: this.#isLast && step.last,
			...(step.rollback > 0 ? { truncateTo: step.position } : {}),
			onResult: (result, ms) => this.#onComputed(result, step, ms),
		});
	}

	#onComputed(result: ForwardResult, step: Step, ms: number): Promise<void> | undefined {
		const { position, rows, chain } = step;
		const decoded = rows === 1 && step.last;
		if (decoded) {
			this.#decodeMs.add(ms);
			this.#decodeSteps++;
		}
		this.#context.onStep(rows, decoded ? ms : undefined);
		this.#computed = { position: position + rows, chain };
		const sent = this.#isLast ? this.#afterLast(result, step) : this.#sendHidden(result, step);
		if (decoded && this.#decodeSteps % PROGRESS_EVERY === 0) this.#tellProgress();
		return sent;
	}

	#sendHidden(result: ForwardResult, { position, chain, last, rollback }: Step): Promise<void> {
		const { stream, generation } = this.route;
		const { header, bytes } = encodeTensor(result.hidden!, this.#model.manifest.boundary);
		return this.#send(
			encodeFrame({ kind: "hidden", stream, generation, position, rollback, chain, last, header, bytes }),
		);
	}

	#afterLast(result: ForwardResult, step: Step): Promise<void> | undefined {
		if (!step.last || this.#state === "finished") return undefined;
		const { sampling, maxTokens, stopTokens } = this.#open.generation!;
		const { tokens, history } = this.#sampled;
		const position = step.position + step.rows;
		if (step.rollback > 0) {
			const dropped = tokens.splice(Math.max(0, tokens.length - step.rollback)).length;
			history.length -= dropped;
		}
		const token = sample(result.logits!, sampling, position, history);
		tokens.push(token);
		history.push(token);
		const chain = nextLink(step.chain, position, token);
		this.#sampled.next = chain;
		let finish: FinishReason | undefined;
		if (stopTokens.includes(token)) finish = "stop";
		else if (tokens.length >= maxTokens || position >= this.#open.maxPositions) finish = "length";

		let sent: Promise<void> | undefined;
		if (finish) this.#state = "finished";
		else if (this.#isFirst) this.#decodeToken(position, 0, token, chain);
		else {
			const { stream, generation } = this.route;
			// Around the ring before anything else: the next lap waits for it.
			sent = this.#send(
				encodeFrame({ kind: "token", stream, generation, position, rollback: 0, chain, token }),
			);
		}
		this.#tell({ type: "token", position, token, chain, ...(finish ? { finish } : {}) });
		return sent;
	}

	#send(frame: Uint8Array): Promise<void> {
		const successor = this.#successor!;
		return successor.send(frame).catch((error) => this.#neighbourLost(error, successor.remote));
	}

	#tell(response: StageResponse): void {
		// When it cannot be sent the control stream is gone, which its reader notices.
		this.#control.send(encodeCbor(response)).catch(() => {});
	}

	#tellProgress(): void {
		const { position, chain } = this.#computed;
		this.#tell({ type: "progress", position, chain, msPerToken: this.#decodeMs.value });
	}

	/** What the asker is told when a neighbour's link breaks: the neighbour's own error where it gave one. */
	#neighbourError(error: unknown, peer: string): TabmeshError {
		if (error instanceof TabmeshError && !(error instanceof StreamResetError)) return error;
		return new StageLostError("A stage lost the link to its neighbour.", { details: { peer }, cause: error });
	}

	#violation(error: unknown, offender: string): void {
		if (this.#state === "ended") return;
		this.fail(error);
		const offence = offenceOf(error);
		// A forked chain may have come through an honest neighbour. Last, because it may end the connection.
		if (offence && !(error instanceof TokenChainError && this.route.hops.length > 2)) {
			this.#context.peer.report(offender, offence);
		}
	}

	/** A neighbour's link has ended. Why, the neighbour tells the asker itself if it still can: that is worth a moment. */
	#neighbourLost(error: unknown, peer: string): void {
		const lost = this.#neighbourError(error, peer);
		if (lost instanceof StageLostError) setTimeout(() => this.fail(lost), HEARSAY_MS);
		else this.fail(lost);
	}

	/** Ends the stream in order: tells how far it came, and frees everything. */
	close(): void {
		if (this.#state === "ended") return;
		this.#tellProgress();
		void this.#control.close();
		void this.#successor?.close();
		this.#free();
	}

	/** Ends the stream with an error that the asker and the neighbours are told. */
	fail(error: unknown): void {
		if (this.#state === "ended") return;
		this.#tell({ type: "error", error: toWireError(error) });
		void this.#control.close();
		const reason =
			error instanceof TabmeshError
				? error
				: new StageLostError("A stage met an internal error.", { cause: error });
		this.#successor?.abort(reason);
		this.#predecessor?.abort(reason);
		this.#free();
	}

	#free(): void {
		this.#state = "ended";
		this.#abort.abort(new StreamResetError("The stream has ended."));
		this.#lane?.close();
		this.#prompt = [];
		const released = this.#reserved ? this.#context.engine.release(this.key) : Promise.resolve();
		void released
			.catch(() => {})
			.then(() => {
				this.#lease?.release();
				this.#context.onEnd(this);
				this.#resolveEnded();
			});
	}
}

/** One input on its way through the engine. */
interface Step {
	readonly position: number;
	readonly rows: number;
	readonly chain: Link;
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

/** The power of two of positions that takes about CHUNK_MS. */
function fittingChunk(msPerPosition: number): number {
	const fitting = 2 ** Math.floor(Math.log2(CHUNK_MS / Math.max(msPerPosition, 1e-3)));
	return Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, fitting));
}
