import * as v from "valibot";
import { limits } from "../limits.ts";
import { bytesSchema, roomIdSchema, timeSchema } from "./common.ts";

/** What may be done in a room: `ask`, `lend`, and what later rooms name. Compared as a whole. */
export const capabilityActionSchema = v.pipe(
	v.string(),
	v.regex(/^[a-z][a-z0-9-]*$/, "an action"),
	v.maxLength(limits.capabilityActionLength),
);

const actionsSchema = v.pipe(
	v.array(capabilityActionSchema),
	v.minLength(1),
	v.maxLength(limits.capabilityActions),
	v.check((actions) => actions.every((action, i) => i === 0 || actions[i - 1]! < action), "sorted actions"),
);

/** A capability as a word: base64url of its CBOR. What it holds is looked at where it is verified. */
export const capabilityTokenSchema = v.pipe(
	v.string(),
	v.maxLength(Math.ceil((limits.capabilityBytes * 4) / 3)),
);

/**
 * One link of a capability's chain: `[actions, not before, expires, next key, signature]`. A null says "as before".
 * The signature (Ed25519) is by the next key of the link before, the first one by the room owner's key.
 */
export const capabilityBlockSchema = v.strictTuple([
	v.nullable(actionsSchema),
	v.nullable(timeSchema),
	v.nullable(timeSchema),
	/** Who may go on from here: a peer's key, or a key whose secret travels in the link. */
	bytesSchema(32),
	bytesSchema(64),
]);
export type CapabilityBlock = v.InferOutput<typeof capabilityBlockSchema>;

/** A capability as it travels: `[version, room, blocks, secret of the last block's next key or null]`. */
export const capabilitySchema = v.pipe(
	v.strictTuple([
		v.literal(1),
		roomIdSchema,
		v.pipe(v.array(capabilityBlockSchema), v.minLength(1), v.maxLength(limits.capabilityBlocks)),
		v.nullable(bytesSchema(32)),
	]),
	v.check(
		([, , [first]]) => first !== undefined && first[0] !== null && first[2] !== null,
		"a first block that says what and until when",
	),
);
export type WireCapability = v.InferOutput<typeof capabilitySchema>;
