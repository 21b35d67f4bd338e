import type { EnvelopeDomain } from "@tabmesh/wire";

/** Signs what is stored or forwarded. One per identity: it numbers what it signs. */
export interface EnvelopeSigner {
	/** The encoded envelope of `payload` for `domain`, with this moment as its time and the next sequence number. */
	seal(domain: EnvelopeDomain, payload: Uint8Array): Promise<Uint8Array>;
}

/** An envelope whose signature and time hold. */
export interface OpenedEnvelope {
	/** Peer id of the author. */
	readonly author: string;
	/** Milliseconds since 1970 by the author's clock. */
	readonly time: number;
	readonly sequence: number;
	readonly payload: Uint8Array;
}

/** Checks envelopes, and remembers the newest of each author and domain so that none is taken twice. */
export interface EnvelopeVerifier {
	/**
	 * @param bytes - an encoded envelope from a stranger
	 * @param domain - what it must be for
	 * @throws MalformedMessageError, MessageTooLargeError, InvalidSignatureError, EnvelopeTimeError (older than `maxAgeMs`
	 * or further ahead than `maxAheadMs`), ReplayedEnvelopeError (sequence not above the newest taken)
	 */
	open(bytes: Uint8Array, domain: EnvelopeDomain): Promise<OpenedEnvelope>;
}
