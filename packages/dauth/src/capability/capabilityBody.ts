import { encodeCbor } from "@tabmesh/wire";

/**
 * The bytes that a block's signature covers: deterministic CBOR of
 * `["tabmesh capability", parent, actions, not before, expires, next key]`. Envelopes begin with another word, so that
 * neither can be taken for the other.
 *
 * @param parent - the room's id for the first block; the SHA-256 of the body before for the others, which ties every
 * block to the whole chain above it
 */
export function capabilityBody(
	parent: string | Uint8Array,
	actions: readonly string[] | null,
	notBefore: number | null,
	expires: number | null,
	next: Uint8Array,
): Uint8Array {
	return encodeCbor(["tabmesh capability", parent, actions, notBefore, expires, next]);
}
