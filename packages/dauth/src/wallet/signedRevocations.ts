import { decodeCbor, equalBytes, limits, signedRevocationSchema, TabmeshError } from "@tabmesh/wire";
import { hexToBytes } from "viem/utils";
import type { ContractVerifier } from "../contractVerifier.ts";
import type { RevocationKey, RevocationView } from "../revocationView.ts";
import { revocationHash } from "./delegationHash.ts";
import { isWalletSignature } from "./walletSignature.ts";

// A store that anybody may write to can hold rubbish under the same name; this many are looked at.
const mostCandidates = 16;

/**
 * A view of the revocations that lie in some store: of what `find` returns, one that the wallet itself signed counts,
 * and everything else is passed over. So the store needs no trust, except that it does not hide things.
 *
 * @param find - the encoded signed revocations stored for a delegation
 */
export function signedRevocations(
	find: (key: RevocationKey, options: { signal?: AbortSignal }) => Promise<Iterable<Uint8Array>>,
	contracts?: ContractVerifier,
): RevocationView {
	return {
		async isRevoked(key, options = {}) {
			let looked = 0;
			for (const bytes of await find(key, options)) {
				if (looked++ >= mostCandidates) break;
				if (await revokes(bytes, key, contracts, options.signal)) return true;
			}
			return false;
		},
	};
}

async function revokes(
	bytes: Uint8Array,
	{ chainId, nonce, wallet }: RevocationKey,
	contracts: ContractVerifier | undefined,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	try {
		const { revocation, ...signed } = decodeCbor(signedRevocationSchema, bytes, limits.delegationBytes);
		const meant =
			revocation.chainId === chainId &&
			equalBytes(revocation.nonce, nonce) &&
			equalBytes(revocation.wallet, hexToBytes(wallet));
		if (!meant) return false;
		const what = { wallet: revocation.wallet, hash: revocationHash(revocation), chainId };
		return await isWalletSignature(signed, what, contracts, signal);
	} catch (error) {
		signal?.throwIfAborted();
		if (error instanceof TabmeshError) return false;
		throw error;
	}
}
