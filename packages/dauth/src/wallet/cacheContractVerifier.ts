import { sha256 } from "@noble/hashes/sha2.js";
import { encodeCbor, TimeoutError } from "@tabmesh/wire";
import { bytesToHex } from "viem/utils";
import type { ContractSignature, ContractVerifier } from "../contractVerifier.ts";
import { settleWithin } from "./settleWithin.ts";

export interface ContractCacheInit {
	/** How long a yes is believed, in milliseconds: so long after a change of owners a contract wallet's old signatures may pass. @default 10 minutes */
	lifetimeMs?: number;
	/** How long a no is believed, in milliseconds: a wallet may be deployed meanwhile. @default 1 minute */
	refusalMs?: number;
	/** How long the chain has for an answer, in milliseconds. @default 10 seconds */
	timeoutMs?: number;
	/** Answers remembered at once. @default 1,000 */
	capacity?: number;
	/** Questions asked at once; more wait their turn nowhere but are refused. @default 16 */
	concurrency?: number;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** Asks `verifier` once for each signature and remembers the answer for a stated time. Failures are not remembered. */
export function cacheContractVerifier(
	verifier: ContractVerifier,
	init: ContractCacheInit = {},
): ContractVerifier {
	const lifetimeMs = init.lifetimeMs ?? 10 * 60_000;
	const refusalMs = init.refusalMs ?? 60_000;
	const timeoutMs = init.timeoutMs ?? 10_000;
	const capacity = init.capacity ?? 1000;
	const concurrency = init.concurrency ?? 16;
	const now = init.now ?? Date.now;
	const answers = new Map<string, { valid: boolean; until: number }>();
	const asking = new Map<string, Promise<boolean>>();

	const ask = async (key: string, call: ContractSignature): Promise<boolean> => {
		const valid = await settleWithin(timeoutMs, undefined, (signal) =>
			verifier.isValidSignature(call, { signal }),
		);
		answers.delete(key);
		answers.set(key, { valid, until: now() + (valid ? lifetimeMs : refusalMs) });
		// Oldest first: a Map keeps the order of insertion.
		for (const oldest of answers.keys()) {
			if (answers.size <= capacity) break;
			answers.delete(oldest);
		}
		return valid;
	};

	return {
		async isValidSignature(call, { signal } = {}) {
			signal?.throwIfAborted();
			const { chainId, wallet, hash, signature } = call;
			const key = bytesToHex(sha256(encodeCbor([chainId, wallet.toLowerCase(), hash, signature])));
			const known = answers.get(key);
			if (known && now() < known.until) return known.valid;
			let question = asking.get(key);
			if (!question) {
				if (asking.size >= concurrency) throw new TimeoutError("Too many contract wallets are asked about.");
				question = ask(key, call).finally(() => asking.delete(key));
				asking.set(key, question);
			}
			const asked = question;
			// Whoever stops waiting does not stop the others.
			return settleWithin(timeoutMs, signal, () => asked);
		},
	};
}
