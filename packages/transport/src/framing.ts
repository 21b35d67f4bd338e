import { MalformedMessageError, MessageTooLargeError } from "@tabmesh/wire";

/**
 * What travels on a message stream. Every frame begins with one unsigned LEB128 number of at most five bytes in its
 * shortest form: `length × 4 + kind`.
 *
 * | kind | meaning | behind the number |
 * |---|---|---|
 * | 0 message | one whole message | `length` bytes |
 * | 1 credit | the receiver took this much; the sender may send as much again | nothing |
 * | 2 end | no more messages from this side; `length` is 0 | nothing |
 * | 3 error | this side gives up | `length` bytes: a wire error in CBOR |
 */
export const frameKind = { message: 0, credit: 1, end: 2, error: 3 } as const;

/** Longest frame header in bytes: lengths up to 2^30 need five groups of seven bits. */
const longestHeader = 5;

/** Longest error frame: what `wireErrorSchema` allows, all of its details used. */
export const longestErrorBytes = 8 * 1024;

// A message of unknown sender is given memory as it arrives, not as it is announced, or sixteen bytes could claim sixteen megabytes.
const firstAllocation = 64 * 1024;

/** Header and body as one array, ready to send. */
export function encodeFrame(kind: number, length: number, body?: Uint8Array): Uint8Array<ArrayBuffer> {
	const bodyBytes = body?.byteLength ?? 0;
	let value = length * 4 + kind;
	let headerBytes = 1;
	for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) headerBytes++;
	const frame = new Uint8Array(headerBytes + bodyBytes);
	let at = 0;
	for (; value >= 0x80; value = Math.floor(value / 0x80)) frame[at++] = (value % 0x80) | 0x80;
	frame[at++] = value;
	if (body) frame.set(body, at);
	return frame;
}

/** What a {@link FrameDecoder} finds. A throw from any of these stops the decoder and comes out of `push`. */
export interface FrameHandler {
	/** A message of `length` bytes has begun: the moment to refuse it. */
	onMessageStart(length: number): void;
	/** `message` has a buffer of its own. */
	onMessage(message: Uint8Array<ArrayBuffer>): void;
	onCredit(bytes: number): void;
	onEnd(): void;
	onError(body: Uint8Array): void;
}

/** Finds frames in bytes that arrive in any pieces. Synchronous: a frame that is whole is handled before `push` returns. */
export class FrameDecoder {
	readonly #handler: FrameHandler;
	readonly #maxMessageBytes: number;
	#header = 0;
	#headerBytes = 0;
	#kind = 0;
	#length = 0;
	#body: Uint8Array<ArrayBuffer> | undefined;
	#filled = 0;

	constructor(handler: FrameHandler, maxMessageBytes: number) {
		this.#handler = handler;
		this.#maxMessageBytes = maxMessageBytes;
	}

	/**
	 * @throws MalformedMessageError when the bytes are no frames
	 * @throws MessageTooLargeError when a message is announced that is too long
	 */
	push(chunk: Uint8Array): void {
		let at = 0;
		while (at < chunk.byteLength) {
			if (this.#body) {
				at += this.#fill(this.#body, chunk, at);
				continue;
			}
			const byte = chunk[at++]!;
			this.#header += (byte & 0x7f) * 0x80 ** this.#headerBytes++;
			if (byte & 0x80) {
				if (this.#headerBytes === longestHeader)
					throw new MalformedMessageError("A frame header does not end.");
				continue;
			}
			if (byte === 0 && this.#headerBytes > 1) {
				throw new MalformedMessageError("A frame header is not in its shortest form.");
			}
			this.#kind = this.#header % 4;
			this.#length = Math.floor(this.#header / 4);
			this.#header = 0;
			this.#headerBytes = 0;
			at = this.#begin(chunk, at);
		}
	}

	#begin(chunk: Uint8Array, at: number): number {
		const length = this.#length;
		if (this.#kind === frameKind.credit) {
			this.#handler.onCredit(length);
			return at;
		}
		if (this.#kind === frameKind.end) {
			if (length !== 0) throw new MalformedMessageError("An end frame carries a length.");
			this.#handler.onEnd();
			return at;
		}
		const most = this.#kind === frameKind.message ? this.#maxMessageBytes : longestErrorBytes;
		if (length > most) {
			throw new MessageTooLargeError(`A message of ${length} bytes is longer than the ${most} allowed.`, {
				details: { bytes: length, maxBytes: most },
			});
		}
		if (this.#kind === frameKind.message) this.#handler.onMessageStart(length);
		// The usual case: the whole message came in one piece.
		if (chunk.byteLength - at >= length) {
			this.#deliver(chunk.slice(at, at + length) as Uint8Array<ArrayBuffer>);
			return at + length;
		}
		this.#body = new Uint8Array(Math.min(length, firstAllocation));
		this.#filled = 0;
		return at;
	}

	#fill(body: Uint8Array<ArrayBuffer>, chunk: Uint8Array, at: number): number {
		const taken = Math.min(this.#length - this.#filled, chunk.byteLength - at);
		const needed = this.#filled + taken;
		let target = body;
		if (needed > target.byteLength) {
			target = new Uint8Array(Math.min(this.#length, Math.max(needed, target.byteLength * 4)));
			target.set(body.subarray(0, this.#filled));
			this.#body = target;
		}
		target.set(chunk.subarray(at, at + taken), this.#filled);
		this.#filled = needed;
		if (needed === this.#length) {
			this.#body = undefined;
			this.#deliver(target);
		}
		return taken;
	}

	#deliver(body: Uint8Array<ArrayBuffer>): void {
		if (this.#kind === frameKind.message) this.#handler.onMessage(body);
		else this.#handler.onError(body);
	}
}
