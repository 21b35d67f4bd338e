import { decodeCbor, limits, PrekeyExpiredError, prekeySchema } from "@tabmesh/wire";
import type { EnvelopeVerifier } from "../envelope.ts";
import type { Prekey } from "./prekey.ts";

/**
 * The prekey in an envelope that its owner published.
 *
 * @param verifier - the one that this peer uses for other published envelopes
 * @throws what `EnvelopeVerifier.open` throws; MalformedMessageError; PrekeyExpiredError when it is over, or was made
 * to live longer than `limits.prekeyMs`
 */
export async function openPrekey(bytes: Uint8Array, verifier: EnvelopeVerifier): Promise<Prekey> {
	const { author, time, payload } = await verifier.open(bytes, "prekey");
	const { key, expires } = decodeCbor(prekeySchema, payload, limits.prekeyBytes);
	if (expires <= time || expires > time + limits.prekeyMs) {
		throw new PrekeyExpiredError("A peer published a prekey that is over or lives too long.", {
			details: { time, expires },
		});
	}
	return { peer: author, key, expires };
}
