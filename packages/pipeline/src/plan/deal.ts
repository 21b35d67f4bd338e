import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";
import { bestChain, cutEvenly, type Neighbours, type Part, type Range } from "./bestChain.ts";
import { bestPipelines } from "./bestPipelines.ts";
import type { Objective } from "./holders.ts";
import { type Lender, lendersOf, USABLE_MEMORY } from "./lenders.ts";
import { type Links, linksOf } from "./links.ts";
import { modelSizes, spanOf } from "./modelSizes.ts";
import { placeSpares } from "./placeSpares.ts";
import { countHolders, coverage, gapsOf } from "./ranges.ts";

export interface DealOptions {
	/** Spread the layers over at least so many lenders. @default 1 */
	minStages?: number;
	/** The shortest lap of one stream, or the most tokens of many. @default "lap" */
	objective?: Objective;
	/** Peers that are not counted on: they have been loading for longer than anybody takes, or refuse what they hold. */
	doubted?: ReadonlySet<string>;
}

/**
 * Why a lender is to hold what it does: it `keeps` what it has, holds the `whole` model, `fills` layers that nobody had,
 * `moves` to such layers, or is a `spare` of layers that others hold, too.
 */
export type DealReason = "keeps" | "whole" | "fills" | "moves" | "spare";

/** Who should hold what of one model. */
export interface Deal {
	/** Peer id to the span it should hold. Lenders that are of no use now are absent. */
	readonly assignments: ReadonlyMap<string, Span>;
	/** Why each of them should hold it. */
	readonly reasons: ReadonlyMap<string, DealReason>;
	/** For each layer, how many lenders are to hold it. */
	readonly holders: readonly number[];
	/** Whether the assignments cover every layer. */
	readonly complete: boolean;
	/** Bytes of memory that lenders have to add before the whole model fits; 0 when it does. */
	readonly missingBytes: number;
}

/**
 * Deals the layers of one model out. Pure and deterministic: every lender runs it on its own view of the swarm and takes
 * its own part, and views that differ for a moment come to the same end.
 *
 * - Whoever holds something keeps it while every layer is held: neither a newcomer nor new figures move anybody.
 * - Without `minStages`, a newcomer that can hold the whole model holds it: one hop is the shortest lap.
 * - A gap is filled by lenders that hold nothing, then by those whose layers others hold too, the latest to join first.
 *   Nobody else moves unless that makes the model whole; then those do who have the fewest layers to load for it.
 * - Where nobody holds anything yet, and in gaps, the shortest lap decides who takes how much (`bestChain`): quick and near
 *   devices first. With `objective: "throughput"` it is several pipelines of stages that take about the same time each
 *   (`bestPipelines`). With `minStages`, too, stages take about the same time, and the shares of lenders that are still to
 *   come are left for them.
 * - Whoever is left over is a spare: it repeats the layers with the fewest holders (`placeSpares`).
 *
 * Embedding and head count as part of the first and last layer.
 */
export function deal(members: readonly Member[], model: ModelRef, options: DealOptions = {}): Deal {
	const sizes = modelSizes(model.manifest);
	const { layers } = sizes;
	const minStages = Math.min(Math.max(1, options.minStages ?? 1), layers);
	const lenders = lendersOf(members, model, options.doubted);
	const plan: Plan = {
		lenders,
		layers,
		minStages,
		objective: options.objective ?? "lap",
		links: linksOf(members),
	};

	const dealt = assign(plan);
	const stages = new Set(dealt.keys());
	if (minStages > 1) repeatWeakest(dealt, lenders, layers);
	else placeSpares(dealt, lenders, layers);
	const reasons = new Map(
		lenders
			.filter(({ peer }) => dealt.has(peer))
			.map((lender) => [lender.peer, reasonOf(lender, dealt.get(lender.peer)!, stages, layers)]),
	);

	const holders = countHolders(dealt.values(), layers);
	const missingBytes = gapsOf(holders).reduce(
		(sum, gap) => sum + Math.ceil(sizes.servingBytes(spanOf(gap.from, gap.to, layers)) / USABLE_MEMORY),
		0,
	);
	return {
		assignments: new Map([...dealt].map(([peer, { from, to }]) => [peer, spanOf(from, to, layers)])),
		reasons,
		holders,
		complete: missingBytes === 0,
		missingBytes,
	};
}

type Assignments = Map<string, Range>;

/** What the parts of a deal need to know. */
interface Plan {
	/** By time of joining. */
	readonly lenders: readonly Lender[];
	readonly layers: number;
	readonly minStages: number;
	readonly objective: Objective;
	readonly links: Links;
}

function reasonOf(
	{ peer, held }: Lender,
	{ from, to }: Range,
	stages: ReadonlySet<string>,
	layers: number,
): DealReason {
	if (held) return held.from === from && held.to === to ? "keeps" : "moves";
	if (from === 0 && to === layers) return "whole";
	return stages.has(peer) ? "fills" : "spare";
}

function assign(plan: Plan): Assignments {
	const { lenders, layers, minStages } = plan;
	const kept: Assignments = new Map();
	for (const { peer, held } of lenders) if (held) kept.set(peer, held);
	if (kept.size === 0 && minStages === 1) {
		const all = { from: 0, to: layers };
		const side =
			plan.objective === "throughput"
				? bestPipelines(all, lenders, (lender) => roomIn(lender, all))
				: undefined;
		const chain = side ?? shareAmongFewest(all, lenders, plan, { before: [], after: [] });
		for (const [{ peer }, range] of chain) kept.set(peer, range);
	}
	for (const { peer, fits } of lenders) {
		if (minStages === 1 && !kept.has(peer) && fits(0, layers)) kept.set(peer, { from: 0, to: layers });
	}
	const filled = fillGaps(kept, plan);
	const isWhole = (assignments: Assignments): boolean => coverage(assignments.values(), layers) === layers;
	if (isWhole(filled)) return filled;
	const bySpares = fillBySpares(kept, plan);
	const candidates = [bySpares];
	// Who is held together by fewer lenders than are asked for serves nobody.
	if (lenders.length >= minStages) {
		candidates.push(
			moveOne(filled, lenders, layers),
			stretchNeighbours(bySpares, lenders, layers),
			dealAnew(bySpares, { ...plan, lenders: byPlace(filled, lenders, layers) }),
			dealAnew(bySpares, plan),
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
function fillBySpares(kept: Assignments, plan: Plan): Assignments {
	const { lenders, layers } = plan;
	const base = new Map(kept);
	const holders = countHolders(base.values(), layers);
	let best = fillGaps(base, plan);
	let covered = coverage(best.values(), layers);
	for (const { peer } of lenders.toReversed()) {
		if (covered === layers) break;
		const range = base.get(peer);
		if (!range || holders.slice(range.from, range.to).some((count) => count < 2)) continue;
		base.delete(peer);
		const candidate = fillGaps(base, plan);
		const reached = coverage(candidate.values(), layers);
		if (reached > covered) {
			[best, covered] = [candidate, reached];
			for (let layer = range.from; layer < range.to; layer++) holders[layer]!--;
		} else {
			base.set(peer, range);
		}
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
function dealAnew(kept: Assignments, plan: Plan): Assignments {
	const { lenders, layers } = plan;
	const anew = fillGaps(new Map(), plan);
	for (const { peer } of lenders) {
		const range = kept.get(peer);
		if (!range) continue;
		const staying = new Map(anew).set(peer, range);
		if (coverage(staying.values(), layers) >= coverage(anew.values(), layers)) anew.set(peer, range);
	}
	return anew;
}

/** Gives every gap that `assignments` leave to lenders that have nothing. */
function fillGaps(assignments: Assignments, plan: Plan): Assignments {
	const { lenders, layers, minStages } = plan;
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
		const neighbours = {
			before: holdersAt(filled, gap.from > 0 ? gap.from - 1 : layers - 1),
			after: holdersAt(filled, gap.to % layers),
		};
		const parts =
			minStages > 1
				? shareAmongAtLeast(gap, free, wanted, plan)
				: shareAmongFewest(gap, free, plan, filled.size > 0 ? neighbours : undefined);
		for (const [lender, range] of parts) {
			filled.set(lender.peer, range);
			free.splice(free.indexOf(lender), 1);
		}
	}
	return filled;
}

function holdersAt(assignments: Assignments, layer: number): string[] {
	return [...assignments].filter(([, { from, to }]) => from <= layer && layer < to).map(([peer]) => peer);
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

/**
 * A gap over the lenders that make the shortest lap with their `neighbours`; without those, over the fewest that can hold
 * it together, in the order in which they are given. Where all of them cannot, as much of it as they can.
 */
function shareAmongFewest(
	gap: Range,
	free: readonly Lender[],
	{ objective, links }: Plan,
	neighbours?: Neighbours,
): Part<Lender>[] {
	const length = gap.to - gap.from;
	const room = new Map(free.map((lender) => [lender, roomIn(lender, gap)]));
	const inAll = [...room.values()].reduce((sum, count) => sum + count, 0);
	if (inAll >= length && neighbours && objective === "lap") {
		const parts = bestChain(gap, free, links, neighbours);
		if (parts) return parts;
	}
	const largestFirst = free.toSorted((a, b) => room.get(b)! - room.get(a)!);
	let sum = 0;
	for (let count = 1; inAll >= length && count <= Math.min(free.length, length); count++) {
		sum += room.get(largestFirst[count - 1]!)!;
		if (sum < length) continue;
		const chosen = new Set(largestFirst.slice(0, count));
		const parts = cutEvenly(
			gap,
			free.filter((lender) => chosen.has(lender)),
			slowestCost,
		);
		if (parts) return parts;
	}
	const parts: Part<Lender>[] = [];
	let from = gap.from;
	for (const lender of free) {
		const to = reach(lender, from, gap.to);
		if (to > from) parts.push([lender, { from, to }]);
		from = Math.max(from, to);
	}
	return parts;
}

/** The slowest part weighs most, and the others still count. */
function slowestCost(ms: number): number {
	return ms ** 4;
}

/** The most layers of a gap that a lender could hold: at its beginning, at its end or between, where no embedding or head is. */
function roomIn(lender: Lender, { from, to }: Range): number {
	const between = Math.min(from + 1, to - 1);
	let atEnd = to;
	while (atEnd > from && lender.fits(atEnd - 1, to)) atEnd--;
	return Math.max(reach(lender, from, to) - from, reach(lender, between, to) - between, to - atEnd);
}

/** A gap over `stages` lenders or more, by join time. Where too few are here, the shares of those to come stay open. */
function shareAmongAtLeast(
	gap: Range,
	free: readonly Lender[],
	stages: number,
	plan: Plan,
): readonly Part<Lender>[] {
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
			bytes: () => 0,
			fits: () => true,
			furthest: () => layersOfGap.length,
			nearest: () => 0,
			held: undefined,
			stored: undefined,
			serving: undefined,
			ready: false,
			joined: 0,
		}));
		const parts = cutEvenly(gap, [...present, ...awaited], slowestCost);
		if (parts) return parts.filter(([lender]) => lender.peer !== "");
	}
	return shareAmongFewest(gap, able, plan);
}

/** The furthest layer up to which `lender` can hold a range that begins at `from`. */
function reach(lender: Lender, from: number, to: number): number {
	let end = from;
	while (end < to && lender.fits(from, end + 1)) end++;
	return end;
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
