import type { Range } from "./bestChain.ts";

/** A shorter span is served as a whole: a home's line brings it within a minute, and by each part that is announced everybody plans. */
const GROWS_FROM_BYTES = 64 * 1024 * 1024;
/** What comes within two seconds more is waited for: so long gossip takes to tell of a part. */
const SOON_MS = 2_000;
/** The first part of a span that is served is a quarter of it; each next one is twice as long: what is opened anew is never much. */
const FIRST_SHARE = 1 / 4;

/**
 * The parts of `span` that a lender serves one after the other while it still fetches the rest, the last one the span
 * itself: first those layers that have the fewest holders, so that they wait for their own bytes only and not for all others.
 *
 * @param holders - for each layer of the model, how many serve it now
 * @param bytes - of the span's weights
 */
export function growth({ from, to }: Range, holders: readonly number[], bytes: number): Range[] {
	if (bytes < GROWS_FROM_BYTES) return [{ from, to }];
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

/** Whether the rest of a span is here so soon, at the pace of the part that is here, that this one is not served by itself. */
export function isSoonWhole(
	part: { readonly bytes: number; readonly ms: number },
	restBytes: number,
): boolean {
	return restBytes * part.ms <= SOON_MS * part.bytes;
}
