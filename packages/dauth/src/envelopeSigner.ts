import { encodeCbor, limits, MessageTooLargeError } from "@tabmesh/wire";
import type { EnvelopeSigner } from "./envelope.ts";
import { envelopeBody } from "./envelopeBody.ts";
import type { PeerIdentity } from "./identity.ts";

export interface EnvelopeSignerInit {
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

// Sequence numbers per millisecond of clock: faster than anyone signs, so the numbers never run ahead of the clock
// that the next start begins from. Below 2^53 until the year 2255.
const sequencesPerMs = 1000;

/**
 * Signs for one identity. Sequence numbers follow the clock, so they rise across restarts without being stored.
 *
 * `seal` throws MessageTooLargeError when the whole envelope would be longer than `limits.envelopeBytes`.
 *
 * @example
 * ```ts
 * import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
 * const signer = createEnvelopeSigner(await createIdentity());
 * const bytes = await signer.seal("route", payload);
 * ```
 */
export function createEnvelopeSigner(identity: PeerIdentity, init: EnvelopeSignerInit = {}): EnvelopeSigner {
	const now = init.now ?? Date.now;
	let last = 0;
	return {
		async seal(domain, payload) {
			const time = Math.floor(now());
			const sequence = Math.max(last + 1, time * sequencesPerMs);
			last = sequence;
			const body = envelopeBody(domain, identity.publicKey, time, sequence, payload);
			const signature = await identity.sign(body);
			const bytes = encodeCbor([domain, identity.publicKey, time, sequence, payload, signature]);
			if (bytes.byteLength > limits.envelopeBytes) {
				throw new MessageTooLargeError(
					`An envelope of ${bytes.byteLength} bytes is longer than the ${limits.envelopeBytes} allowed.`,
					{ details: { bytes: bytes.byteLength, maxBytes: limits.envelopeBytes } },
				);
			}
			return bytes;
		},
	};
}
