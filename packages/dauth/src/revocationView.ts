/** Which delegation is asked about. */
export interface RevocationKey {
	readonly chainId: number;
	readonly wallet: `0x${string}`;
	/** The delegation's nonce, 32 bytes. */
	readonly nonce: Uint8Array;
}

/** Knows which delegations were taken back: a contract, shared state, or both. Handed to this room by whoever has it. */
export interface RevocationView {
	/** Rejects, with whatever error, when it cannot be found out. */
	isRevoked(key: RevocationKey, options?: { signal?: AbortSignal }): Promise<boolean>;
}
