import * as v from "valibot";
import { decodeCbor, encodeCbor } from "../cbor.ts";
import { MalformedMessageError, MessageTooLargeError } from "../errors/index.ts";
import { limits } from "../limits.ts";
import { type TensorHeader, tensorHeaderSchema } from "../tensor.ts";
import { chainSchema, countSchema, positionSchema, streamIdSchema } from "./common.ts";
import { ringTokensSchema } from "./stage.ts";

/**
 * The header of a ring frame as it travels, an array so that it stays short:
 * `[stream, generation, position, rollback, chain, last, tensor header | tokens, links]`.
 */
const frameHeaderSchema = v.strictTuple([
	streamIdSchema,
	countSchema,
	positionSchema,
	positionSchema,
	chainSchema,
	v.boolean(),
	v.union([tensorHeaderSchema, ringTokensSchema]),
	v.pipe(v.array(chainSchema), v.maxLength(limits.drafts)),
]);

interface FrameBase {
	/** 16 bytes. */
	readonly stream: Uint8Array;
	readonly generation: number;
	/** Position of the first row, or of the first token. */
	readonly position: number;
	/**
	 * Positions that the receiver must forget first, counted from its end: drafts of the frame before, to the first stage all of
	 * them, to others those that were rejected. It rides here so that nothing can overtake it.
	 */
	readonly rollback: number;
	/** The token chain after the last token that went into this frame. */
	readonly chain: Uint8Array;
}

/** Hidden states from one stage to the next. */
export interface HiddenFrame extends FrameBase {
	readonly kind: "hidden";
	/** Whether the asker's input ends with this frame, so that a token is to be sampled behind it. */
	readonly last: boolean;
	/**
	 * Where the rows behind the first are drafted tokens: the chain after each row but the last. A token is sampled behind every
	 * row as long as the chain with it is the one that was drafted. Empty where nothing was drafted.
	 */
	readonly links: readonly Uint8Array[];
	readonly header: TensorHeader;
	/** Raw little-endian tensor; `decodeTensor` turns it into numbers. */
	readonly bytes: Uint8Array;
}

/** What was sampled in one lap, from the last stage to the first: the drafts that were accepted, and one token more. */
export interface TokenFrame extends FrameBase {
	readonly kind: "tokens";
	readonly tokens: readonly number[];
}

export type RingFrame = HiddenFrame | TokenFrame;

/** The parts of a frame, to be sent one behind the other as one message: length and header, then the tensor's bytes. */
export function encodeFrame(frame: RingFrame): Uint8Array<ArrayBuffer> {
	const tail = frame.kind === "hidden" ? frame.header : frame.tokens;
	const last = frame.kind === "hidden" && frame.last;
	const links = frame.kind === "hidden" ? frame.links : [];
	const header = encodeCbor([
		frame.stream,
		frame.generation,
		frame.position,
		frame.rollback,
		frame.chain,
		last,
		tail,
		links,
	]);
	const bytes = frame.kind === "hidden" ? frame.bytes : new Uint8Array();
	const out = new Uint8Array(2 + header.byteLength + bytes.byteLength);
	out[0] = header.byteLength >>> 8;
	out[1] = header.byteLength & 0xff;
	out.set(header, 2);
	out.set(bytes, 2 + header.byteLength);
	return out;
}

/**
 * The frame that `message` carries.
 *
 * @throws MalformedMessageError, MessageTooLargeError
 */
export function decodeFrame(message: Uint8Array): RingFrame {
	if (message.byteLength > limits.frameBytes) {
		throw new MessageTooLargeError(
			`A frame of ${message.byteLength} bytes is longer than the ${limits.frameBytes} allowed.`,
		);
	}
	const headerLength = message.byteLength < 2 ? -1 : (message[0]! << 8) | message[1]!;
	if (headerLength < 0 || 2 + headerLength > message.byteLength) {
		throw new MalformedMessageError("A frame ends before its header does.");
	}
	const [stream, generation, position, rollback, chain, last, tail, links] = decodeCbor(
		frameHeaderSchema,
		message.subarray(2, 2 + headerLength),
		limits.frameHeaderBytes,
	);
	const bytes = message.subarray(2 + headerLength);
	const base = { stream, generation, position, rollback, chain };
	if (isTokens(tail)) {
		if (bytes.byteLength !== 0 || last || links.length > 0) {
			throw new MalformedMessageError("A frame of tokens carries what belongs to a tensor.");
		}
		return { kind: "tokens", ...base, tokens: tail };
	}
	if (links.length > 0 && (!last || links.length !== tail[1] - 1)) {
		throw new MalformedMessageError("A frame with drafts has not one link for each row but the last.");
	}
	return { kind: "hidden", ...base, last, header: tail, links, bytes };
}

function isTokens(tail: TensorHeader | number[]): tail is number[] {
	return typeof tail[0] === "number";
}
