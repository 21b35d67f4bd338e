/**
 * Who a peer is: its Ed25519 key (the libp2p identity at the same time), where that key is kept, envelopes signed with
 * it, and capabilities for private rooms. Messages sealed to other peers are `@tabmesh/dauth/sealed`, wallets and
 * delegations `@tabmesh/dauth/wallet`: pages load them when they are needed.
 *
 * This room never opens a connection, and never lets a private key out: it signs and opens, nothing else.
 */

export { type OpenIdentityOptions, openIdentity } from "#openIdentity";
export { keepsakesExist } from "#openKeepsakes";
export { admitToRoom, type RoomEntry } from "./capability/admitToRoom.ts";
export { attenuateCapability } from "./capability/attenuateCapability.ts";
export type { Capability, CapabilityNarrowing } from "./capability/capability.ts";
export { type CapabilityGrant, mintCapability } from "./capability/mintCapability.ts";
export { presentCapability } from "./capability/presentCapability.ts";
export { privateRoomId, roomOwner } from "./capability/privateRoom.ts";
export { readCapability } from "./capability/readCapability.ts";
export { type CapabilityDemand, verifyCapability } from "./capability/verifyCapability.ts";
export type { ContractSignature, ContractVerifier } from "./contractVerifier.ts";
export { createIdentity } from "./createIdentity.ts";
export type { EnvelopeSigner, EnvelopeVerifier, OpenedEnvelope } from "./envelope.ts";
export { envelopeBody } from "./envelopeBody.ts";
export { createEnvelopeSigner, type EnvelopeSignerInit } from "./envelopeSigner.ts";
export { createEnvelopeVerifier, type EnvelopeVerifierInit } from "./envelopeVerifier.ts";
export type { PeerIdentity } from "./identity.ts";
export { peerIdFromPublicKey, publicKeyFromPeerId } from "./peerId.ts";
export type { RevocationKey, RevocationView } from "./revocationView.ts";
