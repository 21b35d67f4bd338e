import type { MessageStream, Peer } from "@tabmesh/transport";
import {
	decodeCbor,
	encodeCbor,
	type Hop,
	limits,
	StageLostError,
	type StageRequest,
	type StageResponse,
	StreamResetError,
	stageResponseSchema,
	TabmeshError,
} from "@tabmesh/wire";
import { stageProtocol } from "./protocols.ts";

/** How long a serving stage may say nothing. With the next tick, a silent one is noticed within 2 s. */
const SILENCE_MS = 1400;
const UNANSWERED_PINGS = 3;
/** The same while it fetches and compiles, which may keep a Node lender's only thread busy. */
const PREPARING_SILENCE_MS = 30_000;

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
	/** At most once, and not after `close`. */
	onLost(link: StageLink, error: unknown): void;
}

/** The asker's control stream to one stage. */
export class StageLink {
	readonly hop: Hop;
	/** Fresh at every change. */
	status: StageStatus;
	/** Resolves when the stage has ended its side, or is gone. */
	readonly ended: Promise<void>;
	readonly #listener: StageListener;
	readonly #resolveEnded: () => void;
	#stream: MessageStream | undefined;
	#lastHeard = 0;
	#pings = 0;
	#unanswered = 0;
	#closed = false;

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

	/** Reaches the stage and opens the stream there; what it answers goes to the listener. */
	async open(peer: Peer, request: StageRequest, signal: AbortSignal): Promise<void> {
		try {
			const stream = await peer.open(this.hop.peer, stageProtocol, { signal });
			if (this.#closed) {
				stream.abort(new StreamResetError("The answer is not wanted any more."));
				return;
			}
			this.#stream = stream;
			this.#lastHeard = performance.now();
			void this.#read(stream);
			await stream.send(encodeCbor(request), { signal });
		} catch (error) {
			this.#lost(error);
		}
	}

	send(request: StageRequest): Promise<void> {
		return this.#stream?.send(encodeCbor(request)) ?? Promise.resolve();
	}

	/**
	 * Asks for a sign of life, or gives the stage up when it has been silent for too long. To be called at intervals.
	 *
	 * It takes unanswered pings as well as time: after a page was busy or asleep, what the stage said in the meantime may
	 * wait behind this very call.
	 */
	check(now: number): void {
		if (!this.#stream || this.#closed) return;
		const silence = now - this.#lastHeard;
		const allowed = this.status.state === "ready" ? SILENCE_MS : PREPARING_SILENCE_MS;
		if (silence > allowed && this.#unanswered >= UNANSWERED_PINGS) {
			this.#lost(
				new StageLostError("A stage of the route has fallen silent.", {
					details: { peer: this.hop.peer, silentMs: Math.round(silence) },
				}),
			);
			return;
		}
		this.#unanswered++;
		this.send({ type: "ping", nonce: this.#pings++ }).catch(() => {});
	}

	update(change: Partial<StageStatus>): void {
		this.status = { ...this.status, ...change };
	}

	/** Its connection is gone. */
	disconnected(): void {
		if (this.#stream) this.#lost(new StreamResetError("The connection to the stage ended."));
	}

	/** Asks the stage to end the stream; what it still says, its last `progress`, goes to the listener. */
	finish(): void {
		if (!this.#stream) this.close();
		else this.send({ type: "close" }).catch(() => {});
	}

	/** Frees the stage and listens no more. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		const stream = this.#stream;
		if (stream) {
			stream.send(encodeCbor({ type: "close" } satisfies StageRequest)).catch(() => {});
			void stream.close();
		}
		this.#resolveEnded();
	}

	async #read(stream: MessageStream): Promise<void> {
		try {
			for await (const message of stream) {
				this.#lastHeard = performance.now();
				this.#unanswered = 0;
				if (this.#closed) continue;
				const response = decodeCbor(stageResponseSchema, message, limits.controlBytes);
				if (response.type !== "pong") this.#listener.onResponse(this, response);
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
