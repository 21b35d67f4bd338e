import { sha256 } from "@noble/hashes/sha2.js";
import {
	DelegationError,
	decodeCbor,
	limits,
	MalformedMessageError,
	MessageTooLargeError,
	signedDelegationSchema,
} from "@tabmesh/wire";
import { bytesToHex } from "viem/utils";
import type { PeerIdentity } from "../identity.ts";
import {
	createDelegationVerifier,
	type DelegationVerifierInit,
	type VerifiedDelegation,
} from "./delegationVerifier.ts";
import type { Keepsakes } from "./keepsakes.ts";
import { signDelegation } from "./signDelegation.ts";
import type { Wallet } from "./wallet.ts";

/** Which delegation is wanted. */
export interface WantedDelegation
	extends Pick<DelegationVerifierInit, "chainId" | "contracts" | "revocations" | "now"> {
	identity: PeerIdentity;
	keepsakes: Keepsakes;
	/** All of them must be covered. */
	scopes: readonly string[];
	signal?: AbortSignal;
}

/** A delegation to show to peers. */
export interface HeldDelegation extends VerifiedDelegation {
	/** The encoded signed delegation. */
	readonly bytes: Uint8Array;
}

/**
 * The delegation that this device keeps for its peer key, if it still holds and covers `scopes`. Needs no wallet and
 * never opens one's window, so it may run on load.
 *
 * Where the chain or the revocations are out of reach, the kept one counts: peers check it themselves, and its owner is
 * not asked again for nothing.
 *
 * @throws KeyStorageError
 */
export async function heldDelegation(wanted: WantedDelegation): Promise<HeldDelegation | undefined> {
	const held = await heldForAnything(wanted);
	return held && covers(held, wanted.scopes) ? held : undefined;
}

/**
 * A delegation from `wallet` to this device's peer key: the kept one while it holds, else a new one that the wallet's
 * owner is asked for. Of several calls at once, one asks.
 *
 * @param wanted.lifetimeSeconds - of a new one. @default 30 days
 * @throws WalletRejectedError, WalletUnavailableError, KeyStorageError, InvalidParameterError; DelegationError when
 * what the wallet signed does not hold
 *
 * @example
 * ```ts
 * import { ensureDelegation, openEmbeddedWallet, openKeepsakes } from "@tabmesh/dauth/wallet";
 * const keepsakes = await openKeepsakes();
 * const wallet = await openEmbeddedWallet(keepsakes);
 * const { bytes } = await ensureDelegation(wallet, { identity, keepsakes, chainId: 31337, scopes: ["lend"] });
 * ```
 */
export async function ensureDelegation(
	wallet: Wallet,
	wanted: WantedDelegation & { lifetimeSeconds?: number },
): Promise<HeldDelegation> {
	const { chainId, identity, keepsakes, lifetimeSeconds, scopes, signal } = wanted;
	return oneByOne(keepsakes, nameOf(wanted), async () => {
		signal?.throwIfAborted();
		const held = await heldForAnything(wanted);
		const ours = held?.wallet === wallet.address ? held : undefined;
		if (ours && covers(ours, scopes)) return ours;
		const bytes = await signDelegation(wallet, {
			peer: identity.peer,
			// What was granted stays granted: two services that ask in turn must not replace each other's.
			scopes: [...new Set([...(ours?.scopes ?? []), ...scopes])],
			chainId,
			now: (wanted.now ?? Date.now)(),
			...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
		});
		// What peers would refuse is not kept: a wallet that signs with another of its keys, a revoked owner.
		const fresh = await check(bytes, wanted);
		await keepsakes.write(nameOf(wanted), bytes);
		return fresh;
	});
}

/** Forgets the kept delegation, so that the next `ensureDelegation` asks again. Revoking is `signRevocation`. */
export async function forgetDelegation(
	wanted: Pick<WantedDelegation, "chainId" | "identity" | "keepsakes">,
): Promise<void> {
	await wanted.keepsakes.remove(nameOf(wanted));
}

function covers(held: VerifiedDelegation, scopes: readonly string[]): boolean {
	return scopes.every((scope) => held.scopes.includes(scope));
}

async function heldForAnything(wanted: WantedDelegation): Promise<HeldDelegation | undefined> {
	const bytes = await wanted.keepsakes.read(nameOf(wanted));
	if (!bytes) return undefined;
	try {
		return await check(bytes, wanted);
	} catch (error) {
		// Over, revoked, or broken on disk.
		const useless =
			error instanceof DelegationError ||
			error instanceof MalformedMessageError ||
			error instanceof MessageTooLargeError;
		if (useless) return undefined;
		throw error;
	}
}

async function check(bytes: Uint8Array, wanted: WantedDelegation): Promise<HeldDelegation> {
	const { chainId, contracts, identity, now, revocations, signal } = wanted;
	const verifier = createDelegationVerifier({
		chainId,
		contracts: {
			isValidSignature: async (call, options) =>
				(await contracts?.isValidSignature(call, options).catch(() => true)) ?? true,
		},
		revocations: {
			isRevoked: async (key, options) =>
				(await revocations?.isRevoked(key, options).catch(() => false)) ?? false,
		},
		...(now ? { now } : {}),
	});
	const { delegation } = decodeCbor(signedDelegationSchema, bytes, limits.delegationBytes);
	const demand = { peer: identity.peer, scope: delegation.scopes[0]!, ...(signal ? { signal } : {}) };
	return { ...(await verifier.verify(bytes, demand)), bytes };
}

/** A delegation belongs to one peer key and one chain. Hashed, because some file systems do not tell `a` from `A`. */
function nameOf({ chainId, identity }: Pick<WantedDelegation, "chainId" | "identity">): string {
	return `delegation-${chainId}-${bytesToHex(sha256(identity.publicKey)).slice(2, 34)}`;
}

const running = new WeakMap<Keepsakes, Map<string, Promise<unknown>>>();

async function oneByOne<T>(keepsakes: Keepsakes, name: string, work: () => Promise<T>): Promise<T> {
	const queues = running.get(keepsakes) ?? new Map<string, Promise<unknown>>();
	running.set(keepsakes, queues);
	const before = queues.get(name);
	const turn = (async () => {
		await before?.catch(() => {});
		return work();
	})();
	queues.set(name, turn);
	try {
		return await turn;
	} finally {
		if (queues.get(name) === turn) queues.delete(name);
	}
}
