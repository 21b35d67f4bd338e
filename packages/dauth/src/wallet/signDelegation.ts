import {
	type Delegation,
	decodeCbor,
	encodeCbor,
	InvalidParameterError,
	limits,
	signedDelegationSchema,
} from "@tabmesh/wire";
import type { TypedDataDefinition } from "viem";
import { hexToBytes } from "viem/utils";
import { publicKeyFromPeerId } from "../peerId.ts";
import { delegationHash, delegationTypedData } from "./delegationHash.ts";
import type { Wallet } from "./wallet.ts";
import { sortSignature } from "./walletSignature.ts";

/** What is delegated to whom. */
export interface DelegationTerms {
	/** Peer id of the key that may act for the wallet. */
	peer: string;
	/** What it may do: `lend`, `ask`, … */
	scopes: readonly string[];
	chainId: number;
	/** @default 30 days; `limits.delegationSeconds` at most */
	lifetimeSeconds?: number;
	/** Milliseconds since 1970. @default Date.now() */
	now?: number;
}

const defaultLifetime = 30 * 24 * 3600;

// A delegation begins a little before it is signed, so that peers whose clocks are behind take it at once. The same
// two minutes by which an envelope may be ahead.
const leeway = 120;

/**
 * Has a wallet sign that a peer key may act for it. An installed wallet opens its window: use `ensureDelegation` where
 * one may be at hand already.
 *
 * @returns the encoded signed delegation, for `createDelegationVerifier`
 * @throws InvalidParameterError; WalletRejectedError, WalletUnavailableError
 */
export async function signDelegation(wallet: Wallet, terms: DelegationTerms): Promise<Uint8Array> {
	const start = Math.floor((terms.now ?? Date.now()) / 1000);
	const delegation: Delegation = {
		wallet: hexToBytes(wallet.address) as Uint8Array<ArrayBuffer>,
		peer: publicKeyFromPeerId(terms.peer) as Uint8Array<ArrayBuffer>,
		scopes: [...terms.scopes],
		chainId: terms.chainId,
		notBefore: start - leeway,
		expiry: start + Math.floor(terms.lifetimeSeconds ?? defaultLifetime),
		nonce: crypto.getRandomValues(new Uint8Array(32)),
	};
	assertSayable(delegation);
	const returned = await wallet.signTypedData(delegationTypedData(delegation) as TypedDataDefinition);
	const { contract, signature } = await sortSignature(wallet, delegationHash(delegation), returned);
	return encodeCbor({ delegation, contract, signature });
}

/** Before the wallet opens its window, not after. */
function assertSayable(delegation: Delegation): void {
	try {
		const probe = encodeCbor({ delegation, contract: false, signature: new Uint8Array(65) });
		decodeCbor(signedDelegationSchema, probe, limits.delegationBytes);
	} catch (cause) {
		throw new InvalidParameterError("No delegation can say this.", {
			cause,
			metaMessages: [
				`Use distinct scopes of lower-case letters and a lifetime of at most ${limits.delegationSeconds} seconds.`,
			],
		});
	}
}
