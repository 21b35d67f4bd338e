import { encodeCbor, PrekeyExpiredError, SealedMessageError } from "@tabmesh/wire";
import type { EnvelopeSigner } from "../envelope.ts";
import { createEnvelopeSigner } from "../envelopeSigner.ts";
import type { PeerIdentity } from "../identity.ts";
import { publicKeyFromPeerId } from "../peerId.ts";
import { hpkeSuite, sealedInfo } from "./hpke.ts";
import type { Prekey } from "./prekey.ts";

export interface SealerInit {
	/** @default a signer of its own; hand one over where the same identity signs `sealed` envelopes elsewhere, too */
	signer?: EnvelopeSigner;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** Seals messages to other peers' prekeys. */
export interface Sealer {
	/**
	 * An envelope that only the prekey's owner can open, and only until it throws the prekey away.
	 *
	 * @param aad - what the message belongs to; not sent, the receiver must know the same bytes
	 * @throws PrekeyExpiredError; SealedMessageError when the prekey is no key; MessageTooLargeError when the envelope
	 * would be longer than `limits.envelopeBytes` (send a CID instead); InsecureOriginError
	 */
	seal(to: Prekey, message: Uint8Array, aad?: Uint8Array): Promise<Uint8Array>;
}

/**
 * Encryption for messages that do not travel over a direct connection: HPKE base mode (RFC 9180) with a fresh X25519
 * key for each message, inside an envelope signed by the sender.
 *
 * Forward secrecy: the sender's key is gone when `seal` returns, the receiver's when its prekey is thrown away.
 *
 * @example
 * ```ts
 * import { createEnvelopeVerifier, createPrekeys, createSealer, openPrekey } from "@tabmesh/dauth";
 * const prekeys = createPrekeys(bob);
 * const published = await prekeys.publish();
 * const prekey = await openPrekey(published, createEnvelopeVerifier());
 * const sealed = await createSealer(alice).seal(prekey, message);
 * const { author, message: opened } = await prekeys.open(sealed);
 * ```
 */
export function createSealer(identity: PeerIdentity, init: SealerInit = {}): Sealer {
	const now = init.now ?? Date.now;
	const signer = init.signer ?? createEnvelopeSigner(identity, { now });
	return {
		async seal(to, message, aad = new Uint8Array()) {
			if (to.expires <= now()) {
				throw new PrekeyExpiredError("The receiver's prekey is over.", {
					metaMessages: ["Wait for its next one; every peer publishes one regularly."],
				});
			}
			const suite = hpkeSuite();
			const info = sealedInfo(identity.publicKey, publicKeyFromPeerId(to.peer));
			let enc: ArrayBuffer;
			let ciphertext: ArrayBuffer;
			try {
				const recipientPublicKey = await suite.kem.deserializePublicKey(to.key);
				({ enc, ct: ciphertext } = await suite.seal({ recipientPublicKey, info }, message, aad));
			} catch (cause) {
				throw new SealedMessageError("Nothing can be sealed to this prekey.", { cause });
			}
			return signer.seal("sealed", encodeCbor([to.key, new Uint8Array(enc), new Uint8Array(ciphertext)]));
		},
	};
}
