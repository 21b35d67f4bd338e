import type { Span } from "@tabmesh/wire";

/** What lies at a place in a model. */
interface Placed {
	readonly span: Span;
}

/**
 * Of parts that are in memory those that a span can be made of: inside it, none of them twice, the longest first. In their order in
 * the model.
 */
export function partsWithin<T extends Placed>({ from, to, embed, head }: Span, parts: Iterable<T>): T[] {
	const inside = [...new Set(parts)].filter(
		({ span }) => from <= span.from && span.to <= to && (embed || !span.embed) && (head || !span.head),
	);
	const chosen: T[] = [];
	for (const part of inside.sort((a, b) => lengthOf(b) - lengthOf(a))) {
		if (!chosen.some((other) => overlap(part.span, other.span))) chosen.push(part);
	}
	return chosen.sort(byPlace);
}

/** What of a span lies in none of `parts`, which are in order and inside it: what is before the first, between them, and behind the last. */
export function gapsBetween(span: Span, parts: readonly Span[]): Span[] {
	const gaps: Span[] = [];
	let at = span.from;
	for (const [i, part] of parts.entries()) {
		// An embedding without a layer is a gap, too, where the first part lacks it.
		const embed = i === 0 && span.embed && !part.embed;
		if (at < part.from || (embed && at === part.from))
			gaps.push({ from: at, to: part.from, embed, head: false });
		at = part.to;
	}
	const embed = span.embed && parts.length === 0;
	const head = span.head && !parts.at(-1)?.head;
	if (at < span.to || embed || head) gaps.push({ from: at, to: span.to, embed, head });
	return gaps;
}

/** Parts one behind the other; a head by itself is behind the last layer. */
export function byPlace({ span: a }: Placed, { span: b }: Placed): number {
	return a.from - b.from || a.to - b.to || Number(a.head) - Number(b.head);
}

/** Layers, of which an embedding or a head is a part of one. */
function lengthOf({ span: { from, to, head } }: Placed): number {
	return to - from + Number(head) / 2;
}

function overlap(a: Span, b: Span): boolean {
	return (a.from < b.to && b.from < a.to) || (a.head && b.head) || (a.embed && b.embed);
}
