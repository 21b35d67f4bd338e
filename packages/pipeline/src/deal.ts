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
	readonly speed: number;
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
 * - Without `minStages`, whoever can hold the whole model holds it: one hop is the shortest lap.
 * - What lenders hold stays where it is as long as it is of use. A gap is filled by lenders that hold nothing, then by
 *   those whose layers others hold too, the latest to join first. Everything is dealt anew only when that covers more.
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
		.filter((member) => !member.leaving && member.lends?.models.includes(model.id))
		.sort((a, b) => a.joined - b.joined || (a.peer < b.peer ? -1 : 1))
		.map((member) => lenderOf(member, model.id, sizes));

	const whole = new Map<string, Range>();
	if (minStages === 1) {
		for (const lender of lenders) {
			if (lender.fits(0, layers)) whole.set(lender.peer, { from: 0, to: layers });
		}
	}
	const rest = lenders.filter((lender) => !whole.has(lender.peer));
	const dealt = whole.size > 0 ? keep(rest) : dealSpans(rest, sizes, minStages);
	for (const [peer, range] of whole) dealt.set(peer, range);
	repeatWeakest(dealt, rest, layers);

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
		speed: lends.bytesPerMs,
		time,
		fits,
		// An owner who takes memory back gives layers back.
		held: held && fits(held.from, held.to) ? { from: held.from, to: held.to } : undefined,
	};
}

function keep(lenders: readonly Lender[]): Assignments {
	return new Map(lenders.flatMap(({ peer, held }) => (held ? [[peer, held] as const] : [])));
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

function dealSpans(lenders: readonly Lender[], sizes: ModelSizes, minStages: number): Assignments {
	const { layers } = sizes;
	const kept = keep(lenders);
	const attempt = (assignments: Assignments): Assignments => fillGaps(assignments, lenders, sizes, minStages);
	let best = attempt(kept);
	let bestCoverage = coverage(best, layers);
	// Lenders whose layers others hold too may move, the latest to join first.
	const moved = new Map(kept);
	for (const lender of lenders.toReversed()) {
		if (bestCoverage === layers) return best;
		const range = moved.get(lender.peer);
		if (!range) continue;
		moved.delete(lender.peer);
		if (coverage(moved, layers) < coverage(kept, layers)) {
			moved.set(lender.peer, range);
			continue;
		}
		const candidate = attempt(moved);
		if (coverage(candidate, layers) > bestCoverage) {
			best = candidate;
			bestCoverage = coverage(candidate, layers);
		}
	}
	if (bestCoverage === layers) return best;
	const anew = attempt(new Map());
	return coverage(anew, layers) > bestCoverage ? anew : best;
}

/** Gives every gap that `assignments` leave to lenders that have nothing. */
function fillGaps(
	assignments: Assignments,
	lenders: readonly Lender[],
	sizes: ModelSizes,
	minStages: number,
): Assignments {
	const filled = new Map(assignments);
	const free = lenders.filter((lender) => !filled.has(lender.peer));
	const gaps = gapsOf(countHolders(filled.values(), sizes.layers));
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
		const parts = minStages > 1 ? shareAmongAtLeast(gap, free, wanted, sizes) : shareAmongFewest(gap, free);
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
function shareAmongAtLeast(
	gap: Range,
	free: readonly Lender[],
	stages: number,
	sizes: ModelSizes,
): [Lender, Range][] {
	const layersOfGap = Array.from({ length: gap.to - gap.from }, (_, i) => gap.from + i);
	const able = free.filter((lender) => layersOfGap.some((layer) => lender.fits(layer, layer + 1)));
	const meanSpeed = able.reduce((sum, { speed }) => sum + speed, 0) / able.length || 1;
	for (let count = stages; count <= gap.to - gap.from; count++) {
		const present = able.slice(0, count);
		const awaited: Lender[] = Array.from({ length: count - present.length }, () => ({
			peer: "",
			speed: meanSpeed,
			time: (from, to) => sizes.weightBytes({ ...spanOf(from, to, sizes.layers), embed: false }) / meanSpeed,
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
