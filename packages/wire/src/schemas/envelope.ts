import * as v from "valibot";
import { limits } from "../limits.ts";
import { bytesSchema, countSchema, timeSchema } from "./common.ts";

/** What an envelope is for. A signature made for one domain is worth nothing in another. */
export const envelopeDomainSchema = v.picklist([
	"route",
	"receipt",
	"origin",
	"gate",
	"prekey",
	"sealed",
	"cstore",
]);
export type EnvelopeDomain = v.InferOutput<typeof envelopeDomainSchema>;

/**
 * A signed envelope as it travels: `[domain, author key, time, sequence, payload, signature]`.
 * The signature (Ed25519, RFC 8032) covers the deterministic CBOR of `["tabmesh", domain, key, time, sequence, payload]`.
 */
export const envelopeSchema = v.strictTuple([
	envelopeDomainSchema,
	/** The author's raw Ed25519 public key. */
	bytesSchema(32),
	/** When it was signed, by the author's clock. */
	timeSchema,
	/** Rises with every envelope of this author in this domain. */
	countSchema,
	v.pipe(
		v.instance(Uint8Array),
		v.check((payload) => payload.byteLength <= limits.envelopeBytes, "a short payload"),
	),
	bytesSchema(64),
]);
export type WireEnvelope = v.InferOutput<typeof envelopeSchema>;
