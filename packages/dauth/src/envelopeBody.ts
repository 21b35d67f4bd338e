import { type EnvelopeDomain, encodeCbor } from "@tabmesh/wire";

/** The bytes that an envelope's signature covers: deterministic CBOR of `["tabmesh", domain, key, time, sequence, payload]`. */
export function envelopeBody(
	domain: EnvelopeDomain,
	key: Uint8Array,
	time: number,
	sequence: number,
	payload: Uint8Array,
): Uint8Array {
	return encodeCbor(["tabmesh", domain, key, time, sequence, payload]);
}
