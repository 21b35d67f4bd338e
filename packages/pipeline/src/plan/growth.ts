import type { Range } from "./bestChain.ts";

/** The first part of a span that is served is a quarter of it; each next one is twice as long: what is opened anew is never much. */
const FIRST_SHARE = 1 / 4;

/**
 * The parts of `span` that a lender serves one after the other while it still fetches the rest, the last one the span
 * itself: first those layers that have the fewest holders, so that they wait for their own bytes only and not for all others.
 *
 * @param holders - for each layer of the model, how many serve it now
 */
export function growth({ from, to }: Range, holders: readonly number[]): Range[] {
	const length = to - from;
	let size = Math.ceil(length * FIRST_SHARE);
	let start = from;
	const held = (at: number): number => holders.slice(at, at + size).reduce((sum, count) => sum + count, 0);
	for (let at = from; at + size <= to; at++) if (held(at) < held(start)) start = at;
	let end = start + size;
	const parts: Range[] = [];
	while (end - start < length) {
		parts.push({ from: start, to: end });
		size = Math.min(length, 2 * (end - start));
		while (end - start < size) {
			const before = start > from ? holders[start - 1]! : Number.POSITIVE_INFINITY;
			const behind = end < to ? holders[end]! : Number.POSITIVE_INFINITY;
			if (before < behind) start--;
			else end++;
		}
	}
	return [...parts, { from, to }];
}
