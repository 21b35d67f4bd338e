/** Weights of one block share a scale; ONNX Runtime's MatMulNBits takes 16, 32, …, and GGUF's simple formats have 32. */
export const blockSize = 32;

/** A matrix as MatMulNBits takes it. */
export interface QuantisedMatrix {
	/** `[rows, columns / 32, 32 · bits / 8]`, two 4-bit values to a byte, the first in the lower half. */
	readonly packed: Uint8Array<ArrayBuffer>;
	/** `[rows, columns / 32]`: weight = scale · (value - 2^(bits - 1)). */
	readonly scales: Float32Array<ArrayBuffer>;
}

/**
 * Quantises a row-major matrix to blocks of 32 weights with one scale each, around a fixed zero.
 *
 * 8 bits: the largest weight becomes ±127. 4 bits: the largest becomes -8, as in ggml's Q4_0, so that all 16 values are used.
 *
 * @param values - a whole number of blocks
 */
export function quantise(values: Float32Array, bits: 4 | 8): QuantisedMatrix {
	const blocks = values.length / blockSize;
	const packed = new Uint8Array((values.length * bits) / 8);
	const scales = new Float32Array(blocks);
	for (let block = 0; block < blocks; block++) {
		const start = block * blockSize;
		let largest = 0;
		for (let i = start; i < start + blockSize; i++) {
			if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!;
		}
		scales[block] = bits === 8 ? Math.abs(largest) / 127 : largest / -8;
		// Divided by the scale as it is stored, not as it was before rounding.
		const inverse = largest === 0 ? 0 : 1 / scales[block]!;
		for (let i = start; i < start + blockSize; i++) {
			if (bits === 8) packed[i] = Math.round(values[i]! * inverse) + 128;
			else {
				const value = Math.min(15, Math.round(values[i]! * inverse) + 8);
				packed[i >> 1]! |= i % 2 === 0 ? value : value << 4;
			}
		}
	}
	return { packed, scales };
}
