import * as v from "valibot";
import { limits } from "../limits.ts";
import { capabilityTokenSchema } from "./capability.ts";
import { countSchema, roomIdSchema } from "./common.ts";

// `v.instance(Uint8Array)` would infer arrays that own their buffer, which what is built from views is not.
const anyBytes = v.custom<Uint8Array>((input) => input instanceof Uint8Array, "bytes");
const bytesUpTo = (most: number, what: string) =>
	v.pipe(
		anyBytes,
		v.check(({ byteLength }) => byteLength <= most, what),
	);
const bytesSchema = (length: number) =>
	v.pipe(
		anyBytes,
		v.check(({ byteLength }) => byteLength === length, `${length} bytes`),
	);

/**
 * The first 8 bytes of the SHA-256 of `<room>` or `<room>/<part>`: binds what is signed to one place at the price of a
 * short one's name.
 */
const placeTagSchema = bytesSchema(8);

/** What comes behind `peer/<id>/`, `room/<id>/` or `public/`: visible ASCII, so that it looks the same everywhere. */
export const cstoreNameSchema = v.pipe(
	v.string(),
	v.regex(/^[\x21-\x7e]+$/, "visible ASCII"),
	v.maxLength(limits.cstoreNameLength),
);

/** Whose a key is: 0 the author's own space, 1 the room's, 2 everybody's. No number names another peer's space. */
const spaceSchema = v.picklist([0, 1, 2]);

/** A null deletes; bytes are the value's CBOR; a pair is the SHA-256 and length of a value that travels beside the envelope. */
const bodySchema = v.union([
	v.null(),
	bytesUpTo(limits.cstoreInlineBytes, "a short value"),
	v.strictTuple([bytesSchema(32), v.pipe(countSchema, v.minValue(1), v.maxValue(limits.cstoreValueBytes))]),
]);
export type CstoreBody = v.InferOutput<typeof bodySchema>;

/** One key of a write: `[space, name, value]`, or `[space, name, value, field]` where the key is a hash. */
export const cstoreWriteSchema = v.union([
	v.strictTuple([spaceSchema, cstoreNameSchema, bodySchema]),
	v.strictTuple([spaceSchema, cstoreNameSchema, bodySchema, cstoreNameSchema]),
]);
export type CstoreWrite = v.InferOutput<typeof cstoreWriteSchema>;

/**
 * The payload of a `cstore` envelope: `[place tag, writes]`, which happen together; or a digest `[place tag, records,
 * fingerprint]` of all that the author keeps; or, of a relay, `[place tag, peer's key, sequence]`: that peer is gone,
 * after having said that. The envelope's sequence is the hybrid logical time, its time the millisecond part of it.
 */
export const cstorePayloadSchema = v.union([
	v.strictTuple([
		placeTagSchema,
		v.pipe(v.array(cstoreWriteSchema), v.minLength(1), v.maxLength(limits.cstoreWrites)),
	]),
	v.strictTuple([placeTagSchema, countSchema, bytesSchema(16)]),
	v.strictTuple([placeTagSchema, bytesSchema(32), countSchema]),
]);
export type CstorePayload = v.InferOutput<typeof cstorePayloadSchema>;

/** A record as it travels from peer to peer: its envelope and, in their order, the values that did not fit into it. */
export const cstoreRecordSchema = v.strictTuple([
	bytesUpTo(limits.envelopeBytes, "an envelope"),
	v.pipe(v.array(bytesUpTo(limits.cstoreValueBytes, "a value")), v.maxLength(limits.cstoreWrites)),
]);
export type CstoreRecord = v.InferOutput<typeof cstoreRecordSchema>;

/**
 * One range of a reconciliation: `[stamp, id prefix, mode, bytes]`. It ends below that bound and begins where the range
 * before it ended. Mode 0: nothing to say; 1: a fingerprint of 16 bytes; 2: the ids in it, 16 bytes each.
 */
export const cstoreRangeSchema = v.pipe(
	v.strictTuple([
		countSchema,
		bytesUpTo(16, "an id prefix"),
		v.picklist([0, 1, 2]),
		bytesUpTo(limits.cstoreMessageBytes, "ids"),
	]),
	v.check(
		([, , mode, { byteLength }]) =>
			mode === 0 ? byteLength === 0 : mode === 1 ? byteLength === 16 : byteLength % 16 === 0,
		"bytes that fit their mode",
	),
);
export type CstoreRange = v.InferOutput<typeof cstoreRangeSchema>;

const rangesSchema = v.pipe(v.array(cstoreRangeSchema), v.maxLength(limits.cstoreRanges));
const recordsSchema = v.pipe(v.array(cstoreRecordSchema), v.maxLength(limits.cstoreIds));
const idsSchema = v.pipe(
	bytesUpTo(limits.cstoreIds * 16, "ids"),
	v.check(({ byteLength }) => byteLength % 16 === 0, "whole ids"),
);

/** The name of a part of a room's state that is kept apart from the rest. */
export const cstorePartSchema = v.pipe(
	v.string(),
	v.regex(/^[a-z][a-z0-9-]*$/, "small letters, digits and hyphens"),
	v.maxLength(limits.cstorePartLength),
);

/** What a peer asks on `/tabmesh/cstore/1`. The first message is `open`. */
export const cstoreRequestSchema = v.variant("type", [
	v.strictObject({
		type: v.literal("open"),
		room: roomIdSchema,
		part: v.optional(cstorePartSchema),
		/** In a private room: what shows that the asker is a member. */
		capability: v.optional(capabilityTokenSchema),
	}),
	/** Compares what both keep; answered by `ranges`. */
	v.strictObject({ type: v.literal("compare"), ranges: rangesSchema }),
	/** Asks for records; answered by `records` as often as it takes, the last one marked. */
	v.strictObject({ type: v.literal("want"), ids: idsSchema }),
	/** Gives records; answered by `kept`. */
	v.strictObject({ type: v.literal("give"), records: recordsSchema }),
	/** Gives one record and asks for a signature that it is kept; answered by `signed`. */
	v.strictObject({ type: v.literal("keep"), record: cstoreRecordSchema }),
]);
export type CstoreRequest = v.InferOutput<typeof cstoreRequestSchema>;

export const cstoreResponseSchema = v.variant("type", [
	v.strictObject({ type: v.literal("ranges"), ranges: rangesSchema }),
	v.strictObject({ type: v.literal("records"), records: recordsSchema, last: v.boolean() }),
	/** How many of them were news. */
	v.strictObject({ type: v.literal("kept"), news: countSchema }),
	/** Ed25519 over the CBOR of `["tabmesh cstore kept", place tag, id]`. */
	v.strictObject({ type: v.literal("signed"), signature: bytesSchema(64) }),
]);
export type CstoreResponse = v.InferOutput<typeof cstoreResponseSchema>;
