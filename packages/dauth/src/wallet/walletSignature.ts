import { DelegationUncheckedError } from "@tabmesh/wire";
import type { Hex } from "viem";
import { bytesToHex, getAddress } from "viem/utils";
import type { ContractVerifier } from "../contractVerifier.ts";
import { canonicalSignature, recoverSigner } from "./keySignature.ts";
import type { Wallet } from "./wallet.ts";

/** A signature, and which of the two kinds it is. */
export interface WalletSignature {
	readonly signature: Uint8Array;
	/** Whether only the wallet's contract can tell that it is good (ERC-1271). */
	readonly contract: boolean;
}

/** Brings what a wallet returned into the form that peers take. */
export async function sortSignature(
	wallet: Wallet,
	hash: Hex,
	returned: Uint8Array,
): Promise<WalletSignature> {
	const signature = canonicalSignature(returned);
	return (await recoverSigner(hash, signature)) === getAddress(wallet.address)
		? { signature, contract: false }
		: { signature: returned, contract: true };
}

/**
 * Whether a signature is that of `wallet`.
 *
 * @throws DelegationUncheckedError when it is a contract wallet's and no chain answers
 */
export async function isWalletSignature(
	{ signature, contract }: WalletSignature,
	what: { wallet: Uint8Array; hash: Hex; chainId: number },
	contracts: ContractVerifier | undefined,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const wallet = getAddress(bytesToHex(what.wallet));
	if (!contract) return (await recoverSigner(what.hash, signature)) === wallet;
	if (!contracts) {
		throw new DelegationUncheckedError("This peer knows no chain and cannot check contract wallets.", {
			metaMessages: ["Delegate from a wallet that is a key, or connect this peer to the chain."],
			details: { wallet, chainId: what.chainId },
		});
	}
	try {
		const call = { chainId: what.chainId, wallet, hash: what.hash, signature };
		return (await contracts.isValidSignature(call, signal ? { signal } : {})) === true;
	} catch (cause) {
		signal?.throwIfAborted();
		throw new DelegationUncheckedError("The chain does not say whether a contract wallet signed.", {
			cause,
			metaMessages: ["Try again later."],
			details: { wallet, chainId: what.chainId },
		});
	}
}
