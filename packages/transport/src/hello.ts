import {
	type Agreement,
	decodeCbor,
	encodeCbor,
	FloodError,
	type Hello,
	helloSchema,
	limits,
	MalformedMessageError,
	negotiate,
	protocolId,
	TimeoutError,
} from "@tabmesh/wire";
import type { MessageStream, StreamProtocol } from "./peer.ts";

/**
 * The first stream of every connection, opened by the side that dialled and kept open as long as the connection: both
 * send their hello, then pings and pongs of five bytes. Where the transport does not say that a peer is gone, the end
 * of this stream or its silence does.
 *
 * Its id never changes with the majors: it is where they are agreed on.
 */
export const helloProtocol: StreamProtocol = {
	id: protocolId("hello", 1),
	maxMessageBytes: limits.helloBytes,
	windowBytes: 16 * 1024,
	// One, and a second one of a connection that both sides dialled at the same moment.
	maxStreamsPerPeer: 4,
};

/** How long the other side may take for its hello: a slow phone through a TURN server, and some. */
const helloTimeoutMs = 15_000;

/** Pings a peer may send in a minute: one every half minute is due, some more are asked for by planners. */
const pingsPerMinute = 120;

const ping = 0;
const pong = 1;

interface WaitingPing {
	sentAt: number;
	resolve: (ms: number) => void;
	reject: (error: Error) => void;
}

/** An open hello stream. */
export class Acquaintance {
	/** What the two hellos agreed on; rejects with UnsupportedVersionError, TimeoutError or what broke the stream. */
	readonly agreement: Promise<Agreement>;
	/** Last measured round trip in milliseconds. */
	rttMs: number | undefined;
	/** When something last came, on the monotonic clock. */
	heardAt = performance.now();

	readonly #stream: MessageStream;
	readonly #waiting = new Map<number, WaitingPing>();
	#nonce = 0;
	#pingBudget = pingsPerMinute;
	#budgetAt = performance.now();

	constructor(stream: MessageStream, ours: Hello) {
		this.#stream = stream;
		this.agreement = this.#greet(ours);
		this.agreement.then(
			() => this.#serve(),
			(error) => stream.abort(error),
		);
		void stream.closed.then((reason) => {
			for (const { reject } of this.#waiting.values()) reject(reason ?? new TimeoutError("The peer left."));
			this.#waiting.clear();
		});
	}

	/** Measures the round trip now. @throws TimeoutError, StreamResetError */
	ping(timeoutMs: number): Promise<number> {
		const nonce = this.#nonce++ >>> 0;
		return new Promise<number>((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#waiting.delete(nonce);
				reject(new TimeoutError("A peer did not answer a ping."));
			}, timeoutMs);
			this.#waiting.set(nonce, {
				sentAt: performance.now(),
				resolve: (ms) => {
					clearTimeout(timer);
					resolve(ms);
				},
				reject: (error) => {
					clearTimeout(timer);
					reject(error);
				},
			});
			this.#stream.send(encodeProbe(ping, nonce)).catch((error) => this.#waiting.get(nonce)?.reject(error));
		});
	}

	async #greet(ours: Hello): Promise<Agreement> {
		const timer = setTimeout(
			() => this.#stream.abort(new TimeoutError("A peer did not say hello.")),
			helloTimeoutMs,
		);
		try {
			void this.#stream.send(encodeCbor(ours)).catch(() => {});
			for await (const bytes of this.#stream) {
				return negotiate(ours, decodeCbor(helloSchema, bytes, limits.helloBytes));
			}
			throw new MalformedMessageError("A peer left without a hello.");
		} finally {
			clearTimeout(timer);
		}
	}

	async #serve(): Promise<void> {
		try {
			for await (const bytes of this.#stream) {
				this.heardAt = performance.now();
				if (bytes.byteLength !== 5 || bytes[0]! > pong)
					throw new MalformedMessageError("Neither ping nor pong.");
				const nonce = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
				if (bytes[0] === ping) {
					this.#spend();
					void this.#stream.send(encodeProbe(pong, nonce)).catch(() => {});
				} else {
					this.#answered(nonce);
				}
			}
			await this.#stream.close();
		} catch (error) {
			this.#stream.abort(error as Error);
		}
	}

	#answered(nonce: number): void {
		const waiting = this.#waiting.get(nonce);
		// An answer that came too late is no offence.
		if (!waiting) return;
		this.#waiting.delete(nonce);
		this.rttMs = this.heardAt - waiting.sentAt;
		waiting.resolve(this.rttMs);
	}

	#spend(): void {
		const now = performance.now();
		const earned = ((now - this.#budgetAt) / 60_000) * pingsPerMinute;
		this.#pingBudget = Math.min(pingsPerMinute, this.#pingBudget + earned) - 1;
		this.#budgetAt = now;
		if (this.#pingBudget < 0) throw new FloodError("A peer pings without end.");
	}
}

function encodeProbe(kind: number, nonce: number): Uint8Array {
	const bytes = new Uint8Array(5);
	bytes[0] = kind;
	new DataView(bytes.buffer).setUint32(1, nonce);
	return bytes;
}
