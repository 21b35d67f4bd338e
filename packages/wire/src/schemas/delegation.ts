import * as v from "valibot";
import { limits } from "../limits.ts";
import { bytesSchema } from "./common.ts";

/** What a delegated key may do, by name: `lend`, `ask`, `vote`, `claim:receipts`. Compared as a whole, never by prefix. */
export const scopeSchema = v.pipe(
	v.string(),
	v.regex(/^[a-z][a-z0-9:._-]*$/, "a scope"),
	v.maxLength(limits.scopeLength),
);

/** An EIP-155 chain id. */
export const chainIdSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** Seconds since 1970, as contracts count: what a wallet signs may be checked on a chain, too. */
const secondsSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** The bytes of an Ethereum address. */
export const addressSchema = bytesSchema(20);

/** A wallet's word that a peer key may act for it. {@link delegationTypes} is how it is signed. */
export const delegationSchema = v.pipe(
	v.strictObject({
		/** The wallet that delegates. It is signed, too: an owner of two contract wallets speaks for one of them only. */
		wallet: addressSchema,
		/** The raw Ed25519 public key that is delegated to. */
		peer: bytesSchema(32),
		scopes: v.pipe(
			v.array(scopeSchema),
			v.minLength(1),
			v.maxLength(limits.delegationScopes),
			v.check((scopes) => new Set(scopes).size === scopes.length, "distinct scopes"),
		),
		chainId: chainIdSchema,
		/** Seconds since 1970. */
		notBefore: secondsSchema,
		/** Seconds since 1970; from this second on it is worth nothing. */
		expiry: secondsSchema,
		/** Random, so that each delegation can be revoked by itself. */
		nonce: bytesSchema(32),
	}),
	v.check(
		({ notBefore, expiry }) => notBefore < expiry && expiry - notBefore <= limits.delegationSeconds,
		"a lifetime within the limit",
	),
);
export type Delegation = v.InferOutput<typeof delegationSchema>;

const walletSignatureSchema = v.pipe(
	v.instance(Uint8Array),
	v.check(
		({ byteLength }) => byteLength > 0 && byteLength <= limits.walletSignatureBytes,
		"a short signature",
	),
);

/** A delegation as it is stored and sent. */
export const signedDelegationSchema = v.strictObject({
	delegation: delegationSchema,
	/** Whether the wallet is a contract (ERC-1271). Not signed: whoever lies about it only fails the other check. */
	contract: v.boolean(),
	/** 65 bytes `r ‖ s ‖ v` of a key, or whatever a contract wallet understands. */
	signature: walletSignatureSchema,
});
export type SignedDelegation = v.InferOutput<typeof signedDelegationSchema>;

/** A wallet takes one of its delegations back. */
export const revocationSchema = v.strictObject({
	wallet: addressSchema,
	chainId: chainIdSchema,
	/** The nonce of the delegation. */
	nonce: bytesSchema(32),
});
export type Revocation = v.InferOutput<typeof revocationSchema>;

/** A revocation as it is stored and sent. */
export const signedRevocationSchema = v.strictObject({
	revocation: revocationSchema,
	contract: v.boolean(),
	signature: walletSignatureSchema,
});
export type SignedRevocation = v.InferOutput<typeof signedRevocationSchema>;

/** EIP-712 types of {@link Delegation}, in the order in which they are hashed. */
export const delegationTypes = {
	Delegation: [
		{ name: "wallet", type: "address" },
		{ name: "peer", type: "bytes32" },
		{ name: "scopes", type: "string[]" },
		{ name: "chainId", type: "uint256" },
		{ name: "notBefore", type: "uint64" },
		{ name: "expiry", type: "uint64" },
		{ name: "nonce", type: "bytes32" },
	],
} as const;

/** EIP-712 types of {@link Revocation}. */
export const revocationTypes = {
	Revocation: [
		{ name: "wallet", type: "address" },
		{ name: "chainId", type: "uint256" },
		{ name: "nonce", type: "bytes32" },
	],
} as const;

/** The EIP-712 domain of what wallets sign for Tabmesh. Wallets refuse to sign for a chain that they are not on. */
export function delegationDomain(chainId: number): { name: "Tabmesh"; version: "1"; chainId: number } {
	return { name: "Tabmesh", version: "1", chainId };
}
