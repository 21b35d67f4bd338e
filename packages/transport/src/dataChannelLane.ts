import type { Stream } from "@libp2p/interface";

/** The parts of libp2p's WebRTC stream that are used here. `channel` is private there; without it nothing changes. */
interface ChannelStream extends Stream {
	channel?: RTCDataChannel;
}

/** Field 2 (`message`), length-delimited, of libp2p's `Message` protobuf. */
const messageField = 0x12;

/** What may wait in a channel. Chrome closes one beyond 16 MiB. */
const fullAt = 2 * 1024 * 1024;

/** A full channel is filled again from here on: libp2p waits until it is empty, and then the network has nothing to do. */
const refillAt = 1024 * 1024;

/** Every frame is written here: a browser copies what it is given to send, and fresh memory costs more than the copy. */
let scratch = new Uint8Array(64 * 1024);

/**
 * A short way through a libp2p stream that is one WebRTC data channel. libp2p takes every message through two
 * asynchronous decoders and several events: 0.4 ms more for a round trip than the bare channel, on every hop of every
 * token. The lane writes and reads the same bytes (a varint length and `Message {flag, message}`, after the libp2p
 * WebRTC spec) in one synchronous step, so the other side may have it or not; what a full channel has no room for waits
 * here. Flags and anything unusual take libp2p's way.
 *
 * @see https://github.com/libp2p/specs/blob/master/webrtc/README.md#multiplexing
 */
export class DataChannelLane {
	readonly #stream: Stream;
	readonly #channel: RTCDataChannel;
	readonly #onDrained: () => void;
	/** Pieces that the channel has no room for yet. */
	readonly #waiting: (readonly Uint8Array[])[] = [];
	/** Takes in at once what is still held back: for the moment when the channel closes. */
	readonly flush: () => void;

	private constructor(stream: Stream, channel: RTCDataChannel, flush: () => void, onDrained: () => void) {
		this.#stream = stream;
		this.#channel = channel;
		this.flush = flush;
		this.#onDrained = onDrained;
		channel.bufferedAmountLowThreshold = refillAt;
		channel.addEventListener("bufferedamountlow", () => this.#refill());
	}

	/**
	 * Takes over an open stream; undefined where there is no data channel beneath it.
	 *
	 * @param onBytes - called for what comes, in order with the stream's own `message` events
	 * @param onDrained - called when nothing waits any more
	 */
	static over(
		stream: Stream,
		onBytes: (bytes: Uint8Array) => void,
		onDrained: () => void,
	): DataChannelLane | undefined {
		const { channel } = stream as ChannelStream;
		const byLibrary = channel?.onmessage;
		if (!channel || !byLibrary || channel.readyState !== "open") return undefined;
		let held: MessageEvent[] | undefined = [];
		const take = (event: MessageEvent): void => {
			const bytes = messageIn(event.data as ArrayBuffer);
			if (bytes) onBytes(bytes);
			else byLibrary.call(channel, event);
		};
		channel.onmessage = (event) => {
			if (held) held.push(event);
			else take(event);
		};
		const flush = (): void => {
			const waiting = held ?? [];
			held = undefined;
			for (const event of waiting) take(event);
		};
		// What came before goes through libp2p's decoders, which need nothing but microtasks: one task later it is out.
		const task = new MessageChannel();
		task.port1.onmessage = () => {
			task.port1.close();
			flush();
		};
		task.port2.postMessage(undefined);
		return new DataChannelLane(stream, channel, flush, onDrained);
	}

	/** Whether pieces wait for room in the channel. */
	get busy(): boolean {
		return this.#waiting.length > 0;
	}

	/**
	 * Sends one piece, given in parts, as soon as there is room, or says that libp2p has to. What waits must not change while
	 * the lane is busy.
	 */
	send(parts: readonly Uint8Array[]): boolean {
		const stream = this.#stream;
		const channel = this.#channel;
		if (this.#waiting.length === 0) {
			if (
				stream.writeStatus !== "writable" ||
				stream.writableNeedsDrain ||
				stream.writeBufferLength > 0 ||
				channel.readyState !== "open"
			) {
				return false;
			}
			if (channel.bufferedAmount < fullAt) {
				channel.send(framed(parts));
				return true;
			}
		}
		this.#waiting.push(parts);
		return true;
	}

	#refill(): void {
		const channel = this.#channel;
		if (this.#waiting.length === 0) return;
		while (this.#waiting.length > 0 && channel.readyState === "open" && channel.bufferedAmount < fullAt) {
			channel.send(framed(this.#waiting.shift()!));
		}
		if (this.#waiting.length === 0) this.#onDrained();
	}
}

/** The bytes of one libp2p frame that holds a message and nothing else; undefined for any other. */
function messageIn(data: ArrayBuffer): Uint8Array | undefined {
	const bytes = new Uint8Array(data);
	let at = 0;
	let length = 0;
	for (let shift = 1; ; shift *= 0x80) {
		const byte = bytes[at++];
		if (byte === undefined || at > 4) return undefined;
		length += (byte & 0x7f) * shift;
		if (byte < 0x80) break;
	}
	if (length !== bytes.byteLength - at || bytes[at++] !== messageField) return undefined;
	length = 0;
	for (let shift = 1, digits = 0; ; shift *= 0x80) {
		const byte = bytes[at++];
		if (byte === undefined || ++digits > 4) return undefined;
		length += (byte & 0x7f) * shift;
		if (byte < 0x80) break;
	}
	return length === bytes.byteLength - at ? bytes.subarray(at) : undefined;
}

/** Valid until the next call. */
function framed(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
	let inner = 0;
	for (const part of parts) inner += part.byteLength;
	const outer = inner + 1 + varintBytes(inner);
	const length = outer + varintBytes(outer);
	if (scratch.byteLength < length) scratch = new Uint8Array(length);
	const frame = scratch.subarray(0, length);
	let at = putVarint(frame, 0, outer);
	frame[at++] = messageField;
	at = putVarint(frame, at, inner);
	for (const part of parts) {
		frame.set(part, at);
		at += part.byteLength;
	}
	return frame;
}

function varintBytes(value: number): number {
	return value < 0x80 ? 1 : value < 0x4000 ? 2 : 3;
}

function putVarint(target: Uint8Array, at: number, value: number): number {
	let rest = value;
	let place = at;
	for (; rest >= 0x80; rest >>= 7) target[place++] = (rest & 0x7f) | 0x80;
	target[place++] = rest;
	return place;
}
