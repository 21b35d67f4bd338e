/** A check of a contract wallet's signature, as a chain would make it. */
export interface ContractSignature {
	readonly chainId: number;
	readonly wallet: `0x${string}`;
	/** What was signed: an EIP-712 or EIP-191 hash. */
	readonly hash: `0x${string}`;
	readonly signature: Uint8Array;
}

/**
 * Asks contract wallets (ERC-1271) whether a signature is theirs. This room declares it and never reaches for a chain
 * itself; whoever puts the rooms together hands one over.
 */
export interface ContractVerifier {
	/** Rejects, with whatever error, when the chain gives no answer. */
	isValidSignature(call: ContractSignature, options?: { signal?: AbortSignal }): Promise<boolean>;
}
