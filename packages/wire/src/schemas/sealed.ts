import * as v from "valibot";
import { limits } from "../limits.ts";
import { bytesSchema, timeSchema } from "./common.ts";

/** A short-lived X25519 key that others seal messages to; the payload of a `prekey` envelope. The owner is its author. */
export const prekeySchema = v.strictObject({
	/** Raw X25519 public key (RFC 7748). */
	key: bytesSchema(32),
	/** When its owner stops giving it out, milliseconds since 1970. */
	expires: timeSchema,
});
export type WirePrekey = v.InferOutput<typeof prekeySchema>;

/** A sealed message, the payload of a `sealed` envelope: `[prekey, encapsulated key, ciphertext]` (HPKE, RFC 9180). */
export const sealedSchema = v.strictTuple([
	/** The X25519 prekey that it was sealed to. */
	bytesSchema(32),
	bytesSchema(32),
	v.pipe(
		v.instance(Uint8Array),
		v.check(
			// 16: even nothing has its authentication tag.
			({ byteLength }) => byteLength >= 16 && byteLength <= limits.envelopeBytes,
			"a ciphertext",
		),
	),
]);
