// IEEE 754 binary16. Engines of 2025 have Float16Array, which is exact and fast; older ones get the bit arithmetic below,
// which the tests hold against it for all 65,536 values and for random floats.

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The binary16 bits of `value`, rounded to nearest, ties to even. Beyond 65,504 it becomes infinity. */
export function halfBits(value: number): number {
	float[0] = value;
	const x = bits[0]!;
	const sign = (x >>> 16) & 0x8000;
	const magnitude = x & 0x7fffffff;
	if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
	if (magnitude >= 0x47800000) return sign | 0x7c00; // 65,536 and beyond, infinity
	if (magnitude < 0x33000001) return sign; // half of the smallest subnormal and below
	if (magnitude < 0x38800000) {
		// Subnormal: shift the significand, with its hidden bit, into place and round.
		const shift = 126 - (magnitude >>> 23);
		const significand = (magnitude & 0x7fffff) | 0x800000;
		const kept = significand >>> shift;
		const rest = significand & ((1 << shift) - 1);
		const half = 1 << (shift - 1);
		return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
	}
	// Adding, not or-ing, lets a carry run from the significand into the exponent, up to infinity.
	const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
	return sign | (rounded >>> 13);
}

/** The number that binary16 `half` stands for. */
export function halfValue(half: number): number {
	const sign = half & 0x8000 ? -1 : 1;
	const exponent = (half >>> 10) & 0x1f;
	const significand = half & 0x3ff;
	if (exponent === 0) return sign * significand * 2 ** -24;
	if (exponent === 31) return significand ? Number.NaN : sign * Number.POSITIVE_INFINITY;
	return sign * (1 + significand / 1024) * 2 ** (exponent - 15);
}

interface Float16ArrayConstructor {
	new (values: ArrayLike<number>): { readonly buffer: ArrayBuffer; readonly byteLength: number };
	new (
		buffer: ArrayBuffer,
		byteOffset: number,
		length: number,
	): ArrayLike<number> & { readonly byteLength: number };
}
const NativeFloat16Array = (globalThis as { Float16Array?: Float16ArrayConstructor }).Float16Array;

/** Little-endian binary16 bytes of `values`, rounded to nearest, ties to even. */
export function float32ToHalf(values: Float32Array): Uint8Array<ArrayBuffer> {
	if (NativeFloat16Array) return new Uint8Array(new NativeFloat16Array(values).buffer);
	const out = new Uint16Array(values.length);
	for (let i = 0; i < values.length; i++) out[i] = halfBits(values[i]!);
	return new Uint8Array(out.buffer);
}

/** The values of little-endian binary16 `bytes`; the length must be even. */
export function halfToFloat32(bytes: Uint8Array): Float32Array<ArrayBuffer> {
	const length = bytes.byteLength >>> 1;
	// A copy aligns the bytes, which a view at an odd offset of a network buffer is not.
	const aligned = bytes.slice(0, length * 2).buffer as ArrayBuffer;
	if (NativeFloat16Array) return Float32Array.from(new NativeFloat16Array(aligned, 0, length));
	const halves = new Uint16Array(aligned);
	const out = new Float32Array(length);
	for (let i = 0; i < length; i++) out[i] = halfValue(halves[i]!);
	return out;
}
