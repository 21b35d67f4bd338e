import {
	DelegationForgedError,
	decodeCbor,
	encodeCbor,
	equalBytes,
	limits,
	type Revocation,
	signedDelegationSchema,
} from "@tabmesh/wire";
import type { TypedDataDefinition } from "viem";
import { hexToBytes } from "viem/utils";
import { revocationHash, revocationTypedData } from "./delegationHash.ts";
import type { Wallet } from "./wallet.ts";
import { sortSignature } from "./walletSignature.ts";

/**
 * Has a wallet sign that it takes a delegation back. It costs nothing on a chain; it works for peers whose
 * `RevocationView` sees it (`signedRevocations`), at most their `revocationDelayMs` later.
 *
 * @param delegation - the encoded signed delegation
 * @returns the encoded signed revocation
 * @throws DelegationForgedError when the delegation is not this wallet's; MalformedMessageError; WalletRejectedError,
 * WalletUnavailableError
 */
export async function signRevocation(wallet: Wallet, delegation: Uint8Array): Promise<Uint8Array> {
	const signed = decodeCbor(signedDelegationSchema, delegation, limits.delegationBytes);
	const { chainId, nonce, wallet: delegator } = signed.delegation;
	if (!equalBytes(delegator, hexToBytes(wallet.address))) {
		throw new DelegationForgedError("Only the wallet that delegated can take it back.");
	}
	const revocation: Revocation = { wallet: delegator, chainId, nonce };
	const returned = await wallet.signTypedData(revocationTypedData(revocation) as TypedDataDefinition);
	const { contract, signature } = await sortSignature(wallet, revocationHash(revocation), returned);
	return encodeCbor({ revocation, contract, signature });
}
