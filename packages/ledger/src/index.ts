/**
 * The chain: what is asked of it and, one day, what is written to it. So far it answers for contract wallets (ERC-1271),
 * behind the `ContractVerifier` that dauth declares.
 *
 * This room never holds a key, never sends a transaction, and believes a node only about the chain that was meant.
 */
export { type Chain, createContractVerifier } from "./createContractVerifier.ts";
