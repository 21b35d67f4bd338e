import type { MessageStream, Peer } from "@tabmesh/transport";
import {
	decodeCbor,
	encodeCbor,
	type Hop,
	limits,
	RouteRefusedError,
	StageLostError,
	type StageRequest,
	type StageResponse,
	StreamResetError,
	stageResponseSchema,
	TabmeshError,
} from "@tabmesh/wire";
import { Chatter } from "../chatter.ts";
import { type StageFeature, stageProtocol } from "../protocols.ts";

/** How long a stage may leave signs of life unanswered before it is given up, where nobody could take its place. */
const PATIENT_MS = 1400;
/**
 * The same where a spare stands by: longer than a page is busy with itself now and then, and short enough that an answer
 * stands still for less than a second.
 */
const QUICK_MS = 400;
/** A far stage gets so many of its round trips. */
const QUICK_TRIPS = 6;
const UNANSWERED_PINGS = 3;
/** The same while it fetches and compiles, which may keep a Node lender's only thread busy. */
const PREPARING_SILENCE_MS = 30_000;

type OpenRequest = Extract<StageRequest, { type: "open" }>;

/** What a stage has to understand beyond the first version of the protocol to take this. */
function featuresOf({ embed, generation }: OpenRequest): StageFeature[] {
	if (embed) return ["embeddings"];
	if (!generation) return [];
	const { presencePenalty, frequencyPenalty, logitBias } = generation.sampling;
	const adjusts = [presencePenalty, frequencyPenalty, logitBias].some((each) => each !== undefined);
	return [
		...(generation.logprobs === undefined ? [] : (["logprobs"] as const)),
		...(adjusts ? (["penalties"] as const) : []),
	];
}

export type StageState = "opening" | "preparing" | "ready" | "lost";

/** One stage of a route as the asker sees it. */
export interface StageStatus {
	readonly peer: string;
	readonly span: Hop["span"];
	readonly state: StageState;
	/** 0 to 1 while preparing. */
	readonly progress: number;
	/** Its own median per decoded token in milliseconds; 0 before it told. */
	readonly msPerToken: number;
	/** Undefined before it was ready. */
	readonly numericsClass: string | undefined;
}

/** What a stage says, and that it does not any more. */
export interface StageListener {
	onResponse(link: StageLink, response: Exclude<StageResponse, { type: "pong" }>): void;
	/** It answered a sign of life: `received` and `computed` are fresh. */
	onPong(link: StageLink): void;
	/** At most once, and not after `close`. */
	onLost(link: StageLink, error: unknown): void;
}

/** The asker's control stream to one stage. */
export class StageLink {
	readonly hop: Hop;
	/** Fresh at every change. */
	status: StageStatus;
	/** Of the route that the stage serves the stream by; undefined before it said so. */
	generation: number | undefined;
	/** Positions that came in there, and those computed, as it said last. */
	received = 0;
	computed = 0;
	/** Whether it said that it goes in a moment. */
	leaving = false;
	/** Resolves when the stage has ended its side, or is gone. */
	readonly ended: Promise<void>;
	readonly #listener: StageListener;
	readonly #chatter = new Chatter();
	readonly #resolveEnded: () => void;
	#stream: MessageStream | undefined;
	#newer: StageRequest | undefined;
	#pings = 0;
	#unanswered = 0;
	/** By `performance.now()`: when the newest ping went, and the oldest that was not answered. */
	#pinged = 0;
	#unansweredSince = 0;
	#roundTripMs = 0;
	#closed = false;
	/** Whether it is told nothing by which it could keep the stream. */
	#keepsNothing = false;

	constructor(hop: Hop, listener: StageListener) {
		this.hop = hop;
		this.#listener = listener;
		this.status = {
			peer: hop.peer,
			span: hop.span,
			state: "opening",
			progress: 0,
			msPerToken: 0,
			numericsClass: undefined,
		};
		const { promise, resolve } = Promise.withResolvers<void>();
		this.ended = promise;
		this.#resolveEnded = resolve;
	}

	/**
	 * Reaches the stage and opens the stream there; what it answers goes to the listener. A stage that lacks what the request takes is lost
	 * as one that refused.
	 */
	async open(peer: Peer, request: OpenRequest, signal: AbortSignal): Promise<void> {
		try {
			const needed = featuresOf(request);
			const missing = await this.#missing(peer, request.apart ? [...needed, "apart"] : needed, signal);
			if (missing.some((feature) => needed.includes(feature))) {
				throw new RouteRefusedError(
					"A peer runs an older version, which does not offer what was asked for.",
					{
						details: { peer: this.hop.peer, missing: missing.join(" ") },
					},
				);
			}
			// What it kept it would give to anybody behind this device.
			this.#keepsNothing = missing.includes("apart");
			const { apart, links, ...rest } = request;
			const told: OpenRequest = this.#keepsNothing ? rest : request;
			const stream = await peer.open(this.hop.peer, stageProtocol, { signal });
			if (this.#closed) {
				stream.abort(new StreamResetError("The answer is not wanted any more."));
				return;
			}
			this.#pinged = performance.now();
			void this.#read(stream);
			await stream.send(encodeCbor(told), { signal });
			this.#stream = stream;
			if (this.#newer) await stream.send(encodeCbor(this.#newer), { signal });
		} catch (error) {
			this.#lost(error);
		}
	}

	async #missing(peer: Peer, wanted: readonly StageFeature[], signal: AbortSignal): Promise<StageFeature[]> {
		const { peer: id } = this.hop;
		if (wanted.length === 0 || id === peer.id) return [];
		// Answered as soon as both have said what they can.
		await peer.ping(id, { signal });
		const link = peer.connections.find((each) => each.peer === id && each.agreement);
		return wanted.filter((feature) => !link?.agreement?.features.includes(feature));
	}

	/** Tells the stage of a newer route, as soon as it knows of the stream. */
	reroute(request: StageRequest): void {
		if (this.#stream) this.send(request).catch(() => {});
		else this.#newer = request;
	}

	send(request: StageRequest): Promise<void> {
		return this.#stream?.send(encodeCbor(request)) ?? Promise.resolve();
	}

	/** Asks for a sign of life if the last time is `everyMs` ago. To be called at intervals. */
	ping(now: number, everyMs: number): void {
		if (!this.#stream || this.#closed || now - this.#pinged < everyMs) return;
		this.#pinged = now;
		if (this.#unanswered++ === 0) this.#unansweredSince = now;
		this.send({ type: "ping", nonce: this.#pings++ }).catch(() => {});
	}

	/**
	 * Whether it leaves so many signs of life unanswered for so long that it is to be given up.
	 *
	 * It takes unanswered pings as well as time: after our own page was busy or asleep, what the stage said in the meantime
	 * may wait behind this very call.
	 *
	 * @param quick - whether somebody could take its place
	 */
	isSilent(now: number, quick: boolean): boolean {
		if (this.#closed || this.#unanswered < UNANSWERED_PINGS) return false;
		let allowed = PREPARING_SILENCE_MS;
		if (this.status.state === "ready") {
			allowed = quick ? Math.max(QUICK_MS, QUICK_TRIPS * this.#roundTripMs) : PATIENT_MS;
		}
		return now - this.#unansweredSince > allowed;
	}

	update(change: Partial<StageStatus>): void {
		this.status = { ...this.status, ...change };
	}

	/** Its connection is gone. */
	disconnected(): void {
		if (this.#stream) this.#lost(new StreamResetError("The connection to the stage ended."));
	}

	/** Asks the stage to end the stream; what it still says, its last `progress`, goes to the listener. */
	finish(links: Uint8Array<ArrayBuffer>): void {
		if (!this.#stream) this.close();
		else this.send(this.#closing(links)).catch(() => {});
	}

	/**
	 * Frees the stage and listens no more.
	 *
	 * @param links - of what it may keep for streams that begin alike
	 */
	close(links?: Uint8Array<ArrayBuffer>): void {
		if (this.#closed) return;
		this.#closed = true;
		const stream = this.#stream;
		if (stream) {
			stream.send(encodeCbor(this.#closing(links))).catch(() => {});
			void stream.close();
		}
		this.#resolveEnded();
	}

	#closing(links: Uint8Array<ArrayBuffer> | undefined): StageRequest {
		return { type: "close", ...(links && !this.#keepsNothing ? { links } : {}) };
	}

	/** Leaves without a word, as a page does that is reloaded: the stage keeps the stream for a while. */
	abandon(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#stream?.abort(new StreamResetError("The asker is away for a moment."));
		this.#resolveEnded();
	}

	async #read(stream: MessageStream): Promise<void> {
		try {
			for await (const message of stream) {
				const waiting = this.#unanswered;
				this.#unanswered = 0;
				if (this.#closed) continue;
				this.#chatter.heard();
				const response = decodeCbor(stageResponseSchema, message, limits.controlBytes);
				if (response.type !== "pong") {
					this.#listener.onResponse(this, response);
					continue;
				}
				if (waiting === 1) this.#roundTripMs = performance.now() - this.#pinged;
				this.received = response.received;
				this.computed = response.computed;
				this.#listener.onPong(this);
			}
			this.#lost(new StreamResetError("The stage ended the stream."));
		} catch (error) {
			this.#lost(error);
		}
	}

	#lost(error: unknown): void {
		this.#resolveEnded();
		if (this.#closed) return;
		const kept = error instanceof TabmeshError && !(error instanceof StreamResetError);
		this.#listener.onLost(
			this,
			kept
				? error
				: new StageLostError("A peer that holds a stage of the route left.", {
						details: { peer: this.hop.peer },
						cause: error,
					}),
		);
	}
}
