/**
 * Wallets and what they sign: the embedded wallet and those installed in the browser, delegations to peer keys and
 * their revocation, sign-in to a gateway. An entry of its own, because viem is large: import it when it is needed.
 *
 * This room never opens a wallet's window by itself, never asks a chain (a `ContractVerifier` is handed to it), and
 * never gives a private key away; the recovery phrase leaves it only through `exportPhrase`.
 */
export { openKeepsakes } from "#openKeepsakes";
export type { ContractSignature, ContractVerifier } from "../contractVerifier.ts";
export type { RevocationKey, RevocationView } from "../revocationView.ts";
export { type ContractCacheInit, cacheContractVerifier } from "./cacheContractVerifier.ts";
export {
	delegationHash,
	delegationTypedData,
	revocationHash,
	revocationTypedData,
} from "./delegationHash.ts";
export {
	createDelegationVerifier,
	type DelegationDemand,
	type DelegationVerifier,
	type DelegationVerifierInit,
	type VerifiedDelegation,
} from "./delegationVerifier.ts";
export {
	type EmbeddedWallet,
	importEmbeddedWallet,
	type KeptWallet,
	keptWallet,
	openEmbeddedWallet,
	type PassphraseOptions,
} from "./embeddedWallet.ts";
export {
	ensureDelegation,
	forgetDelegation,
	type HeldDelegation,
	heldDelegation,
	type WantedDelegation,
} from "./ensureDelegation.ts";
export { connectWallet, type InjectedWallet, reconnectWallet } from "./injectedWallet.ts";
export type { Keepsakes, OpenKeepsakesOptions } from "./keepsakes.ts";
export { createMemoryKeepsakes } from "./memoryKeepsakes.ts";
export { type DelegationTerms, signDelegation } from "./signDelegation.ts";
export { signedRevocations } from "./signedRevocations.ts";
export { type SignIn, type SignInRequest, signIn } from "./signIn.ts";
export { createSignInGate, type SignedIn, type SignInGate, type SignInGateInit } from "./signInGate.ts";
export { signRevocation } from "./signRevocation.ts";
export type { Wallet } from "./wallet.ts";
export { type FoundWallet, type WatchWalletsOptions, watchWallets } from "./watchWallets.ts";
