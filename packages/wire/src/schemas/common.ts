import * as v from "valibot";
import { limits } from "../limits.ts";

/** A libp2p peer id of an Ed25519 key, base58btc: `12D3KooW…`. */
export const peerIdSchema = v.pipe(
	v.string(),
	v.regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, "an Ed25519 peer id"),
);

/** A CIDv1, base32: `bafy…`. */
export const cidSchema = v.pipe(v.string(), v.regex(/^b[a-z2-7]{58,110}$/, "a base32 CIDv1"));

/** A room id: `public`, or what the room's owner chose. */
export const roomIdSchema = v.pipe(
	v.string(),
	v.regex(/^[A-Za-z0-9._-]+$/),
	v.maxLength(limits.roomIdLength),
);

/** Milliseconds since 1970. */
export const timeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const positiveSchema = v.pipe(v.number(), v.finite(), v.gtValue(0));

/** A position in a stream, or a number of positions. */
export const positionSchema = v.pipe(
	v.number(),
	v.integer(),
	v.minValue(0),
	v.maxValue(limits.contextTokens),
);

/** A token id. */
export const tokenSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.vocabulary - 1));

export const layerSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(limits.layers));

/** Exactly `length` bytes. */
export function bytesSchema(length: number) {
	return v.pipe(
		v.instance(Uint8Array),
		v.check((bytes) => bytes.byteLength === length, `${length} bytes`),
	);
}

export const streamIdSchema = bytesSchema(16);

/** Running hash over the tokens of a stream: the first 8 bytes of SHA-256(previous link ‖ position ‖ token). */
export const chainSchema = bytesSchema(8);

/**
 * A contiguous range of layers `[from, to)`, with the embedding before it or the head behind it where `embed` or `head` says so.
 */
export const spanSchema = v.pipe(
	v.strictObject({ from: layerSchema, to: layerSchema, embed: v.boolean(), head: v.boolean() }),
	v.check(
		(span) => span.from < span.to || (span.from === span.to && (span.embed || span.head)),
		"an ordered span",
	),
);
export type Span = v.InferOutput<typeof spanSchema>;
