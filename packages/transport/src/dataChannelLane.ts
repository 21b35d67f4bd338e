import type { Stream } from "@libp2p/interface";

/** The parts of libp2p's WebRTC stream that are used here. `channel` is private there; without it nothing changes. */
interface ChannelStream extends Stream {
	channel?: RTCDataChannel;
}

/** Field 2 (`message`), length-delimited, of libp2p's `Message` protobuf. */
const messageField = 0x12;

/** What may wait in a channel before sends go through libp2p's own queue, which waits for it to drain. */
const fullAt = 2 * 1024 * 1024;

/**
 * A short way through a libp2p stream that is one WebRTC data channel. libp2p takes every message through two
 * asynchronous decoders and several events: 0.4 ms more for a round trip than the bare channel, on every hop of every
 * token. The lane writes and reads the same bytes (a varint length and `Message {flag, message}`, after the libp2p
 * WebRTC spec) in one synchronous step, so the other side may have it or not. Flags, anything unusual, and every send
 * while the channel is full take libp2p's way.
 *
 * @see https://github.com/libp2p/specs/blob/master/webrtc/README.md#multiplexing
 */
export class DataChannelLane {
	readonly #stream: Stream;
	readonly #channel: RTCDataChannel;
	/** Takes in at once what is still held back: for the moment when the channel closes. */
	readonly flush: () => void;

	private constructor(stream: Stream, channel: RTCDataChannel, flush: () => void) {
		this.#stream = stream;
		this.#channel = channel;
		this.flush = flush;
	}

	/**
	 * Takes over an open stream; undefined where there is no data channel beneath it.
	 *
	 * @param onBytes - called for what comes, in order with the stream's own `message` events
	 */
	static over(stream: Stream, onBytes: (bytes: Uint8Array) => void): DataChannelLane | undefined {
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
		return new DataChannelLane(stream, channel, flush);
	}

	/** Sends at once, or says that libp2p has to. */
	send(bytes: Uint8Array): boolean {
		const stream = this.#stream;
		const channel = this.#channel;
		if (
			stream.writeStatus !== "writable" ||
			stream.writableNeedsDrain ||
			stream.writeBufferLength > 0 ||
			channel.readyState !== "open"
		) {
			return false;
		}
		channel.send(framed(bytes));
		// From here libp2p waits for the channel's `bufferedamountlow`.
		if (bytes.byteLength > 1024 && channel.bufferedAmount >= fullAt) stream.writableNeedsDrain = true;
		return true;
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

function framed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	const inner = bytes.byteLength;
	const outer = inner + 1 + varintBytes(inner);
	const frame = new Uint8Array(outer + varintBytes(outer));
	let at = putVarint(frame, 0, outer);
	frame[at++] = messageField;
	at = putVarint(frame, at, inner);
	frame.set(bytes, at);
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
