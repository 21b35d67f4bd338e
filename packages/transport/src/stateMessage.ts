import type { EnvelopeVerifier } from "@tabmesh/dauth";
import { cstorePayloadSchema, decodeCbor, encodeCbor, envelopeSchema, limits } from "@tabmesh/wire";

/** How long it is worth knowing that somebody was here: the longest time between two digests, and some delay. */
const digestMs = 60_000;
/** What a part of a room keeps for a quarter of an hour, and for some minutes more until all have forgotten it. */
const recordMs = 20 * 60_000;

/** What a relay makes of a message of shared state. */
export interface StateMessage {
	/** Peer id. */
	author: string;
	/** Rises with every message of this author. */
	sequence: number;
	/** How a newcomer should learn of it; undefined where it has to be asked from peers. */
	remember: { subject: string; lifeMs: number; passing: boolean } | undefined;
}

/**
 * Checks a message on a topic of shared state. Digests, and records that write one key and hold its value, are
 * remembered: what every member of a room says of itself is written so.
 *
 * @throws what `EnvelopeVerifier.open` throws, MalformedMessageError
 */
export async function readStateMessage(
	verifier: EnvelopeVerifier,
	message: Uint8Array,
): Promise<StateMessage> {
	const { author, sequence, payload } = await verifier.open(message, "cstore");
	const said = decodeCbor(cstorePayloadSchema, payload, limits.envelopeBytes);
	if (said[1] instanceof Uint8Array) return { author, sequence, remember: undefined };
	if (typeof said[1] === "number") {
		return { author, sequence, remember: { subject: "", lifeMs: digestMs, passing: true } };
	}
	const [first, second] = said[1];
	if (!first || second || Array.isArray(first[2])) return { author, sequence, remember: undefined };
	const [space, name, , field = ""] = first;
	const subject = `${space} ${name} ${field}`;
	return { author, sequence, remember: { subject, lifeMs: recordMs, passing: false } };
}

/**
 * The payload by which a relay says that the author of this message, which it has checked, is gone.
 *
 * @param sequence - what the author said last: whoever heard something newer knows better
 */
export function goneAfter(message: Uint8Array, sequence: number): Uint8Array {
	const [, key, , , payload] = decodeCbor(envelopeSchema, message, limits.envelopeBytes);
	const [tag] = decodeCbor(cstorePayloadSchema, payload, limits.envelopeBytes);
	return encodeCbor([tag, key, sequence]);
}
