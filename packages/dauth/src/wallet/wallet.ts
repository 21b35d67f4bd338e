import type { Account, CustomTransport, Hex, TypedDataDefinition } from "viem";

/** A wallet that can sign for its owner: the embedded one, or one that the owner installed. */
export interface Wallet {
	readonly kind: "embedded" | "injected";
	/** EIP-55 checksummed. */
	readonly address: Hex;
	/** For viem clients, together with `transport`. */
	readonly account: Account;
	/** What a viem client for this wallet must speak through; undefined where any RPC will do. */
	readonly transport: CustomTransport | undefined;
	/**
	 * EIP-712. An installed wallet asks its owner, and is moved to the domain's chain first.
	 *
	 * @throws WalletRejectedError, WalletUnavailableError
	 */
	signTypedData(typed: TypedDataDefinition): Promise<Uint8Array>;
	/**
	 * EIP-191 `personal_sign` of a text.
	 *
	 * @throws WalletRejectedError, WalletUnavailableError
	 */
	signMessage(text: string): Promise<Uint8Array>;
}
