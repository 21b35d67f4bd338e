/** A peer's short-lived X25519 key, as published by it. */
export interface Prekey {
	/** Peer id of its owner. */
	readonly peer: string;
	/** Raw X25519 public key, 32 bytes. */
	readonly key: Uint8Array;
	/** Milliseconds since 1970: nothing may be sealed to it from then on. */
	readonly expires: number;
}
