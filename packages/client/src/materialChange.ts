import type { Announcement, MeasuredLink } from "@tabmesh/wire";

/** Figures that are off by less than this share change nobody's plans. */
const tolerance = 0.2;
/** Nor do round trips that differ by less than so many milliseconds. */
const felt = 10;

/** Whether others would plan differently if they heard `after` where they know `before`: other streams, or clearly another speed or memory. */
export function isMaterialChange(before: Announcement | undefined, after: Announcement): boolean {
	const known = before?.lends;
	const { lends } = after;
	if (!known || !lends) return known !== lends;
	return (
		known.streams !== lends.streams ||
		known.spans.length !== lends.spans.length ||
		layersStored(known) !== layersStored(lends) ||
		areElsewhere(known.links ?? [], lends.links ?? []) ||
		isApart(known.freeBytes, lends.freeBytes) ||
		isApart(known.bytesPerMs, lends.bytesPerMs) ||
		known.spans.some(({ msPerToken }, i) => isApart(msPerToken, lends.spans[i]!.msPerToken))
	);
}

function layersStored({ stored = [] }: NonNullable<Announcement["lends"]>): number {
	return stored.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Whether somebody else is near, or who was near is at clearly another distance. */
function areElsewhere(known: readonly MeasuredLink[], links: readonly MeasuredLink[]): boolean {
	const before = new Map(known.map(([peer, rttMs]) => [peer, rttMs]));
	return (
		known.length !== links.length ||
		links.some(([peer, rttMs]) => {
			const was = before.get(peer);
			return was === undefined || (isApart(was, rttMs) && Math.abs(was - rttMs) > felt);
		})
	);
}

function isApart(a: number, b: number): boolean {
	return Math.abs(a - b) > tolerance * Math.max(a, b);
}
