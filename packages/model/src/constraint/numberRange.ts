// Numbers have at most 15 digits in all, so that every one of them is another double, and what a text says is what a reader gets.
/** Units of one: six digits behind the point. */
export const numberScale = 1_000_000n;
const FRACTION_DIGITS = 6;
/** Digits before a point, and of a number without one. */
const UNIT_DIGITS = 9;
const WHOLE_DIGITS = 15;

/** The largest number that can be written, in units of `numberScale`. */
export const largestNumber: bigint = (10n ** BigInt(WHOLE_DIGITS) - 1n) * numberScale;

interface NumberBounds {
	readonly whole: boolean;
	readonly least: bigint;
	readonly most: bigint;
}

/**
 * How many more bytes the beginning of a number needs at most to become one within its bounds, 0 where it is one.
 *
 * @param text - a beginning that `growsNumber` let grow
 * @returns undefined where none begins so
 */
export function bytesToNumber(text: string, { whole, least, most }: NumberBounds): number | undefined {
	const negative = text.startsWith("-");
	const [from, to] = negative ? [-most, -least] : [least, most];
	const [units = "", fraction] = text.slice(negative ? 1 : 0).split(".");
	if (units === "") {
		// Any digit may come next.
		const lengths = Array.from({ length: 10 }, (_, digit) =>
			bytesToNumber(`${text}${digit}`, { whole, least, most }),
		);
		const found = [...lengths, negative ? undefined : bytesToNegative(text, { whole, least, most })];
		const known = found.filter((length) => length !== undefined);
		return known.length > 0 ? Math.min(...known) + 1 : undefined;
	}
	if (negative && units === "0" && whole) return undefined;
	if (fraction !== undefined) {
		const left = FRACTION_DIGITS - fraction.length;
		const low = BigInt(units + fraction) * 10n ** BigInt(left);
		const isNumber = fraction !== "" && low >= from && low <= to;
		if (isNumber) return 0;
		const high = low + 10n ** BigInt(left) - 1n;
		return left > 0 && high >= from && low <= to ? left : undefined;
	}
	const more = units === "0" ? 0 : WHOLE_DIGITS - units.length;
	for (let digits = 0; digits <= more; digits++) {
		const grown = 10n ** BigInt(digits);
		const low = BigInt(units) * grown * numberScale;
		const high = (BigInt(units) * grown + grown - 1n) * numberScale;
		// Whole numbers between the two.
		const first = from <= low ? low : ceilingOf(from);
		if (first <= high && first <= to) return digits;
		const end = high + numberScale - 1n;
		const mayHavePoint = !whole && units.length + digits <= UNIT_DIGITS;
		if (mayHavePoint && end >= from && low <= to) return digits + 1 + FRACTION_DIGITS;
	}
	return undefined;
}

function bytesToNegative(text: string, bounds: NumberBounds): number | undefined {
	return bounds.least < 0n ? bytesToNumber(`${text}-`, bounds) : undefined;
}

/** The least whole number from here on, in units. */
export function ceilingOf(units: bigint): bigint {
	const over = ((units % numberScale) + numberScale) % numberScale;
	return over === 0n ? units : units - over + numberScale;
}

/** Whether `text` with `byte` behind it has the form of a beginning of a number. */
export function growsNumber(text: string, byte: number, whole: boolean): boolean {
	const digit = byte >= 0x30 && byte <= 0x39;
	if (text === "") return digit || byte === 0x2d;
	if (text === "-") return digit;
	const point = text.indexOf(".");
	if (point >= 0) return digit && text.length - point - 1 < FRACTION_DIGITS;
	const units = text.startsWith("-") ? text.slice(1) : text;
	if (byte === 0x2e) return !whole && units.length <= UNIT_DIGITS;
	return digit && units !== "0" && units.length < WHOLE_DIGITS;
}
