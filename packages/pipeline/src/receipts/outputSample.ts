import { sha256 } from "@noble/hashes/sha2.js";
import { float32ToHalf, receiptOutputs } from "@tabmesh/wire";

/**
 * A few values of one position's outputs, for a receipt. Which ones follows from the token chain: nobody knows before the tokens are
 * there, and whoever computes them again looks at the same.
 *
 * @param outputs - hidden state or logits of the position
 * @param chain - after the position
 * @returns half precision, little-endian
 */
export function outputSample(outputs: Float32Array, chain: Uint8Array): Uint8Array<ArrayBuffer> {
	const places = new DataView(sha256(chain).buffer);
	return float32ToHalf(
		Float32Array.from(
			{ length: receiptOutputs },
			(_, i) => outputs[places.getUint16(2 * i, true) % outputs.length]!,
		),
	);
}
