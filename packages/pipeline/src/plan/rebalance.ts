import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";
import type { Range } from "./bestChain.ts";
import { type Lender, lendersOf } from "./lenders.ts";
import { modelSizes, spanOf } from "./modelSizes.ts";
import { neediestRange, needOf } from "./placeSpares.ts";
import { countHolders } from "./ranges.ts";

/** Holders that every layer should have: with two, nobody's leaving ends an answer. */
const WANTED_HOLDERS = 2;
/** A lender moves for throughput only where the slowest layers then get a third more: below, figures that waver would send it to and fro. Petals takes the same. */
const WORTH_MOVING = 4 / 3;

/** Reading a layer from the disk takes a hundredth of fetching it over a home's line (400 MB/s, 10 to 50 Mbit/s). */
const FETCH_COST = 100;

/** A second holder of one layer is worth third holders of so many. */
const SECOND_OVER_THIRD = 10;

export interface RebalanceOptions {
	/** As for `deal`. */
	doubted?: ReadonlySet<string>;
}

/**
 * Who should move although every layer is held: lenders whose own layers have holders enough, to layers that have one only;
 * and, where all layers have two, at most one lender, to where the swarm would otherwise be slowest. Pure and deterministic
 * like `deal`, to be asked after it, where it lets a lender keep what it holds.
 *
 * It comes to rest: the first kind of move leaves strictly less lacking, and the second leaves no more lacking and raises the
 * least throughput of all layers by a third.
 */
export function rebalance(
	members: readonly Member[],
	model: ModelRef,
	options: RebalanceOptions = {},
): ReadonlyMap<string, Span> {
	const { layers } = modelSizes(model.manifest);
	const lenders = lendersOf(members, model, options.doubted);
	const ranges = new Map(lenders.flatMap(({ peer, held }) => (held ? [[peer, held] as const] : [])));
	const holders = countHolders(ranges.values(), layers);
	const moves = new Map<string, Range>();
	if (holders.every((count) => count > 0)) {
		const movable = lenders.filter(({ held, ready }) => held && ready);
		// Whoever has the blocks on its disk is there before somebody who still fetches them.
		const soon = countHolders(lenders.flatMap(soonServed), layers);
		secondHolders(movable, ranges, soon, soon, moves, "stored");
		for (const { peer, serving: own } of movable) {
			const to = moves.get(peer);
			if (to) shift(holders, own!, to);
		}
		secondHolders(movable, ranges, holders, soon, moves, "fetched");
		if (moves.size === 0) quickest(lenders, movable, ranges, holders, soon, moves);
	}
	return new Map([...moves].map(([peer, { from, to }]) => [peer, spanOf(from, to, layers)]));
}

/** What a lender serves within seconds and goes on to serve: not what it is about to give up, nor what it still fetches. */
function soonServed({ held, serving, stored }: Lender): Range[] {
	if (!held) return [];
	if (stored && stored.from <= held.from && held.to <= stored.to) return [held];
	if (!serving) return [];
	const from = Math.max(held.from, serving.from);
	const to = Math.min(held.to, serving.to);
	return from < to ? [{ from, to }] : [];
}

/**
 * Moves lenders that are not missed where they are to layers with one of `holders`, until that helps no more: those who have
 * the blocks on their disks, or those who fetch them. Whether somebody is missed says `soon`, which leaves out who still fetches.
 */
function secondHolders(
	movable: readonly Lender[],
	ranges: Map<string, Range>,
	holders: number[],
	soon: number[],
	moves: Map<string, Range>,
	by: "stored" | "fetched",
): void {
	// Whoever only reads its disk goes for a third holder, too: the second one may leave at any time.
	const lack = (count: number): number =>
		SECOND_OVER_THIRD * Math.max(0, WANTED_HOLDERS - count) +
		(by === "stored" ? Math.max(0, WANTED_HOLDERS + 1 - count) : 0);
	if (holders.every((count) => lack(count) === 0)) return;
	/** What layers in `range` lack, where `counts` hold them. */
	const lacking = (counts: readonly number[], { from, to }: Range): number => {
		let sum = 0;
		for (let layer = from; layer < to; layer++) sum += lack(counts[layer]!);
		return sum;
	};
	/** How much of that one more holder of `range` makes up for. */
	const saved = (counts: readonly number[], { from, to }: Range): number => {
		let sum = 0;
		for (let layer = from; layer < to; layer++) sum += lack(counts[layer]!) - lack(counts[layer]! + 1);
		return sum;
	};
	for (;;) {
		let best: { lender: Lender; to: Range; gain: number; cost: number } | undefined;
		for (const lender of movable) {
			if (moves.has(lender.peer)) continue;
			const own = ranges.get(lender.peer)!;
			const less = (count: number, layer: number): number =>
				own.from <= layer && layer < own.to ? count - 1 : count;
			const without = holders.map(less);
			if (by === "stored" && !lender.stored) continue;
			const need = needOf(without, ranges.values());
			const to = neediestRange(lender, need, by === "stored" ? lender.stored : undefined);
			if (!to) continue;
			const lost = lacking(soon.map(less), own) - lacking(soon, own);
			const gain = saved(without, to) - lost;
			// Third holders alone are worth a move only where many layers get one: nobody moves to and fro for a few.
			if (gain < Math.min(SECOND_OVER_THIRD, Math.max(1, (to.to - to.from) / 2))) continue;
			const cost = loadCost(lender, to);
			// The most layers saved for what has to be loaded; of equals the last to join.
			if (!best || gain * best.cost >= best.gain * cost) best = { lender, to, gain, cost };
		}
		if (!best) return;
		if (soon !== holders) {
			// What it still has to fetch nobody can count on.
			const own = ranges.get(best.lender.peer)!;
			for (let layer = own.from; layer < own.to; layer++) {
				if (layer < best.to.from || layer >= best.to.to) soon[layer]!--;
			}
		}
		move(best.lender.peer, best.to, ranges, holders, moves);
	}
}

/** Layers to load, of which those that have to be fetched first cost more than a hundred others. */
function loadCost({ stored, held }: Lender, { from, to }: Range): number {
	const common = (range: Range | undefined): number =>
		range ? Math.max(0, Math.min(range.to, to) - Math.max(range.from, from)) : 0;
	const fetched = to - from - Math.max(common(stored), common(held));
	return fetched * FETCH_COST + (to - from);
}

/**
 * Moves the one lender that raises the throughput of the slowest layers most, if that is by a third and no third holder is
 * lost by it: else that one would be brought back, and the lender move to and fro for ever.
 */
function quickest(
	lenders: readonly Lender[],
	movable: readonly Lender[],
	ranges: Map<string, Range>,
	holders: number[],
	soon: readonly number[],
	moves: Map<string, Range>,
): void {
	/** Tokens per millisecond that all holders of a layer bring together. */
	const rates = new Array<number>(holders.length).fill(0);
	const add = (lender: Lender, { from, to }: Range, sign: 1 | -1): void => {
		const rate = 1 / lender.time(from, to);
		for (let layer = from; layer < to; layer++) rates[layer]! += sign * rate;
	};
	for (const lender of lenders) {
		const range = ranges.get(lender.peer);
		if (range) add(lender, range, 1);
	}
	const least = Math.min(...rates);
	const slow = rates.map((rate) => rate <= least * (1 + 1e-9));
	/** Whether more layers lose their third holder than get one. */
	const losesThirds = (own: Range, to: Range): boolean => {
		let lost = 0;
		for (let layer = own.from; layer < own.to; layer++) if (soon[layer] === WANTED_HOLDERS + 1) lost++;
		for (let layer = to.from; layer < to.to; layer++) {
			const isOwn = own.from <= layer && layer < own.to;
			if (soon[layer]! - Number(isOwn) === WANTED_HOLDERS) lost--;
		}
		return lost > 0;
	};
	let best: { peer: string; to: Range; least: number } | undefined;
	for (const lender of movable) {
		const own = ranges.get(lender.peer)!;
		if (soon.slice(own.from, own.to).some((count) => count <= WANTED_HOLDERS)) continue;
		// Whoever holds one of the slowest layers would make them slower by leaving.
		if (slow.slice(own.from, own.to).includes(true)) continue;
		add(lender, own, -1);
		const to = slowestRange(lender, rates, own.to - own.from);
		if (to && !losesThirds(own, to)) {
			add(lender, to, 1);
			const reached = Math.min(...rates);
			if (reached > least * WORTH_MOVING && reached > (best?.least ?? 0) * (1 + 1e-9))
				best = { peer: lender.peer, to, least: reached };
			add(lender, to, -1);
		}
		add(lender, own, 1);
	}
	if (best) move(best.peer, best.to, ranges, holders, moves);
}

/** The range of `length` layers with the least throughput that `lender` has room for. */
function slowestRange(lender: Lender, rates: readonly number[], length: number): Range | undefined {
	let best: Range | undefined;
	let least: number[] = [];
	for (let from = 0; from + length <= rates.length; from++) {
		if (!lender.fits(from, from + length)) continue;
		const sorted = rates.slice(from, from + length).sort((a, b) => a - b);
		if (!best || isLess(sorted, least)) [best, least] = [{ from, to: from + length }, sorted];
	}
	return best;
}

/** By the first place at which they differ (Petals: the worst bottleneck first). */
function isLess(a: readonly number[], b: readonly number[]): boolean {
	const at = a.findIndex((value, i) => value !== b[i]);
	return at >= 0 && a[at]! < b[at]!;
}

function move(
	peer: string,
	to: Range,
	ranges: Map<string, Range>,
	holders: number[],
	moves: Map<string, Range>,
): void {
	shift(holders, ranges.get(peer)!, to);
	ranges.set(peer, to);
	moves.set(peer, to);
}

function shift(holders: number[], from: Range, to: Range): void {
	for (let layer = from.from; layer < from.to; layer++) holders[layer]!--;
	for (let layer = to.from; layer < to.to; layer++) holders[layer]!++;
}
