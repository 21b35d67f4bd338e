import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { type CstoreRange, equalBytes, MalformedMessageError } from "@tabmesh/wire";
import { fingerprintOf, type Item, shortId } from "./replica.ts";

const idDigits = 32;
/** Pieces that a range is cut into where fingerprints differ: fewer rounds for a little more in each. */
const pieces = 16;
/** Up to here ids are told at once: a further round of fingerprints would cost about as much. */
const fewItems = 32;
/** Bytes of one answer; what is left is told as one fingerprint and looked at in the next round. */
const answerBytes = 64 * 1024;
/** A range costs about this much beside its bytes. */
const rangeOverhead = 16;

const mode = { skip: 0, fingerprint: 1, ids: 2 } as const;

interface Bound {
	readonly stamp: number;
	/** The beginning of an id, in hexadecimal digits. */
	readonly prefix: string;
}

const end: Bound = { stamp: Number.MAX_SAFE_INTEGER, prefix: "" };

/** A set of records that can be compared with another peer's. */
export interface ItemSet {
	/** Sorted by stamp and id. */
	readonly items: readonly Item[];
	/** The sum of the ids `from` to `to - 1` as numbers modulo 2^256. */
	sumOf(from: number, to: number): bigint;
}

/** One step of a comparison. */
export interface Step {
	/** What to say next; empty when all is known. */
	readonly ranges: CstoreRange[];
	/** Ids, 32 digits, that only we have. */
	readonly have: readonly string[];
	/** What only they have, each with a guess at its stamp: between those of the range that it was told in. */
	readonly need: readonly Item[];
}

/** The first word of whoever begins. */
export function firstRanges(set: ItemSet): CstoreRange[] {
	const count = set.items.length;
	return [count <= fewItems ? idsRange(set, 0, count, end) : fingerprintRange(set, 0, count, end)];
}

/**
 * Looks at what the other side said and says what is missing to know the difference. Range-based set reconciliation:
 * where fingerprints of a range of the sorted set differ, the range is cut into pieces, until ids are few enough to be
 * listed. Bytes are proportional to the difference times the logarithm of the set.
 *
 * @param began - whether we began: only that side learns the difference, the other one answers
 * @throws MalformedMessageError when ranges are out of order
 * @see Meyer: Range-Based Set Reconciliation, SRDS 2023 (arXiv 2212.13567); why not a library: docs/decisions/0012
 */
export function reconcile(set: ItemSet, said: readonly CstoreRange[], began: boolean): Step {
	const { items } = set;
	const ranges: CstoreRange[] = [];
	const have: string[] = [];
	const need: Item[] = [];
	let bytes = 0;
	let from = 0;
	let low: Bound = { stamp: 0, prefix: "" };
	const say = (range: CstoreRange): void => {
		// Neighbours with nothing to say are one.
		if (range[2] === mode.skip && ranges.at(-1)?.[2] === mode.skip) ranges.pop();
		ranges.push(range);
		bytes += rangeOverhead + range[3].byteLength;
	};
	for (const range of said) {
		const high: Bound = { stamp: range[0], prefix: bytesToHex(range[1]) };
		if (compareBounds(high, low) < 0) throw new MalformedMessageError("Ranges are out of order.");
		if (bytes > answerBytes) {
			say(fingerprintRange(set, from, items.length, end));
			return { ranges, have, need };
		}
		const to = firstNotBelow(items, high, from);
		if (range[2] === mode.skip) say(skipRange(high));
		else if (range[2] === mode.fingerprint) {
			if (equalBytes(range[3], fingerprintOf(set.sumOf(from, to), to - from))) say(skipRange(high));
			else if (to - from <= fewItems) say(idsRange(set, from, to, high));
			else for (const piece of cut(set, from, to, high)) say(piece);
		} else {
			const theirs = idsOf(range[3]);
			const ours = new Set<string>();
			for (let i = from; i < to; i++) ours.add(shortId(items[i]!.id));
			if (began) {
				const theirSet = new Set(theirs);
				for (const id of ours) if (!theirSet.has(id)) have.push(id);
				const missing = theirs.filter((id) => !ours.has(id));
				const top = Math.min(high.stamp, items.at(-1)?.stamp ?? high.stamp);
				const width = Math.max(0, top - low.stamp);
				for (const [i, id] of missing.entries()) {
					need.push({ id, stamp: low.stamp + (width * i) / missing.length });
				}
				say(skipRange(high));
			} else if (theirs.length === ours.size && theirs.every((id) => ours.has(id))) say(skipRange(high));
			else if ((to - from) * (idDigits / 2) > answerBytes) {
				// As many as fit; the rest of the range is looked at again.
				const middle = from + Math.floor(answerBytes / (idDigits / 2));
				say(idsRange(set, from, middle, boundBetween(items[middle - 1]!, items[middle]!)));
				say(fingerprintRange(set, middle, to, high));
			} else say(idsRange(set, from, to, high));
		}
		from = to;
		low = high;
	}
	// Silence about a range means that nothing is left to say about it.
	while (ranges.at(-1)?.[2] === mode.skip) ranges.pop();
	return { ranges, have, need };
}

function* cut(set: ItemSet, from: number, to: number, high: Bound): Generator<CstoreRange> {
	let start = from;
	for (let piece = 1; piece <= pieces; piece++) {
		const stop = from + Math.floor(((to - from) * piece) / pieces);
		const bound = piece === pieces ? high : boundBetween(set.items[stop - 1]!, set.items[stop]!);
		yield fingerprintRange(set, start, stop, bound);
		start = stop;
	}
}

/** The shortest bound above `below` and not above `above`. */
function boundBetween(below: Item, above: Item): Bound {
	if (below.stamp !== above.stamp) return { stamp: above.stamp, prefix: "" };
	let same = 0;
	while (same < idDigits && below.id[same] === above.id[same]) same++;
	return { stamp: above.stamp, prefix: above.id.slice(0, Math.min(idDigits, (same & ~1) + 2)) };
}

function firstNotBelow(items: readonly Item[], bound: Bound, from: number): number {
	let low = from;
	let high = items.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const { stamp, id } = items[middle]!;
		if (stamp < bound.stamp || (stamp === bound.stamp && id < bound.prefix)) low = middle + 1;
		else high = middle;
	}
	return low;
}

function compareBounds(a: Bound, b: Bound): number {
	return a.stamp - b.stamp || (a.prefix < b.prefix ? -1 : a.prefix > b.prefix ? 1 : 0);
}

function skipRange(bound: Bound): CstoreRange {
	return [bound.stamp, hexToBytes(bound.prefix), mode.skip, new Uint8Array(0)];
}

function fingerprintRange(set: ItemSet, from: number, to: number, bound: Bound): CstoreRange {
	const fingerprint = fingerprintOf(set.sumOf(from, to), to - from);
	return [bound.stamp, hexToBytes(bound.prefix), mode.fingerprint, fingerprint];
}

function idsRange(set: ItemSet, from: number, to: number, bound: Bound): CstoreRange {
	const ids = hexToBytes(
		set.items
			.slice(from, to)
			.map(({ id }) => shortId(id))
			.join(""),
	);
	return [bound.stamp, hexToBytes(bound.prefix), mode.ids, ids];
}

/** The ids in `bytes`, 16 bytes each, as digits. */
export function idsOf(bytes: Uint8Array): string[] {
	const digits = bytesToHex(bytes);
	return Array.from({ length: digits.length / idDigits }, (_, i) =>
		digits.slice(i * idDigits, (i + 1) * idDigits),
	);
}

/** Ids of 32 digits or more as bytes, 16 each. */
export function bytesOfIds(ids: readonly string[]): Uint8Array {
	return hexToBytes(ids.map(shortId).join(""));
}
