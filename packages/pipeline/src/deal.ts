import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";
import { type ModelSizes, modelSizes, spanOf } from "./modelSizes.ts";

/** Part of a lender's memory that weights and KV may fill; the rest is scratch space of the run itself. */
const USABLE_MEMORY = 0.9;

export interface DealOptions {
	/** Spread the layers over at least so many lenders. @default 1 */
	minStages?: number;
}

/** Who should hold what of one model. */
export interface Deal {
	/** Peer id to the span it should hold. Lenders that are of no use now are absent. */
	readonly assignments: ReadonlyMap<string, Span>;
	/** For each layer, how many lenders are to hold it. */
	readonly holders: readonly number[];
	/** Whether the assignments cover every layer. */
	readonly complete: boolean;
	/** Bytes of memory that lenders have to add before the whole model fits; 0 when it does. */
	readonly missingBytes: number;
}

/** A lender as the deal sees it. */
interface Lender {
	readonly peer: string;
	/** Milliseconds that one decode step through layers `[from, to)` takes it, the head included. */
	time(from: number, to: number): number;
	/** Whether it has room for layers `[from, to)`. */
	fits(from: number, to: number): boolean;
	/** What it holds or is fetching of this model. */
	readonly held: Range | undefined;
}

interface Range {
	readonly from: number;
	readonly to: number;
}

/**
 * Deals the layers of one model out. Pure and deterministic: every lender runs it on its own view of the swarm and takes
 * its own part, and views that differ for a moment come to the same end.
 *
 * - Whoever holds something keeps it while every layer is held: neither a newcomer nor new figures move anybody.
 * - Without `minStages`, a newcomer that can hold the whole model holds it: one hop is the shortest lap.
 * - A gap is filled by lenders that hold nothing, then by those whose layers others hold too, the latest to join first.
 *   Nobody else moves unless that makes the model whole; then those do who have the fewest layers to load for it.
 * - Stages share the layers so that each takes about the same time, within their memory. With `minStages` the shares of
 *   lenders that are still to come are left for them.
 * - Whoever is left over repeats the span with the fewest holders.
 *
 * Embedding and head count as part of the first and last layer.
 */
export function deal(members: readonly Member[], model: ModelRef, options: DealOptions = {}): Deal {
	const sizes = modelSizes(model.manifest);
	const { layers } = sizes;
	const minStages = Math.min(Math.max(1, options.minStages ?? 1), layers);
	const lenders = members
		.filter((member) => member.lends?.models.includes(model.id))
		.sort((a, b) => a.joined - b.joined || (a.peer < b.peer ? -1 : 1))
		.map((member) => lenderOf(member, model.id, sizes));

	const dealt = assign(lenders, layers, minStages);
	repeatWeakest(dealt, lenders, layers);

	const holders = countHolders(dealt.values(), layers);
	const missingBytes = gapsOf(holders).reduce(
		(sum, gap) => sum + Math.ceil(sizes.servingBytes(spanOf(gap.from, gap.to, layers)) / USABLE_MEMORY),
		0,
	);
	return {
		assignments: new Map([...dealt].map(([peer, { from, to }]) => [peer, spanOf(from, to, layers)])),
		holders,
		complete: missingBytes === 0,
		missingBytes,
	};
}

type Assignments = Map<string, Range>;

function lenderOf(member: Member, model: string, sizes: ModelSizes): Lender {
	const lends = member.lends!;
	// The embedding costs memory but no time: a token looks up one row of it.
	const decodeBytes = (from: number, to: number, numericsClass?: string): number =>
		sizes.weightBytes({ ...spanOf(from, to, sizes.layers), embed: false }, numericsClass);
	const usable = lends.memoryBytes * USABLE_MEMORY;
	const fits = (from: number, to: number): boolean =>
		sizes.servingBytes(spanOf(from, to, sizes.layers), lends.numericsClass) <= usable;
	const time = (from: number, to: number): number =>
		decodeBytes(from, to, lends.numericsClass) / lends.bytesPerMs;
	const held = lends.spans
		.filter((span) => span.model === model && span.to <= sizes.layers && span.to > span.from)
		// Only what the deal could have given: a first layer without its embedding closes no gap.
		.filter((span) => span.embed === (span.from === 0) && span.head === (span.to === sizes.layers))
		// Who moves announces both spans: where it moves to counts, or everybody would send it there again.
		.sort(
			(a, b) => Number(a.ready) - Number(b.ready) || b.to - b.from - (a.to - a.from) || a.from - b.from,
		)[0];
	return {
		peer: member.peer,
		time,
		fits,
		// An owner who takes memory back gives layers back.
		held: held && fits(held.from, held.to) ? { from: held.from, to: held.to } : undefined,
	};
}

function countHolders(ranges: Iterable<Range>, layers: number): number[] {
	const holders = new Array<number>(layers).fill(0);
	for (const { from, to } of ranges) for (let layer = from; layer < to; layer++) holders[layer]!++;
	return holders;
}

function gapsOf(holders: readonly number[]): Range[] {
	const gaps: Range[] = [];
	for (let from = 0; from < holders.length; from++) {
		if (holders[from]! > 0) continue;
		let to = from + 1;
		while (to < holders.length && holders[to] === 0) to++;
		gaps.push({ from, to });
		from = to;
	}
	return gaps;
}

function coverage(assignments: Assignments, layers: number): number {
	return countHolders(assignments.values(), layers).filter((count) => count > 0).length;
}

function assign(lenders: readonly Lender[], layers: number, minStages: number): Assignments {
	const kept: Assignments = new Map();
	for (const { peer, held, fits } of lenders) {
		if (held) kept.set(peer, held);
		else if (minStages === 1 && fits(0, layers)) kept.set(peer, { from: 0, to: layers });
	}
	const filled = fillGaps(kept, lenders, layers, minStages);
	const isWhole = (assignments: Assignments): boolean => coverage(assignments, layers) === layers;
	if (isWhole(filled)) return filled;
	const bySpares = fillBySpares(kept, lenders, layers, minStages);
	const candidates = [bySpares];
	// Who is held together by fewer lenders than are asked for serves nobody.
	if (lenders.length >= minStages) {
		candidates.push(
			moveOne(filled, lenders, layers),
			stretchNeighbours(bySpares, lenders, layers),
			dealAnew(bySpares, byPlace(filled, lenders, layers), layers, minStages),
			dealAnew(bySpares, lenders, layers, minStages),
		);
	}
	const cost = (candidate: Assignments): number =>
		isWhole(candidate) ? layersToLoad(candidate, lenders) : Number.POSITIVE_INFINITY;
	const costs = candidates.map(cost);
	return candidates[costs.indexOf(Math.min(...costs))]!;
}

/** Layers that lenders would have to load which hold something already. */
function layersToLoad(assignments: Assignments, lenders: readonly Lender[]): number {
	return lenders.reduce((sum, { peer, held }) => {
		const target = assignments.get(peer);
		if (!held || !target) return sum;
		const common = Math.min(held.to, target.to) - Math.max(held.from, target.from);
		return sum + target.to - target.from - Math.max(0, common);
	}, 0);
}

/** Fills gaps by lenders that hold nothing, then by those whose layers others hold too, as few of them as will do. */
function fillBySpares(
	kept: Assignments,
	lenders: readonly Lender[],
	layers: number,
	minStages: number,
): Assignments {
	const base = new Map(kept);
	let best = fillGaps(base, lenders, layers, minStages);
	for (const { peer } of lenders.toReversed()) {
		if (coverage(best, layers) === layers) break;
		const range = base.get(peer);
		if (!range) continue;
		base.delete(peer);
		const isSpare = coverage(base, layers) === coverage(kept, layers);
		const candidate = isSpare ? fillGaps(base, lenders, layers, minStages) : best;
		if (coverage(candidate, layers) > coverage(best, layers)) best = candidate;
		else base.set(peer, range);
	}
	// A spare may have given way to a larger one.
	for (const [peer, range] of kept) if (!best.has(peer)) best.set(peer, range);
	return best;
}

/** Closes all gaps by the one lender that has the fewest layers to load for it, if there is such a lender. */
function moveOne(assignments: Assignments, lenders: readonly Lender[], layers: number): Assignments {
	const holders = countHolders(assignments.values(), layers);
	let best = assignments;
	let least = Number.POSITIVE_INFINITY;
	for (const { peer, fits, held } of lenders) {
		const range = assignments.get(peer);
		const has = (layer: number): boolean => range !== undefined && range.from <= layer && layer < range.to;
		const needsIt = (count: number, layer: number): boolean => count === 0 || (count === 1 && has(layer));
		let from = holders.findIndex(needsIt);
		let to = holders.findLastIndex(needsIt) + 1;
		if (!fits(from, to)) continue;
		while (has(from - 1) && fits(from - 1, to)) from--;
		while (has(to) && fits(from, to + 1)) to++;
		const moved = new Map(assignments).set(peer, { from, to });
		const load = held ? layersToLoad(moved, lenders) : 0;
		if (load < least) [best, least] = [moved, load];
	}
	return best;
}

/** Lets the neighbours of every gap take it in: one of them where its memory allows, else both. They give up what others hold too. */
function stretchNeighbours(
	assignments: Assignments,
	lenders: readonly Lender[],
	layers: number,
): Assignments {
	const stretched = new Map(assignments);
	for (const gap of gapsOf(countHolders(assignments.values(), layers))) {
		const options: [Lender, Range][][] = [];
		for (let cut = gap.from; cut <= gap.to; cut++) {
			const left = stretchedTo({ from: gap.from, to: cut }, stretched, lenders, layers);
			const right = stretchedTo({ from: cut, to: gap.to }, stretched, lenders, layers);
			if (left && right) options.push([...left, ...right]);
		}
		const slowest = (option: [Lender, Range][]): number =>
			Math.max(...option.map(([lender, { from, to }]) => lender.time(from, to)));
		const [best] = options.sort((a, b) => a.length - b.length || slowest(a) - slowest(b));
		for (const [{ peer }, range] of best ?? []) stretched.set(peer, range);
	}
	return stretched;
}

/** The quickest neighbour of `part` that can take it in, with its new range; undefined where none can, nobody where it is empty. */
function stretchedTo(
	part: Range,
	assignments: Assignments,
	lenders: readonly Lender[],
	layers: number,
): [] | [[Lender, Range]] | undefined {
	if (part.from === part.to) return [];
	const holders = countHolders(assignments.values(), layers);
	const isNeeded = (layer: number): boolean => holders[layer] === 1;
	let best: [Lender, Range] | undefined;
	for (const lender of lenders) {
		const range = assignments.get(lender.peer);
		if (!range || (range.to !== part.from && range.from !== part.to)) continue;
		let from = Math.min(range.from, part.from);
		let to = Math.max(range.to, part.to);
		while (from < part.from && !isNeeded(from) && !lender.fits(from, to)) from++;
		while (to > part.to && !isNeeded(to - 1) && !lender.fits(from, to)) to--;
		if (!lender.fits(from, to)) continue;
		if (!best || lender.time(from, to) < best[0].time(best[1].from, best[1].to))
			best = [lender, { from, to }];
	}
	return best && [best];
}

/** Lenders in the order of the layers that they hold, those that hold nothing at the first gap. */
function byPlace(assignments: Assignments, lenders: readonly Lender[], layers: number): Lender[] {
	const [gap] = gapsOf(countHolders(assignments.values(), layers));
	const place = ({ peer }: Lender): number => {
		const { from, to } = assignments.get(peer) ?? gap!;
		return from + to;
	};
	return lenders.toSorted((a, b) => place(a) - place(b));
}

/** All layers over `lenders` in their order, as if nobody held anything; whose move is not needed for it stays. */
function dealAnew(
	kept: Assignments,
	lenders: readonly Lender[],
	layers: number,
	minStages: number,
): Assignments {
	const anew = fillGaps(new Map(), lenders, layers, minStages);
	for (const { peer } of lenders) {
		const range = kept.get(peer);
		if (!range) continue;
		const staying = new Map(anew).set(peer, range);
		if (coverage(staying, layers) >= coverage(anew, layers)) anew.set(peer, range);
	}
	return anew;
}

/** Gives every gap that `assignments` leave to lenders that have nothing. */
function fillGaps(
	assignments: Assignments,
	lenders: readonly Lender[],
	layers: number,
	minStages: number,
): Assignments {
	const filled = new Map(assignments);
	const free = lenders.filter((lender) => !filled.has(lender.peer));
	const gaps = gapsOf(countHolders(filled.values(), layers));
	const missing = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
	// Stages that are still to be found, in all gaps together.
	let stages = minStages - fewestStages([...filled.values()]);
	let missingAhead = missing;
	for (const gap of gaps) {
		const length = gap.to - gap.from;
		const share = Math.round((Math.max(0, stages) * length) / missingAhead);
		missingAhead -= length;
		const wanted = Math.min(length, Math.max(1, share));
		stages -= wanted;
		const parts = minStages > 1 ? shareAmongAtLeast(gap, free, wanted) : shareAmongFewest(gap, free);
		for (const [lender, range] of parts) {
			filled.set(lender.peer, range);
			free.splice(free.indexOf(lender), 1);
		}
	}
	return filled;
}

/** Ranges that are needed to cover what all of them cover: greedily, the furthest-reaching one each time. */
function fewestStages(ranges: readonly Range[]): number {
	let count = 0;
	let reached = 0;
	const last = Math.max(0, ...ranges.map((range) => range.to));
	while (reached < last) {
		const next = Math.max(
			...ranges.filter((range) => range.from <= reached).map((range) => range.to),
			Number.NEGATIVE_INFINITY,
		);
		if (next > reached) {
			count++;
			reached = next;
		} else {
			reached = Math.min(...ranges.filter((range) => range.from > reached).map((range) => range.from));
		}
	}
	return count;
}

/** A gap over the fewest lenders that can hold it together, or, where all of them cannot, as much of it as they can. */
function shareAmongFewest(gap: Range, free: readonly Lender[]): [Lender, Range][] {
	const capacity = new Map(free.map((lender) => [lender, reach(lender, gap.from, gap.to) - gap.from]));
	const largestFirst = free.toSorted((a, b) => capacity.get(b)! - capacity.get(a)!);
	for (let count = 1; count <= Math.min(free.length, gap.to - gap.from); count++) {
		const chosen = new Set(largestFirst.slice(0, count));
		const parts = balance(
			gap,
			free.filter((lender) => chosen.has(lender)),
		);
		if (parts) return parts;
	}
	const parts: [Lender, Range][] = [];
	let from = gap.from;
	for (const lender of free) {
		const to = reach(lender, from, gap.to);
		if (to > from) parts.push([lender, { from, to }]);
		from = Math.max(from, to);
	}
	return parts;
}

/** A gap over `stages` lenders or more, by join time. Where too few are here, the shares of those to come stay open. */
function shareAmongAtLeast(gap: Range, free: readonly Lender[], stages: number): [Lender, Range][] {
	const layersOfGap = Array.from({ length: gap.to - gap.from }, (_, i) => gap.from + i);
	const able = free.filter((lender) => layersOfGap.some((layer) => lender.fits(layer, layer + 1)));
	if (able.length === 0) return [];
	const meanTime = (from: number, to: number): number =>
		able.reduce((sum, { time }) => sum + time(from, to), 0) / able.length;
	for (let count = stages; count <= gap.to - gap.from; count++) {
		const present = able.slice(0, count);
		const awaited: Lender[] = Array.from({ length: count - present.length }, () => ({
			peer: "",
			time: meanTime,
			fits: () => true,
			held: undefined,
		}));
		const parts = balance(gap, [...present, ...awaited]);
		if (parts) return parts.filter(([lender]) => lender.peer !== "");
	}
	return shareAmongFewest(gap, able);
}

/** The furthest layer up to which `lender` can hold a range that begins at `from`. */
function reach(lender: Lender, from: number, to: number): number {
	let end = from;
	while (end < to && lender.fits(from, end + 1)) end++;
	return end;
}

/**
 * Cuts a gap into one part for each lender, in their order, so that all take about the same time; undefined when their
 * memory does not allow it.
 */
function balance(gap: Range, lenders: readonly Lender[]): [Lender, Range][] | undefined {
	const length = gap.to - gap.from;
	if (lenders.length === 0 || lenders.length > length) return undefined;
	// costs[i]: the least sum of the parts' times to the fourth power when the lenders so far hold the first i layers.
	// The power makes the slowest part weigh most, and the others still count.
	let costs = new Array<number>(length + 1).fill(Number.POSITIVE_INFINITY);
	costs[0] = 0;
	const cuts: number[][] = [];
	for (const lender of lenders) {
		const next = new Array<number>(length + 1).fill(Number.POSITIVE_INFINITY);
		const cut = new Array<number>(length + 1).fill(-1);
		for (let start = 0; start < length; start++) {
			if (costs[start] === Number.POSITIVE_INFINITY) continue;
			for (let end = start + 1; end <= length; end++) {
				if (!lender.fits(gap.from + start, gap.from + end)) break;
				const cost = costs[start]! + lender.time(gap.from + start, gap.from + end) ** 4;
				if (cost < next[end]!) {
					next[end] = cost;
					cut[end] = start;
				}
			}
		}
		cuts.push(cut);
		costs = next;
	}
	if (costs[length] === Number.POSITIVE_INFINITY) return undefined;
	const parts: [Lender, Range][] = [];
	let end = length;
	for (let i = lenders.length - 1; i >= 0; i--) {
		const start = cuts[i]![end]!;
		parts.unshift([lenders[i]!, { from: gap.from + start, to: gap.from + end }]);
		end = start;
	}
	return parts;
}

/** Gives each lender that has nothing the span with the fewest holders that fits it, or the part of it that does. */
function repeatWeakest(assignments: Assignments, lenders: readonly Lender[], layers: number): void {
	for (const lender of lenders) {
		if (assignments.has(lender.peer)) continue;
		const holders = countHolders(assignments.values(), layers);
		const weakness = ({ from, to }: Range): number =>
			holders.slice(from, to).reduce((sum, count) => sum + count, 0) / (to - from);
		const spans = new Map([...assignments.values()].map((range) => [`${range.from}-${range.to}`, range]));
		const ranked = [...spans.values()].sort(
			(a, b) => weakness(a) - weakness(b) || a.from - b.from || a.to - b.to,
		);
		const fitting = ranked.find(({ from, to }) => lender.fits(from, to));
		if (fitting) {
			assignments.set(lender.peer, fitting);
			continue;
		}
		for (const { from, to } of ranked) {
			const end = reach(lender, from, to);
			if (end > from) {
				assignments.set(lender.peer, { from, to: end });
				break;
			}
		}
	}
}
