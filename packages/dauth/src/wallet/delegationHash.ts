import {
	type Delegation,
	delegationDomain,
	delegationTypes,
	type Revocation,
	revocationTypes,
} from "@tabmesh/wire";
import type { Hex, TypedDataDefinition } from "viem";
import { bytesToHex, getAddress, hashTypedData } from "viem/utils";

/** What a wallet signs to delegate (EIP-712). */
export function delegationTypedData(delegation: Delegation) {
	return {
		domain: delegationDomain(delegation.chainId),
		types: delegationTypes,
		primaryType: "Delegation",
		message: {
			wallet: getAddress(bytesToHex(delegation.wallet)),
			peer: bytesToHex(delegation.peer),
			scopes: delegation.scopes,
			chainId: BigInt(delegation.chainId),
			notBefore: BigInt(delegation.notBefore),
			expiry: BigInt(delegation.expiry),
			nonce: bytesToHex(delegation.nonce),
		},
	} as const satisfies TypedDataDefinition<typeof delegationTypes, "Delegation">;
}

/** What a wallet signs to take a delegation back (EIP-712). */
export function revocationTypedData(revocation: Revocation) {
	return {
		domain: delegationDomain(revocation.chainId),
		types: revocationTypes,
		primaryType: "Revocation",
		message: {
			wallet: getAddress(bytesToHex(revocation.wallet)),
			chainId: BigInt(revocation.chainId),
			nonce: bytesToHex(revocation.nonce),
		},
	} as const satisfies TypedDataDefinition<typeof revocationTypes, "Revocation">;
}

/** The EIP-712 hash of a delegation: its id on any chain. */
export function delegationHash(delegation: Delegation): Hex {
	return hashTypedData(delegationTypedData(delegation));
}

/** The EIP-712 hash of a revocation. */
export function revocationHash(revocation: Revocation): Hex {
	return hashTypedData(revocationTypedData(revocation));
}
