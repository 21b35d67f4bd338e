import { sha256 } from "@noble/hashes/sha2.js";
import {
	DelegationChainError,
	DelegationExpiredError,
	DelegationForgedError,
	DelegationNotYetValidError,
	DelegationPeerError,
	DelegationRevokedError,
	DelegationScopeError,
	DelegationUncheckedError,
	decodeCbor,
	equalBytes,
	InvalidParameterError,
	limits,
	type SignedDelegation,
	signedDelegationSchema,
} from "@tabmesh/wire";
import type { Hex } from "viem";
import { bytesToHex, getAddress } from "viem/utils";
import type { ContractVerifier } from "../contractVerifier.ts";
import { publicKeyFromPeerId } from "../peerId.ts";
import type { RevocationView } from "../revocationView.ts";
import { cacheContractVerifier } from "./cacheContractVerifier.ts";
import { delegationHash } from "./delegationHash.ts";
import { settleWithin } from "./settleWithin.ts";
import { isWalletSignature } from "./walletSignature.ts";

export interface DelegationVerifierInit {
	/** The chain that delegations must be for. */
	chainId: number;
	/** Asks contract wallets; without it, they are refused. Answers are remembered for `contractLifetimeMs`. */
	contracts?: ContractVerifier;
	/** @default 10 minutes */
	contractLifetimeMs?: number;
	/** Knows what was revoked; without it, a delegation holds until its expiry. */
	revocations?: RevocationView;
	/**
	 * The stated delay: at most so long after `revocations` knows it, a revoked delegation is refused here. Where
	 * `revocations` gives no answer for that long, everything is refused with DelegationUncheckedError. @default 10 minutes
	 */
	revocationDelayMs?: number;
	/** Delegations remembered at once. @default 10,000, about 4 MB */
	capacity?: number;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** What a delegation is wanted for. */
export interface DelegationDemand {
	/** Peer id of who shows it, as its connection or envelope proved. */
	peer: string;
	scope: string;
	signal?: AbortSignal;
}

/** A delegation that holds. */
export interface VerifiedDelegation {
	/** The wallet that the peer may act for, EIP-55. */
	readonly wallet: Hex;
	readonly peer: string;
	readonly scopes: readonly string[];
	/** Milliseconds since 1970. */
	readonly expires: number;
	/** EIP-712 hash. */
	readonly id: Hex;
}

export interface DelegationVerifier {
	/**
	 * Checks a delegation that a peer shows. It may be shown again and again; a delegation that another peer copied is
	 * refused, because it names its peer.
	 *
	 * @throws MalformedMessageError, MessageTooLargeError, and the family of DelegationError: DelegationPeerError,
	 * DelegationChainError, DelegationScopeError, DelegationNotYetValidError, DelegationExpiredError,
	 * DelegationForgedError, DelegationRevokedError, DelegationUncheckedError
	 */
	verify(bytes: Uint8Array, demand: DelegationDemand): Promise<VerifiedDelegation>;
}

// How long the revocations have for an answer: a chain's RPC answers within a second or two, or not at all.
const answerMs = 10_000;

interface Remembered {
	readonly id: Hex;
	readonly contract: boolean;
	/** When `revocations` last said that it holds. */
	checked: number;
}

/**
 * Checks delegations offline: key wallets by recovering the signer, contract wallets through `contracts`. The order is
 * that of the costs, and a delegation that was checked costs one hash when it is shown again.
 *
 * @throws InvalidParameterError
 *
 * @example
 * ```ts
 * import { createDelegationVerifier } from "@tabmesh/dauth/wallet";
 * const verifier = createDelegationVerifier({ chainId: 31337 });
 * const { wallet } = await verifier.verify(bytes, { peer: connection.remotePeer.toString(), scope: "lend" });
 * ```
 */
export function createDelegationVerifier(init: DelegationVerifierInit): DelegationVerifier {
	const { chainId, revocations } = init;
	const revocationDelayMs = init.revocationDelayMs ?? 10 * 60_000;
	const capacity = init.capacity ?? 10_000;
	const now = init.now ?? Date.now;
	if (!(Number.isSafeInteger(chainId) && chainId > 0 && revocationDelayMs >= 0 && capacity > 0)) {
		throw new InvalidParameterError("A verifier of delegations needs a chain id and a delay.");
	}
	const contracts =
		init.contracts &&
		cacheContractVerifier(init.contracts, { lifetimeMs: init.contractLifetimeMs ?? 10 * 60_000, now });
	const remembered = new Map<string, Remembered>();

	/** The cheap checks: what it says, against what is wanted. */
	const assertFits = ({ delegation }: SignedDelegation, { peer, scope }: DelegationDemand): void => {
		const clock = Math.floor(now() / 1000);
		if (!equalBytes(delegation.peer, publicKeyFromPeerId(peer))) {
			throw new DelegationPeerError("This delegation was given to another peer.");
		}
		if (delegation.chainId !== chainId) {
			throw new DelegationChainError(`This delegation is for chain ${delegation.chainId}, not ${chainId}.`, {
				details: { ours: chainId, theirs: delegation.chainId },
			});
		}
		if (!delegation.scopes.includes(scope)) {
			throw new DelegationScopeError(`This delegation does not cover "${scope}".`, {
				metaMessages: ["Its wallet must sign another one."],
				details: { scope },
			});
		}
		const { notBefore, expiry } = delegation;
		if (clock < notBefore) {
			throw new DelegationNotYetValidError("This delegation is not valid yet.", {
				metaMessages: ["If this happens with everybody, this device's clock is wrong."],
				details: { notBefore, clock },
			});
		}
		if (clock >= expiry) {
			throw new DelegationExpiredError("This delegation is over.", {
				metaMessages: ["Its wallet must sign another one."],
				details: { expiry, clock },
			});
		}
	};

	const assertNotRevoked = async (
		{ delegation }: SignedDelegation,
		memory: Remembered,
		signal: AbortSignal | undefined,
	): Promise<void> => {
		if (!revocations || now() - memory.checked < revocationDelayMs) return;
		const wallet = getAddress(bytesToHex(delegation.wallet));
		// Before the question: what is revoked while the answer travels counts from here.
		const asked = now();
		let revoked: boolean;
		try {
			const key = { chainId, wallet, nonce: delegation.nonce };
			revoked = await settleWithin(answerMs, signal, (ends) => revocations.isRevoked(key, { signal: ends }));
		} catch (cause) {
			signal?.throwIfAborted();
			throw new DelegationUncheckedError("It cannot be found out whether this delegation was revoked.", {
				cause,
				metaMessages: ["Try again later."],
				details: { wallet, chainId },
			});
		}
		if (revoked !== false) {
			throw new DelegationRevokedError("The wallet has taken this delegation back.", { details: { wallet } });
		}
		memory.checked = asked;
	};

	return {
		async verify(bytes, demand) {
			const { signal } = demand;
			signal?.throwIfAborted();
			const signed = decodeCbor(signedDelegationSchema, bytes, limits.delegationBytes);
			assertFits(signed, demand);
			const { delegation } = signed;
			const key = bytesToHex(sha256(bytes));
			let memory = remembered.get(key);
			// A contract's word holds only for a while, and its own cache counts that.
			if (!memory || memory.contract) {
				const id = memory?.id ?? delegationHash(delegation);
				const what = { wallet: delegation.wallet, hash: id, chainId };
				if (!(await isWalletSignature(signed, what, contracts, signal))) {
					throw new DelegationForgedError("This delegation was not signed by the wallet that it names.");
				}
				memory ??= { id, contract: signed.contract, checked: Number.NEGATIVE_INFINITY };
			}
			try {
				await assertNotRevoked(signed, memory, signal);
			} catch (error) {
				// The next time it is shown, it is asked about again.
				memory.checked = Number.NEGATIVE_INFINITY;
				throw error;
			}
			remembered.delete(key);
			remembered.set(key, memory);
			if (remembered.size > capacity) remembered.delete(remembered.keys().next().value!);
			return {
				wallet: getAddress(bytesToHex(delegation.wallet)),
				peer: demand.peer,
				scopes: delegation.scopes,
				expires: delegation.expiry * 1000,
				id: memory.id,
			};
		},
	};
}
