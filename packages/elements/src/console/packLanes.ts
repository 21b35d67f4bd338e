import type { ModelView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import type { HeldSpan } from "@tabmesh/wire";

/** One span that a peer holds, or is about to hold, in its place in the picture. */
export interface LaneBar {
	readonly peer: string;
	readonly span: HeldSpan;
	/** Answers that its peer serves now. */
	readonly streams: number;
	/** From 0, the lowest: bars of one lane never overlap. */
	readonly lane: number;
}

/**
 * Lays the spans of one model one above the other, each in the lowest lane that is free: above every layer lie as many bars as there are
 * peers with it, so that the picture's outline is the number of copies. As few lanes as can be (greedy colouring of intervals by their
 * beginning), and a peer stays where it is while nobody that sorts before it comes or goes.
 */
export function packLanes(
	model: Pick<ModelView, "id" | "layers">,
	members: readonly Member[],
): { readonly bars: readonly LaneBar[]; readonly lanes: number } {
	const held: Omit<LaneBar, "lane">[] = [];
	for (const { peer, lends } of members) {
		for (const span of lends?.spans ?? []) {
			// What a stranger announces may lie beyond the model.
			if (span.model === model.id && span.from < span.to && span.from < model.layers)
				held.push({ peer, span, streams: lends!.streams });
		}
	}
	held.sort(
		(a, b) =>
			a.span.from - b.span.from || b.span.to - a.span.to || (a.peer < b.peer ? -1 : Number(a.peer > b.peer)),
	);
	const ends: number[] = [];
	const bars = held.map((bar): LaneBar => {
		const { from, to } = bar.span;
		const free = ends.findIndex((end) => end <= from);
		const lane = free < 0 ? ends.length : free;
		ends[lane] = to;
		return { ...bar, lane };
	});
	return { bars, lanes: ends.length };
}
