import type { Hex } from "viem";
import { bytesToBigInt, bytesToHex, numberToBytes, recoverAddress } from "viem/utils";

// The order of secp256k1 (SEC 2, §2.4.1).
const order = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;

/**
 * The address whose key made `signature` over `hash`; undefined when nobody did.
 *
 * One signature has one form: 65 bytes `r ‖ s ‖ v` with the lower of both possible `s` (EIP-2) and `v` 27 or 28. Without
 * that, anybody could turn a signature into a second one that is as good and looks different.
 */
export async function recoverSigner(hash: Hex, signature: Uint8Array): Promise<Hex | undefined> {
	if (signature.byteLength !== 65) return undefined;
	const v = signature[64]!;
	if (v !== 27 && v !== 28) return undefined;
	if (bytesToBigInt(signature.subarray(32, 64)) > order / 2n) return undefined;
	try {
		return await recoverAddress({ hash, signature: bytesToHex(signature) });
	} catch {
		// r or s is zero or beyond the order, or no point has this r.
		return undefined;
	}
}

/** The one form that {@link recoverSigner} takes of what a wallet returned; some wallets count `v` from 0. */
export function canonicalSignature(signature: Uint8Array): Uint8Array {
	if (signature.byteLength !== 65) return signature;
	const canonical = signature.slice();
	if (canonical[64]! <= 1) canonical[64]! += 27;
	const s = bytesToBigInt(canonical.subarray(32, 64));
	if (s > order / 2n && s < order) {
		canonical.set(numberToBytes(order - s, { size: 32 }), 32);
		canonical[64] = canonical[64] === 27 ? 28 : 27;
	}
	return canonical;
}
