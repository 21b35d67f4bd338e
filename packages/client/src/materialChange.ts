import type { Announcement } from "@tabmesh/wire";

/** Figures that are off by less than this share change nobody's plans. */
const tolerance = 0.2;

/** Whether others would plan differently if they heard `after` where they know `before`: other streams, or clearly another speed or memory. */
export function isMaterialChange(before: Announcement | undefined, after: Announcement): boolean {
	const known = before?.lends;
	const { lends } = after;
	if (!known || !lends) return known !== lends;
	return (
		known.streams !== lends.streams ||
		known.spans.length !== lends.spans.length ||
		isApart(known.freeBytes, lends.freeBytes) ||
		isApart(known.bytesPerMs, lends.bytesPerMs) ||
		known.spans.some(({ msPerToken }, i) => isApart(msPerToken, lends.spans[i]!.msPerToken))
	);
}

function isApart(a: number, b: number): boolean {
	return Math.abs(a - b) > tolerance * Math.max(a, b);
}
