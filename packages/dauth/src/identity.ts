import type { PrivateKey } from "@libp2p/interface";

/**
 * The key of one running peer: Ed25519, and the libp2p identity at the same time. In a page the private half is a
 * non-extractable WebCrypto key; nothing that this interface gives away can leak it.
 */
export interface PeerIdentity {
	/** libp2p peer id, `12D3KooW…`. */
	readonly peer: string;
	/** 32 bytes. */
	readonly publicKey: Uint8Array;
	/** What libp2p takes as its identity: signs through WebCrypto; `raw` throws where the key is not extractable. */
	readonly privateKey: PrivateKey;
	/** Whether the same key will be here after a restart; false where this device keeps nothing for us. */
	readonly persistent: boolean;
	/** Ed25519 signature (RFC 8032), 64 bytes. */
	sign(bytes: Uint8Array): Promise<Uint8Array>;
	/** Gives the key slot back. The identity must not be used afterwards. */
	release(): Promise<void>;
}
