// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a function
// from key and counter to 128 bits, so that no generator state has to survive a stage. Its published vectors are in the
// test.
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** The high 32 bits of the 64-bit product of two 32-bit words, from four 16-bit products, which doubles hold exactly. */
function highProduct(a: number, b: number): number {
	const aHigh = a >>> 16;
	const aLow = a & 0xffff;
	const bHigh = b >>> 16;
	const bLow = b & 0xffff;
	const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
	const carry = (middle % 0x10000) + aLow * bHigh;
	return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** Ten rounds of Philox4x32: four 32-bit words for a counter of four and a key of two. */
export function philox4x32(
	counter: readonly [number, number, number, number],
	key: readonly [number, number],
): [number, number, number, number] {
	let [c0, c1, c2, c3] = counter;
	let [k0, k1] = key;
	for (let round = 0; round < ROUNDS; round++) {
		const high0 = highProduct(MULTIPLIER_0, c0);
		const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
		const high1 = highProduct(MULTIPLIER_1, c2);
		const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
		c0 = (high1 ^ c1 ^ k0) >>> 0;
		c1 = low1;
		c2 = (high0 ^ c3 ^ k1) >>> 0;
		c3 = low0;
		k0 = (k0 + WEYL_0) >>> 0;
		k1 = (k1 + WEYL_1) >>> 0;
	}
	return [c0, c1, c2, c3];
}

/**
 * The random number of one position: PRF(seed, position), uniform in [0, 1) with 53 bits.
 *
 * Philox4x32-10 with the key `(seed, 0)` and the counter `(position, 0, 0, 0)`; of its first two words, 53 bits.
 *
 * @param seed - 32 bits
 * @param position - 32 bits
 */
export function uniform(seed: number, position: number): number {
	const [high, low] = philox4x32([position >>> 0, 0, 0, 0], [seed >>> 0, 0]);
	return (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
}
