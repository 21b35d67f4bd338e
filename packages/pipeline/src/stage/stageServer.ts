import { bytesToHex } from "@noble/hashes/utils.js";
import type { EnvelopeSigner } from "@tabmesh/dauth";
import type { Engine, FinalNorm, ModelRef, ShardSource } from "@tabmesh/model";
import type { TokenConstraint } from "@tabmesh/model/constraint";
import type { MessageStream, Peer } from "@tabmesh/transport";
import {
	type Constraint,
	decodeCbor,
	encodeCbor,
	limits,
	OutOfMemoryBudgetError,
	ProtocolViolationError,
	type Route,
	RouteRefusedError,
	RouteViolationError,
	ringOpenSchema,
	StageBusyError,
	StageLostError,
	type StageResponse,
	StreamResetError,
	stageRequestSchema,
	TimeoutError,
	toWireError,
} from "@tabmesh/wire";
import { FinalNorms } from "../embedding/finalNorms.ts";
import { ringProtocol, stageProtocol } from "../protocols.ts";
import type { SignedReceipt } from "../receipts/signedReceipt.ts";
import { RollingMedian } from "../rollingMedian.ts";
import { openRoute } from "../route.ts";
import { ModelConstraints } from "../sampling/modelConstraints.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { LookupDrafter } from "../speculation/lookupDrafter.ts";
import { BatchQueue } from "./batchQueue.ts";
import { busyFor, inAbout } from "./busyFor.ts";
import { KeptPrefixes, type Prefix } from "./keptPrefixes.ts";
import { LoadedSpans } from "./loadedSpans.ts";
import { historyRowBytes } from "./sentHistory.ts";
import { type OpenRequest, offenceOf, type StageContext, StageSession } from "./stageSession.ts";

/** Streams served at once: two full batches. */
const DEFAULT_STREAMS = 16;
/** Of those, what one asker may take. */
const DEFAULT_STREAMS_PER_ASKER = 8;
/** Of the memory that streams may take, what one asker's may once it has more than one here. */
const SHARE_OF_ASKER = 1 / 2;
/** How long the first message of a stream may take. */
const FIRST_MESSAGE_MS = 10_000;
/** How long a link waits for the asker's `open`: his dial to us may take as long as the predecessor's did not. */
const RING_HOLD_MS = 20_000;
/** How long a stream is kept for an asker who is gone: a reload of his tab takes seconds. */
const LEASE_MS = 60_000;
/** How long an asker may take to countersign a receipt: a page that is hidden or busy answers within seconds. */
const COUNTERSIGN_MS = 10_000;
/** How long askers may take to put spares in our place when we leave. */
const LEAVE_MS = 3_000;
/** Between two messages that keep a line awake; a lap within one machine or room is shorter and needs none. */
const AWAKE_EVERY_MS = 25;
/** What all streams' histories may come to: 65,000 positions of a model of 2,048 in half precision. */
const HISTORY_BYTES = 256 * 1024 * 1024;
/** Links of one peer that may wait. */
const RING_HOLDS_PER_PEER = 16;
/** An asker says something twice a second; a hidden tab's timers run once a minute. */
const IDLE_MS = 120_000;
const SWEEP_MS = 5_000;
/** Least time between two `change` events for numbers that move with every token. */
const CHANGE_EVERY_MS = 1000;

export interface StageServerInit {
	peer: Peer;
	engine: Engine;
	source: ShardSource;
	room: string;
	/** Signs receipts: of the peer's own key. */
	signer: EnvelopeSigner;
	/** Chain on which receipts may be settled (EIP-155). @default 0: none */
	chainId?: number;
	/** Told of what the asker of a stream signed for, when it has ended: the last receipt, which stands for all. */
	onReceipt?: (signed: SignedReceipt) => void;
	/** A model that this lender's owner is willing to serve, by id. */
	models: (id: string) => ModelRef | undefined;
	/** What guesses tokens for a stream whose first stage is here; where it is undefined, what stood in the text before. */
	drafter?: (model: ModelRef) => Drafter | undefined;
	/** @default 16 */
	maxStreams?: number;
	/** @default 8 */
	maxStreamsPerAsker?: number;
	/** How long a stream is kept for an asker whose connection broke, in milliseconds. @default 60,000 */
	leaseMs?: number;
	/** How long a finished stream is kept for those that begin alike, in milliseconds. @default 300,000 */
	keepMs?: number;
	/** How long an asker may take to countersign a receipt, in milliseconds. @default 10,000 */
	countersignMs?: number;
	/** How long a link for a stream that nobody opened yet is kept, in milliseconds. @default 20,000 */
	ringHoldMs?: number;
}

/** One stream, as a stage of it sees it. */
export interface ServedRoute {
	/** Its id, in hexadecimal. */
	readonly stream: string;
	readonly model: string;
	/** All of them, in the order in which a token passes them. */
	readonly hops: Route["hops"];
	/** Which of them is here. */
	readonly place: number;
	/** Positions computed here so far, prompt and answer. */
	readonly positions: number;
}

/** What a lender serves; `change` is dispatched when it does. */
export interface StageServer extends EventTarget {
	/** Load and announce with it: `hold` makes a span servable. */
	readonly spans: LoadedSpans;
	/** Streams served now. */
	readonly streams: number;
	/** Positions computed so far, prompt and answer. */
	readonly tokensServed: number;
	/** Median milliseconds of the latest decode steps; 0 before the first. */
	readonly msPerToken: number;
	/** Bytes of what was sent, kept for spares of the next stages. */
	readonly historyBytes: number;
	/** Bytes of the engine's memory with finished streams, kept for those that go on and given up when somebody needs them. */
	readonly keptBytes: number;
	/** Bytes of the engine's memory that layers on their way will take: no stream gets them. */
	promisedBytes: number;
	/** The route of each stream served now, the oldest first. */
	readonly routes: readonly ServedRoute[];
	/** Whether new streams are refused; running ones go on. */
	paused: boolean;
	/** Of the engine's time, how much is computed, above 0 to 1. @default 1 */
	computeShare: number;
	/**
	 * Takes no new streams, asks the askers of the running ones to put spares in our place, and gives them a moment for it.
	 * They are asked before this returns.
	 */
	leave(): Promise<void>;
	/** Ends every stream and serves no more; spans are unloaded. */
	close(): Promise<void>;
}

/**
 * Serves stages of pipelines: `/tabmesh/stage/1` to askers and `/tabmesh/ring/1` to neighbouring stages.
 *
 * Whatever a stranger sends ends his own stream at most: it is checked against the signed route, answered with a typed
 * error, and held against him where it is no accident.
 *
 * @example
 * ```ts
 * const server = serveStages({ peer, signer, engine, source, room: "public", models: (id) => (id === model.id ? model : undefined) });
 * await server.spans.hold(model, deal(directory.members, model).assignments.get(peer.id)!);
 * ```
 */
export function serveStages(init: StageServerInit): StageServer {
	return new PeerStageServer(init);
}

class PeerStageServer extends EventTarget implements StageServer, StageContext {
	readonly peer: Peer;
	readonly engine: Engine;
	readonly spans: LoadedSpans;
	readonly prefixes: KeptPrefixes;
	readonly queue: BatchQueue;
	readonly #init: StageServerInit;
	readonly #sessions = new Map<string, StageSession>();
	/** Opens whose route is being verified, by asker: they count as streams. */
	#opening = 0;
	readonly #openingOf = new Map<string, number>();
	/** Links that wait for their stream, by its key. */
	readonly #waiting = new Map<string, Set<() => void>>();
	readonly #waitingOf = new Map<string, number>();
	readonly #constraints: ModelConstraints;
	readonly #norms: FinalNorms;
	readonly #decodeMs = new RollingMedian();
	readonly #unserve: (() => void)[];
	readonly #onDeviceLost: (event: CustomEvent<{ reason: string }>) => void;
	readonly leaseMs: number;
	readonly signer: EnvelopeSigner;
	readonly chainId: number;
	readonly countersignMs: number;
	promisedBytes = 0;
	#sweep: ReturnType<typeof setInterval> | undefined;
	#awake: ReturnType<typeof setInterval> | undefined;
	#changeTimer: ReturnType<typeof setTimeout> | undefined;
	#tokensServed = 0;
	#paused = false;
	#closed = false;

	constructor(init: StageServerInit) {
		super();
		this.#init = init;
		this.peer = init.peer;
		this.signer = init.signer;
		this.chainId = init.chainId ?? 0;
		this.countersignMs = init.countersignMs ?? COUNTERSIGN_MS;
		this.leaseMs = init.leaseMs ?? LEASE_MS;
		this.engine = init.engine;
		this.prefixes = new KeptPrefixes(init.engine, init.keepMs);
		this.#constraints = new ModelConstraints(init.source);
		this.#norms = new FinalNorms(init.source);
		this.spans = new LoadedSpans(init.engine, init.source, this.prefixes);
		this.queue = new BatchQueue(init.engine);
		this.#onDeviceLost = () => {
			this.prefixes.clear();
			for (const session of this.#sessions.values()) {
				session.fail(new StageLostError("A stage lost its GPU.", { details: { peer: this.peer.id } }));
			}
		};
		this.engine.addEventListener("devicelost", this.#onDeviceLost);
		this.#unserve = [
			this.peer.serve(stageProtocol, (stream) => this.#serveStage(stream)),
			this.peer.serve(ringProtocol, (stream) => this.#serveRing(stream)),
		];
	}

	get streams(): number {
		return this.#sessions.size;
	}

	get routes(): readonly ServedRoute[] {
		return [...this.#sessions.values()].map(({ key, route, place, positions }) => ({
			stream: key,
			model: route.model,
			hops: route.hops,
			place,
			positions,
		}));
	}

	get computeShare(): number {
		return this.queue.computeShare;
	}

	set computeShare(share: number) {
		this.queue.computeShare = share;
	}

	get historyBytes(): number {
		return [...this.#sessions.values()].reduce((sum, session) => sum + session.historyBytes, 0);
	}

	get keptBytes(): number {
		return this.prefixes.bytes;
	}

	*running(): Iterable<Prefix> {
		for (const { prefix } of this.#sessions.values()) if (prefix) yield prefix;
	}

	get tokensServed(): number {
		return this.#tokensServed;
	}

	get msPerToken(): number {
		return this.#decodeMs.value;
	}

	get paused(): boolean {
		return this.#paused;
	}

	set paused(paused: boolean) {
		this.#paused = paused;
		this.prefixes.keeps = !paused;
		this.#changed();
	}

	drafter(model: ModelRef): Drafter {
		return this.#init.drafter?.(model) ?? new LookupDrafter();
	}

	constraint(model: ModelRef, terms: Constraint): Promise<TokenConstraint> {
		return this.#constraints.of(model, terms);
	}

	finalNorm(model: ModelRef): Promise<FinalNorm> {
		return this.#norms.of(model);
	}

	onStep(rows: number, decodeMs: number | undefined): void {
		this.#tokensServed += rows;
		if (decodeMs !== undefined) this.#decodeMs.add(decodeMs);
		this.#changeTimer ??= setTimeout(() => this.#changed(), CHANGE_EVERY_MS);
	}

	onEnd(session: StageSession): void {
		if (this.#sessions.get(session.key) === session) this.#sessions.delete(session.key);
		if (this.#sessions.size === 0) {
			clearInterval(this.#sweep);
			clearInterval(this.#awake);
			this.#sweep = undefined;
			this.#awake = undefined;
		}
		this.#changed();
	}

	onRoute({ key }: StageSession): void {
		for (const wake of this.#waiting.get(key) ?? []) wake();
	}

	busy(sentence: string, needed: number, frees: (session: StageSession) => number): StageBusyError {
		const occupants = [...this.#sessions.values()].map((session) => ({
			remainingMs: session.remainingMs,
			frees: frees(session),
		}));
		const retryAfterMs = busyFor(occupants, needed);
		if (retryAfterMs === undefined) return new StageBusyError(`${sentence}.`);
		return new StageBusyError(`${sentence}, for ${inAbout(retryAfterMs)} more.`, {
			details: { retryAfterMs },
		});
	}

	async holdToShare(session: StageSession, bytes: number): Promise<void> {
		const { asker } = session;
		for (;;) {
			const sessions = [...this.#sessions.values()];
			const others = sessions.filter((each) => each.asker === asker && each !== session);
			const own = others.reduce((sum, each) => sum + each.askedBytes, 0);
			// Its only stream may be as long as it fits.
			if (own === 0) return;
			const taken = sessions.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
			const free = this.engine.info.memoryBytes - (await this.engine.usedBytes()) + this.keptBytes;
			const over = own + bytes - (free + taken) * SHARE_OF_ASKER;
			if (over <= 0) return;
			if (await this.evict(asker)) continue;
			throw this.busy("This peer keeps memory free for other askers", over, (each) =>
				each.asker === asker && each !== session ? each.memoryBytes : 0,
			);
		}
	}

	async keepPromised(bytes: number): Promise<void> {
		if (this.promisedBytes === 0) return;
		const freeBytes = this.engine.info.memoryBytes - (await this.engine.usedBytes()) - this.promisedBytes;
		if (bytes <= freeBytes) return;
		throw new OutOfMemoryBudgetError("The rest of the memory is for layers that are on their way.", {
			details: { bytes, freeBytes },
		});
	}

	async evict(asker?: string): Promise<boolean> {
		const [session] = [...this.#sessions.values()]
			.filter((each) => each.detachedSince !== undefined && (asker === undefined || each.asker === asker))
			.sort((a, b) => a.detachedSince! - b.detachedSince!);
		if (!session) return false;
		session.close();
		await session.ended;
		return true;
	}

	async leave(): Promise<void> {
		this.#paused = true;
		this.prefixes.keeps = false;
		const sessions = [...this.#sessions.values()];
		for (const session of sessions) session.leave();
		let timer: ReturnType<typeof setTimeout> | undefined;
		const enough = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, LEAVE_MS);
		});
		const attended = sessions.filter((session) => session.detachedSince === undefined);
		await Promise.race([Promise.all(attended.map((session) => session.ended)), enough]);
		clearTimeout(timer);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		for (const unserve of this.#unserve) unserve();
		this.engine.removeEventListener("devicelost", this.#onDeviceLost);
		const sessions = [...this.#sessions.values()];
		for (const session of sessions) {
			session.fail(new StageLostError("A stage left.", { details: { peer: this.peer.id } }));
		}
		await Promise.all(sessions.map((session) => session.ended));
		this.prefixes.keeps = false;
		clearTimeout(this.#changeTimer);
		await this.spans.close();
	}

	#changed(): void {
		clearTimeout(this.#changeTimer);
		this.#changeTimer = undefined;
		if (!this.#closed) this.dispatchEvent(new Event("change"));
	}

	// The asker's stream

	async #serveStage(control: MessageStream): Promise<void> {
		let session: StageSession | undefined;
		try {
			const message = await firstMessage(control);
			if (!message) return;
			const request = decodeCbor(stageRequestSchema, message, limits.controlBytes);
			if (request.type !== "open") throw new ProtocolViolationError("A stream begins with `open`.");
			session = await this.#open(control, request);
		} catch (error) {
			this.#refuse(control, error);
			return;
		}
		await Promise.race([this.#readControl(session, control), session.settled]);
		// What it still has to say goes out before its side of the stream ends.
		if (session.control === control) await session.ended;
	}

	async #readControl(session: StageSession, control: MessageStream): Promise<void> {
		try {
			for await (const message of control) {
				await session.onControl(decodeCbor(stageRequestSchema, message, limits.controlBytes));
			}
			// Without a word, but in order: as good as `close`.
			if (session.control === control) session.close();
		} catch (error) {
			if (error instanceof StreamResetError) return session.detach(control);
			session.fail(error);
			const offence = offenceOf(error);
			if (offence) this.peer.report(control.remote, offence);
		}
	}

	async #open(control: MessageStream, request: OpenRequest): Promise<StageSession> {
		const asker = control.remote;
		const { maxStreams = DEFAULT_STREAMS, maxStreamsPerAsker = DEFAULT_STREAMS_PER_ASKER } = this.#init;
		const busy = (): boolean => this.#sessions.size + this.#opening >= maxStreams;
		const share = (): number =>
			[...this.#sessions.values()].filter((session) => session.asker === asker).length +
			(this.#openingOf.get(asker) ?? 0);
		// A stream that goes on takes the place that it has.
		const goesOn = request.keep !== undefined;
		while (!goesOn && share() >= maxStreamsPerAsker && (await this.evict(asker)));
		while (!goesOn && busy() && (await this.evict()));
		if (
			this.#paused ||
			this.#closed ||
			this.#sessions.size + this.#opening >= maxStreams + (goesOn ? 1 : 0) ||
			share() >= maxStreamsPerAsker + (goesOn ? 1 : 0)
		) {
			if (this.#paused || this.#closed) throw new StageBusyError("This peer pauses.");
			if (share() < maxStreamsPerAsker)
				throw this.busy("This peer serves as many streams as it can", 1, () => 1);
			throw this.busy("This peer serves one asker no more streams at once", 1, (session) =>
				session.asker === asker ? 1 : 0,
			);
		}
		this.#opening++;
		this.#openingOf.set(asker, (this.#openingOf.get(asker) ?? 0) + 1);
		try {
			return await this.#admit(control, request);
		} finally {
			this.#opening--;
			const left = this.#openingOf.get(asker)! - 1;
			if (left > 0) this.#openingOf.set(asker, left);
			else this.#openingOf.delete(asker);
		}
	}

	async #admit(control: MessageStream, request: OpenRequest): Promise<StageSession> {
		const opened = await openRoute(request.route, {
			remote: control.remote,
			self: this.peer.id,
			room: this.#init.room,
		});
		const { route, place } = opened;
		const model = this.#init.models(route.model);
		if (!model) throw new RouteRefusedError("This peer does not serve the model that the route asks for.");
		const { span } = route.hops[place]!;
		const { layers, contextLength } = model.manifest.config;
		if (route.hops.at(-1)!.span.to !== layers || route.hops[0]!.span.from !== 0) {
			throw new RouteRefusedError(`The route does not lead through all ${layers} layers.`);
		}
		if (!this.spans.serves(model.id, span)) {
			throw new RouteRefusedError("This peer does not hold the layers that the route asks of it.", {
				details: { from: span.from, to: span.to },
			});
		}
		if (request.maxPositions > contextLength) {
			throw new RouteRefusedError(`The model has a context of ${contextLength} positions.`, {
				details: { maxPositions: request.maxPositions, contextLength },
			});
		}
		const isLast = place === route.hops.length - 1;
		const { embed, generation } = request;
		if (isLast !== ((embed ?? generation) !== undefined) || (embed && generation)) {
			throw new ProtocolViolationError("How to generate is for the last stage, and for that one only.");
		}
		if (embed && (embed.from >= request.maxPositions || request.keep !== undefined)) {
			throw new ProtocolViolationError(
				"A mean is taken of some positions, and of a stream from its beginning.",
			);
		}
		const key = bytesToHex(route.stream);
		const known = this.#sessions.get(key);
		if (known) {
			if (known.asker !== control.remote || known.route.generation >= route.generation) {
				throw new RouteViolationError("This stream, or a newer generation of it, is open already.");
			}
			if (known.continues(opened, request)) {
				known.adopt(opened, request, control);
				return known;
			}
			known.fail(new StageLostError("The stream goes on by a newer route."));
			await known.ended;
			if (this.#sessions.has(key)) throw new RouteViolationError("This stream is open already.");
		}
		const promised = [...this.#sessions.values()].reduce((sum, each) => sum + each.mostHistoryBytes, 0);
		const history = request.maxPositions * historyRowBytes(model, span);
		if (promised + history > HISTORY_BYTES) {
			throw this.busy(
				"This peer keeps as much of running streams as it can",
				promised + history - HISTORY_BYTES,
				({ mostHistoryBytes }) => mostHistoryBytes,
			);
		}
		const session = new StageSession({ key, context: this, model, route, place, open: request, control });
		this.#sessions.set(key, session);
		void session.settled.then(() => session.receipt && this.#init.onReceipt?.(session.receipt));
		this.#sweep ??= setInterval(() => this.#sweepIdle(), SWEEP_MS);
		this.#awake ??= setInterval(() => this.#keepAwake(), AWAKE_EVERY_MS);
		this.onRoute(session);
		this.#changed();
		return session;
	}

	#refuse(control: MessageStream, error: unknown): void {
		const response: StageResponse = { type: "error", error: toWireError(error) };
		control.send(encodeCbor(response)).catch(() => {});
		const offence = offenceOf(error);
		if (offence) this.peer.report(control.remote, offence);
	}

	#sweepIdle(): void {
		const now = performance.now();
		for (const session of this.#sessions.values()) {
			if (session.detachedSince === undefined && now - session.lastHeard > IDLE_MS) {
				session.fail(new TimeoutError("The asker of this stream has fallen silent."));
			}
		}
	}

	#keepAwake(): void {
		const awake = new Set<string>();
		for (const session of this.#sessions.values()) session.keepAwake(awake);
	}

	// The predecessor's stream, or that of an asker who is the successor himself

	async #serveRing(ring: MessageStream): Promise<void> {
		try {
			const message = await firstMessage(ring);
			if (!message) return;
			const { stream, generation, position } = decodeCbor(ringOpenSchema, message, 256);
			const session = await this.#sessionOf(bytesToHex(stream), generation, ring.remote);
			if (position !== undefined) {
				session.attachReturn(ring, generation, position);
				await Promise.race([ring.closed, session.ended]);
				return;
			}
			await session.attach(ring, generation);
			await Promise.race([session.readRing(ring), session.ended]);
		} catch (error) {
			const offence = offenceOf(error);
			if (offence && !(error instanceof UnknownStreamError)) this.peer.report(ring.remote, offence);
			throw error;
		}
	}

	/** The stream that a link belongs to, waited for a while: links overtake the asker's own `open`. */
	async #sessionOf(key: string, generation: number, remote: string): Promise<StageSession> {
		const now = (): StageSession | undefined => {
			const session = this.#sessions.get(key);
			return session && session.route.generation >= generation ? session : undefined;
		};
		const known = now();
		if (known) return known;
		const count = this.#waitingOf.get(remote) ?? 0;
		if (count >= RING_HOLDS_PER_PEER) throw new UnknownStreamError("Too many links for unknown streams.");
		this.#waitingOf.set(remote, count + 1);
		const { promise, resolve } = Promise.withResolvers<void>();
		const waiting = this.#waiting.get(key) ?? new Set();
		this.#waiting.set(key, waiting.add(resolve));
		const timer = setTimeout(resolve, this.#init.ringHoldMs ?? RING_HOLD_MS);
		try {
			await promise;
		} finally {
			clearTimeout(timer);
			waiting.delete(resolve);
			if (waiting.size === 0) this.#waiting.delete(key);
			const left = this.#waitingOf.get(remote)! - 1;
			if (left > 0) this.#waitingOf.set(remote, left);
			else this.#waitingOf.delete(remote);
		}
		const session = now();
		if (!session) throw new UnknownStreamError("A link came for a stream that nobody opened here.");
		return session;
	}
}

/** An honest predecessor whose asker has given up looks the same as a stranger, so this one is not held against anybody. */
class UnknownStreamError extends RouteViolationError {}

/** The first message of a stream; undefined when it ends before. */
async function firstMessage(stream: MessageStream): Promise<Uint8Array | undefined> {
	const { promise, reject } = Promise.withResolvers<never>();
	const timer = setTimeout(
		() => reject(new TimeoutError("A stream was opened and not used.")),
		FIRST_MESSAGE_MS,
	);
	try {
		const { value, done } = await Promise.race([stream[Symbol.asyncIterator]().next(), promise]);
		return done ? undefined : value;
	} finally {
		clearTimeout(timer);
	}
}
