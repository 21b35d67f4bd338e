import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Range } from "./bestChain.ts";
import { type Lender, lendersOf } from "./lenders.ts";
import { modelSizes } from "./modelSizes.ts";
import { countHolders } from "./ranges.ts";

/** What one more holder of a layer is worth that has so many: the second one saves it when the first leaves, the third while a second is fetched. */
const WORTH = [1000, 100, 10, 3];
/** From there on it falls with the square of the number. */
const worthOf = (holders: number): number => WORTH[holders] ?? (WORTH.at(-1)! * 9) / holders ** 2;
/** A range that begins and ends where others do can be replaced by one peer, and replace one, as a whole. */
const ALIGNED = 1.05;

/** Where a model needs holders. */
interface Need {
	/** For each layer, how many hold it. */
	readonly holders: number[];
	/** For each layer, the least milliseconds of anybody who holds it. */
	readonly quickest: number[];
	/** Where ranges begin and end. */
	readonly cuts: Set<number>;
}

/** What is needed where `holders` hold the layers and `ranges` are cut. */
export function needOf(holders: readonly number[], ranges: Iterable<Range>): Need {
	const cuts = new Set([0, holders.length]);
	for (const { from, to } of ranges) cuts.add(from).add(to);
	return { holders: [...holders], quickest: new Array<number>(holders.length).fill(1), cuts };
}

/**
 * Gives each lender that has nothing the layers that need another holder most, as many as it has room for: those with the
 * fewest holders, and of those the ones whose holders are slow. Ranges begin or end where others do.
 */
export function placeSpares(
	assignments: Map<string, Range>,
	lenders: readonly Lender[],
	layers: number,
): void {
	const free = lenders.filter(({ peer }) => !assignments.has(peer));
	if (free.length === 0 || assignments.size === 0) return;
	const need = needOf(countHolders(assignments.values(), layers), []);
	need.quickest.fill(Number.POSITIVE_INFINITY);
	const byPeer = new Map(lenders.map((lender) => [lender.peer, lender]));
	for (const [peer, range] of assignments) note(need, byPeer.get(peer)!, range);
	for (const lender of free) {
		const range = neediestRange(lender, need);
		if (!range) continue;
		assignments.set(lender.peer, range);
		for (let layer = range.from; layer < range.to; layer++) need.holders[layer]!++;
		note(need, lender, range);
	}
}

function note({ cuts, quickest }: Need, lender: Lender, { from, to }: Range): void {
	cuts.add(from).add(to);
	const ms = lender.time(from, to) / (to - from);
	for (let layer = from; layer < to; layer++) quickest[layer] = Math.min(quickest[layer]!, ms);
}

/** The layers that need `lender` most, as many as fit it, of those `within`; undefined where none does. */
export function neediestRange(lender: Lender, need: Need, within?: Range): Range | undefined {
	return neediest(lender, need, within)?.range;
}

function neediest(
	lender: Lender,
	{ holders, quickest, cuts }: Need,
	within: Range = { from: 0, to: holders.length },
): { readonly range: Range; readonly worth: number } | undefined {
	const layers = holders.length;
	const own = lender.time(0, 1);
	const before = [0];
	for (let layer = 0; layer < layers; layer++) {
		// Between 1 and 2: what is held by slow devices only is the lap's worst part.
		const slowness = quickest[layer]! / (quickest[layer]! + own);
		const factor = 1 + (Number.isNaN(slowness) ? 1 : slowness);
		// What takes long to fetch is missed for longer: the head weighs as many bytes as it has.
		before.push(before[layer]! + worthOf(holders[layer]!) * factor * lender.bytes(layer, layer + 1));
	}
	let best: { range: Range; worth: number } | undefined;
	let most = 0;
	const consider = (start: number, end: number): void => {
		const from = Math.max(start, within.from);
		const to = Math.min(end, within.to);
		if (to <= from) return;
		const worth = before[to]! - before[from]!;
		const weighed = worth * (cuts.has(from) && cuts.has(to) ? ALIGNED : 1);
		if (weighed <= most * (1 + 1e-9)) return;
		best = { range: { from, to }, worth };
		most = weighed;
	};
	const places = new Set([...cuts, within.from, within.to]);
	for (const cut of [...places].sort((a, b) => a - b)) {
		if (cut < within.from || cut > within.to) continue;
		const to = lender.furthest(cut);
		consider(cut, to);
		// A little less that ends where others end may be worth more.
		for (let end = to - 1; end > cut; end--) {
			if (!cuts.has(end)) continue;
			consider(cut, end);
			break;
		}
		consider(lender.nearest(cut), cut);
	}
	return best;
}

/**
 * Which of several models a lender that holds nothing should hold a part of: the one that needs the layers most that fit it.
 *
 * @returns undefined where no part of any of them fits it
 */
export function neediestModel(
	lender: Member,
	members: readonly Member[],
	models: readonly ModelRef[],
): ModelRef | undefined {
	const needs = models.map((model) => modelNeed(members, model));
	return neediestOf(lender, models, needs);
}

/** What {@link neediestModel} looks at of one model; for whoever asks for many lenders. */
export function modelNeed(members: readonly Member[], model: ModelRef): Need {
	const { layers } = modelSizes(model.manifest);
	const lenders = lendersOf(members, model).filter(({ held }) => held);
	const need = needOf(
		countHolders(
			lenders.map(({ held }) => held!),
			layers,
		),
		[],
	);
	need.quickest.fill(Number.POSITIVE_INFINITY);
	for (const lender of lenders) note(need, lender, lender.held!);
	return need;
}

/** The same by needs that are known. */
export function neediestOf(
	member: Member,
	models: readonly ModelRef[],
	needs: readonly Need[],
): ModelRef | undefined {
	let best: ModelRef | undefined;
	let most = 0;
	for (const [i, model] of models.entries()) {
		const [lender] = lendersOf([member], model);
		const found = lender && neediest(lender, needs[i]!);
		if (!found) continue;
		if (found.worth > most * (1 + 1e-9)) [best, most] = [model, found.worth];
	}
	return best;
}
