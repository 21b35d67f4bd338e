import type { Stream } from "@libp2p/interface";
import {
	decodeCbor,
	encodeCbor,
	FloodError,
	fromWireError,
	MalformedMessageError,
	MessageTooLargeError,
	ProtocolViolationError,
	StreamResetError,
	toWireError,
	wireErrorSchema,
} from "@tabmesh/wire";
import { DataChannelLane } from "./dataChannelLane.ts";
import { encodeFrame, FrameDecoder, type FrameHandler, frameKind, longestErrorBytes } from "./framing.ts";
import type { MessageStream, Offence, StreamProtocol } from "./peer.ts";
import { PieceSize } from "./pieceSize.ts";

const KiB = 1024;

/** Bytes that may be under way unless the protocol says otherwise: 16 MB/s at a round trip of 60 ms. */
const defaultWindowBytes = 1024 * KiB;

/** What a message costs beyond its bytes, so that empty ones are not free: the memory of its array and queue entry. */
const messageOverhead = 64;

/**
 * SCTP's first burst (RFC 4960 §7.2.1): four packets of 1,200 bytes less headers. One `send` that fits into it leaves at
 * once; a longer one waits a round trip for its rest (FACTS: 10 KB whole 89 ms, in slices of 4,600 bytes 45 ms).
 * 4,600 with the frame of libp2p around it.
 */
const latencyPiece = 4_580;

/** How long the far side may take to finish after we have, before the stream is cut. */
const lingerMs = 60_000;

/**
 * How long the far side may take to read our last error and hang up. A reset at once would overtake the error where the
 * far side is still opening the stream.
 */
const hangUpMs = 2_000;

/** Something that gives its parts one by one: libp2p's Uint8ArrayList. */
type Bytes = Uint8Array | Iterable<Uint8Array>;

export interface MessageStreamInit {
	stream: Stream;
	remote: string;
	protocol: StreamProtocol;
	onOffence: (offence: Offence) => void;
	onClosed: () => void;
}

interface WaitingSend {
	parts: readonly Uint8Array[];
	bytes: number;
	sent: () => void;
	failed: (error: unknown) => void;
}

interface WaitingRead {
	resolve: (result: IteratorResult<Uint8Array>) => void;
	reject: (error: Error) => void;
}

const settled = Promise.resolve();

/** Bytes that may be under way on a stream of `protocol`: enough for one longest message even while a quarter is not yet granted again. */
export function windowOf(protocol: StreamProtocol): number {
	const longest = Math.ceil(((protocol.maxMessageBytes + messageOverhead) * 4) / 3);
	return Math.max(protocol.windowBytes ?? defaultWindowBytes, longest);
}

/** Messages with credits over one libp2p stream. */
export class CreditedStream implements MessageStream, FrameHandler {
	readonly remote: string;
	readonly protocol: string;
	readonly closed: Promise<Error | undefined>;

	readonly #stream: Stream;
	readonly #lane: DataChannelLane | undefined;
	readonly #rules: StreamProtocol;
	readonly #window: number;
	/** Undefined where every piece has the size that fits latency best. */
	readonly #pieceSize: PieceSize | undefined;
	readonly #onOffence: (offence: Offence) => void;
	readonly #decoder: FrameDecoder;
	readonly #resolveClosed: (reason: Error | undefined) => void;

	/** What we may still send. */
	#credit: number;
	readonly #sends: WaitingSend[] = [];
	/** Sends that libp2p still holds because the transport is full. */
	readonly #drains: { resolve: () => void; reject: (error: Error) => void }[] = [];
	/** What came and was not granted again. */
	#owing = 0;
	/** Of that, what was taken by the reader. */
	#taken = 0;
	readonly #messages: Uint8Array[] = [];
	readonly #reads: WaitingRead[] = [];
	#ending = false;
	#ended = false;
	#remoteEnded = false;
	#discarding = false;
	#failure: Error | undefined;
	#done = false;
	#linger: ReturnType<typeof setTimeout> | undefined;

	constructor(init: MessageStreamInit) {
		this.remote = init.remote;
		this.protocol = init.protocol.id;
		this.#stream = init.stream;
		this.#rules = init.protocol;
		this.#window = windowOf(init.protocol);
		this.#credit = this.#window;
		this.#pieceSize = init.protocol.carriage === "bulk" ? new PieceSize() : undefined;
		this.#onOffence = init.onOffence;
		this.#decoder = new FrameDecoder(this, init.protocol.maxMessageBytes);
		const { promise, resolve } = Promise.withResolvers<Error | undefined>();
		this.closed = promise;
		this.#resolveClosed = (reason) => {
			if (this.#done) return;
			this.#done = true;
			clearTimeout(this.#linger);
			resolve(reason);
			init.onClosed();
		};
		init.stream.addEventListener("close", (event) => {
			this.#lane?.flush();
			this.#lost((event as { error?: Error }).error);
			clearTimeout(this.#linger);
		});
		init.stream.addEventListener("remoteCloseWrite", () => {
			this.#lane?.flush();
			if (!this.#remoteEnded) this.#lost();
		});
		// Last: from here on bytes come in.
		init.stream.addEventListener("message", (event) => this.#onBytes(event.data as Bytes));
		this.#lane = DataChannelLane.over(
			init.stream,
			(bytes) => this.#onBytes(bytes),
			() => this.#settleDrains(),
		);
		if (init.stream.status !== "open") this.#broken().catch(() => {});
	}

	send(message: Uint8Array | readonly Uint8Array[], options?: { signal?: AbortSignal }): Promise<void> {
		const parts = message instanceof Uint8Array ? [message] : message;
		let bytes = 0;
		for (const part of parts) bytes += part.byteLength;
		if (this.#failure) return Promise.reject(this.#failure);
		if (this.#ending) return Promise.reject(new StreamResetError("This side of the stream was closed."));
		if (bytes > this.#rules.maxMessageBytes) {
			return Promise.reject(
				new MessageTooLargeError(
					`A message of ${bytes} bytes is longer than the ${this.#rules.maxMessageBytes} that ${this.protocol} allows.`,
					{ details: { bytes, maxBytes: this.#rules.maxMessageBytes } },
				),
			);
		}
		if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
		if (this.#sends.length === 0 && this.#credit >= bytes + messageOverhead) {
			return this.#transmit(parts, bytes);
		}
		return this.#wait(parts, bytes, options?.signal);
	}

	close(): Promise<void> {
		if (this.#ending || this.#failure) return settled;
		this.#ending = true;
		if (this.#sends.length === 0) return this.#end();
		return new Promise((resolve) => {
			// Behind the last waiting message; an abort of the stream ends the wait as well.
			const last = this.#sends.at(-1)!;
			const { sent, failed } = last;
			last.sent = () => {
				sent();
				void this.#end().then(resolve);
			};
			last.failed = (error) => {
				failed(error);
				resolve(this.#failure ? undefined : this.#end());
			};
		});
	}

	abort(error: Error): void {
		if (this.#failure || this.#done) return;
		this.#tell(error);
		this.#messages.length = 0;
		this.#fail(error);
		this.#linger = setTimeout(() => this.#stream.abort(error), hangUpMs);
	}

	/** Ends our side and throws away whatever still comes; cut when the far side does not finish in time. */
	async finish(): Promise<void> {
		this.#discarding = true;
		for (const message of this.#messages.splice(0)) this.#grant(message.byteLength + messageOverhead);
		await this.close();
		if (!this.#done) {
			this.#linger = setTimeout(
				() => this.abort(new StreamResetError("The other side did not end the stream.")),
				lingerMs,
			);
		}
	}

	/** The messages, in order. Leaving the loop early leaves the stream open: a second loop goes on where the first left. */
	[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
		return { next: () => this.#next() };
	}

	#next(): Promise<IteratorResult<Uint8Array>> {
		const message = this.#messages.shift();
		if (message) {
			this.#grant(message.byteLength + messageOverhead);
			return Promise.resolve({ value: message, done: false });
		}
		if (this.#remoteEnded) return Promise.resolve({ value: undefined, done: true });
		if (this.#failure) return Promise.reject(this.#failure);
		return new Promise((resolve, reject) => this.#reads.push({ resolve, reject }));
	}

	// What comes in

	#onBytes(bytes: Bytes): void {
		if (this.#failure) return;
		try {
			if (bytes instanceof Uint8Array) this.#decoder.push(bytes);
			else for (const part of bytes) this.#decoder.push(part);
		} catch (error) {
			if (error instanceof FloodError) this.#onOffence("flood");
			else if (error instanceof ProtocolViolationError) this.#onOffence("violation");
			else this.#onOffence("malformed");
			this.abort(error as Error);
			// No grace for somebody who follows no rules.
			this.#stream.abort(error as Error);
		}
	}

	onMessageStart(length: number): void {
		if (this.#remoteEnded) throw new ProtocolViolationError("A message came after the end.");
		if (this.#owing + length + messageOverhead > this.#window) {
			throw new FloodError("A peer sent more than it had credit for.", {
				details: { windowBytes: this.#window },
			});
		}
	}

	onMessage(message: Uint8Array): void {
		this.#owing += message.byteLength + messageOverhead;
		const read = this.#reads.shift();
		if (read) {
			read.resolve({ value: message, done: false });
			this.#grant(message.byteLength + messageOverhead);
		} else if (this.#discarding) {
			this.#grant(message.byteLength + messageOverhead);
		} else {
			this.#messages.push(message);
		}
	}

	onCredit(bytes: number): void {
		this.#credit += bytes;
		this.#pieceSize?.granted(bytes, performance.now());
		if (bytes === 0 || this.#credit > this.#window) {
			throw new ProtocolViolationError("A peer granted more credit than was used.");
		}
		while (this.#sends.length > 0 && this.#credit >= this.#sends[0]!.bytes + messageOverhead) {
			const { parts, bytes, sent, failed } = this.#sends.shift()!;
			this.#transmit(parts, bytes).then(sent, failed);
		}
	}

	onEnd(): void {
		if (this.#remoteEnded) throw new ProtocolViolationError("A stream was ended twice.");
		this.#remoteEnded = true;
		for (const { resolve } of this.#reads.splice(0)) resolve({ value: undefined, done: true });
		this.#finishIfBothEnded();
	}

	onError(body: Uint8Array): void {
		let error: Error;
		try {
			error = fromWireError(decodeCbor(wireErrorSchema, body, longestErrorBytes));
		} catch (cause) {
			throw new MalformedMessageError("A peer gave up with an error that cannot be read.", { cause });
		}
		this.#fail(error);
		this.#stream.abort(error);
	}

	/** Credits go back a quarter of the window at a time: one small frame for many messages. */
	#grant(cost: number): void {
		this.#taken += cost;
		if (this.#taken < this.#window / 4 || this.#remoteEnded || this.#failure) return;
		const granted = this.#taken;
		this.#owing -= granted;
		this.#taken = 0;
		this.#write(encodeFrame(frameKind.credit, granted));
	}

	// What goes out

	#transmit(parts: readonly Uint8Array[], bytes: number): Promise<void> {
		this.#credit -= bytes + messageOverhead;
		this.#pieceSize?.sent(bytes + messageOverhead, performance.now());
		const piece = this.#pieceSize?.piece ?? latencyPiece;
		const header = encodeFrame(frameKind.message, bytes);
		const frame = [header, ...parts];
		try {
			if (header.byteLength + bytes <= piece) this.#put(frame);
			else for (const part of pieces(frame, piece)) this.#put(part);
		} catch (cause) {
			return this.#broken(cause as Error);
		}
		return this.#idle ? settled : this.#drained();
	}

	/** Whether everything was handed to the transport. */
	get #idle(): boolean {
		return this.#stream.writeBufferLength === 0 && !this.#lane?.busy;
	}

	/** Until everything is handed to the transport. libp2p's own `onDrain` promise stays resolved after the first time. */
	#drained(): Promise<void> {
		return new Promise((resolve, reject) => {
			this.#drains.push({ resolve, reject });
			if (this.#drains.length > 1) return;
			this.#stream.addEventListener("idle", () => this.#settleDrains(), { once: true });
		});
	}

	#settleDrains(): void {
		if (!this.#idle) return;
		for (const { resolve } of this.#drains.splice(0)) resolve();
	}

	#wait(parts: readonly Uint8Array[], bytes: number, signal: AbortSignal | undefined): Promise<void> {
		return new Promise((resolve, reject) => {
			const waiting: WaitingSend = { parts, bytes, sent: resolve, failed: reject };
			if (signal) {
				const cancel = (): void => {
					const place = this.#sends.indexOf(waiting);
					if (place < 0) return;
					this.#sends.splice(place, 1);
					waiting.failed(signal.reason);
				};
				signal.addEventListener("abort", cancel, { once: true });
				waiting.sent = () => {
					signal.removeEventListener("abort", cancel);
					resolve();
				};
				waiting.failed = (error) => {
					signal.removeEventListener("abort", cancel);
					reject(error);
				};
			}
			this.#sends.push(waiting);
		});
	}

	/** At most one piece. */
	#put(parts: readonly Uint8Array[]): void {
		if (!this.#lane?.send(parts)) this.#stream.send(joined(parts));
	}

	#write(frame: Uint8Array): void {
		try {
			this.#put([frame]);
		} catch (cause) {
			this.#broken(cause as Error).catch(() => {});
		}
	}

	#end(): Promise<void> {
		if (this.#failure || this.#ended) return settled;
		this.#ended = true;
		this.#write(encodeFrame(frameKind.end, 0));
		this.#finishIfBothEnded();
		return settled;
	}

	#tell(error: Error): void {
		try {
			const body = encodeCbor(toWireError(error));
			if (body.byteLength <= longestErrorBytes) {
				this.#put([encodeFrame(frameKind.error, body.byteLength, body)]);
			}
		} catch {
			// The transport is gone already; the reset says enough.
		}
	}

	// How it ends

	#finishIfBothEnded(): void {
		if (!this.#ended || !this.#remoteEnded) return;
		// libp2p's own goodbye would overtake what waits in the lane.
		const handedOver = this.#idle ? settled : this.#drained();
		this.#resolveClosed(undefined);
		handedOver.then(() => this.#stream.close()).catch((error) => this.#stream.abort(error));
	}

	/** The transport is gone; what came before that, an error of the far side perhaps, is taken in first. */
	async #broken(cause?: Error): Promise<never> {
		await new Promise((resolve) => setTimeout(resolve));
		this.#lost(cause);
		throw this.#failure ?? new StreamResetError("This side of the stream was closed.");
	}

	/** The transport is gone. In order if both sides had ended. */
	#lost(cause?: Error): void {
		if (this.#failure || this.#done) return;
		this.#fail(
			new StreamResetError("The stream was reset, or its connection ended.", cause ? { cause } : {}),
		);
		this.#stream.abort(this.#failure!);
	}

	#fail(error: Error): void {
		if (this.#failure || this.#done) return;
		this.#failure = error;
		for (const { failed } of this.#sends.splice(0)) failed(error);
		for (const { reject } of this.#drains.splice(0)) reject(error);
		for (const { reject } of this.#reads.splice(0)) reject(error);
		this.#resolveClosed(error);
	}
}

/** Cuts bytes that are given in parts into pieces of this length, without copying them. */
function* pieces(parts: readonly Uint8Array[], length: number): Generator<Uint8Array[]> {
	let piece: Uint8Array[] = [];
	let room = length;
	for (const part of parts) {
		for (let at = 0; at < part.byteLength; ) {
			const cut = part.subarray(at, at + room);
			piece.push(cut);
			at += cut.byteLength;
			room -= cut.byteLength;
			if (room > 0) continue;
			yield piece;
			piece = [];
			room = length;
		}
	}
	if (piece.length > 0) yield piece;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
	if (parts.length === 1) return parts[0]!;
	const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.byteLength, 0));
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.byteLength;
	}
	return whole;
}
