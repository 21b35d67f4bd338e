/**
 * Who a peer is: its Ed25519 key (the libp2p identity at the same time), where that key is kept, and envelopes signed
 * with it. Gives `createIdentity` and `openIdentity`, `createEnvelopeSigner` and `createEnvelopeVerifier`, and the two
 * conversions between peer ids and raw public keys.
 *
 * This room never opens a connection, and never lets a private key out: it signs, nothing else.
 */
export { type OpenIdentityOptions, openIdentity } from "#openIdentity";
export { createIdentity } from "./createIdentity.ts";
export type { EnvelopeSigner, EnvelopeVerifier, OpenedEnvelope } from "./envelope.ts";
export { createEnvelopeSigner, type EnvelopeSignerInit } from "./envelopeSigner.ts";
export { createEnvelopeVerifier, type EnvelopeVerifierInit } from "./envelopeVerifier.ts";
export type { PeerIdentity } from "./identity.ts";
export { peerIdFromPublicKey, publicKeyFromPeerId } from "./peerId.ts";
