import type { Range } from "./bestChain.ts";
import type { Lender } from "./lenders.ts";
import { countHolders } from "./ranges.ts";

/** What one more holder of a layer is worth that has so many: the second one saves it when the first leaves, the third while a second is fetched. */
const WORTH = [1000, 100, 10, 3];
/** From there on it falls with the square of the number. */
const worthOf = (holders: number): number => WORTH[holders] ?? (WORTH.at(-1)! * 9) / holders ** 2;
/** A range that begins and ends where others do can be replaced by one peer, and replace one, as a whole. */
const ALIGNED = 1.05;

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
	const holders = countHolders(assignments.values(), layers);
	const byPeer = new Map(lenders.map((lender) => [lender.peer, lender]));
	/** For each layer, the least time per layer of anybody who holds it. */
	const quickest = new Array<number>(layers).fill(Number.POSITIVE_INFINITY);
	const cuts = new Set([0, layers]);
	const note = (lender: Lender, { from, to }: Range): void => {
		cuts.add(from).add(to);
		const ms = lender.time(from, to) / (to - from);
		for (let layer = from; layer < to; layer++) quickest[layer] = Math.min(quickest[layer]!, ms);
	};
	for (const [peer, range] of assignments) note(byPeer.get(peer)!, range);
	for (const lender of free) {
		const range = neediest(lender, holders, quickest, cuts, layers);
		if (!range) continue;
		assignments.set(lender.peer, range);
		for (let layer = range.from; layer < range.to; layer++) holders[layer]!++;
		note(lender, range);
	}
}

function neediest(
	lender: Lender,
	holders: readonly number[],
	quickest: readonly number[],
	cuts: ReadonlySet<number>,
	layers: number,
): Range | undefined {
	const own = lender.time(0, 1);
	const before = [0];
	for (let layer = 0; layer < layers; layer++) {
		// Between 1 and 2: what is held by slow devices only is the lap's worst part.
		const slowness = quickest[layer]! / (quickest[layer]! + own);
		before.push(before[layer]! + worthOf(holders[layer]!) * (1 + (Number.isNaN(slowness) ? 1 : slowness)));
	}
	let best: Range | undefined;
	let most = 0;
	const consider = (from: number, to: number): void => {
		if (to <= from) return;
		const aligned = cuts.has(from) && cuts.has(to) ? ALIGNED : 1;
		const worth = (before[to]! - before[from]!) * aligned;
		if (worth > most * (1 + 1e-9)) [best, most] = [{ from, to }, worth];
	};
	for (const cut of [...cuts].sort((a, b) => a - b)) {
		const to = furthest(lender, cut, layers);
		consider(cut, to);
		// A little less that ends where others end may be worth more.
		for (let end = to - 1; end > cut; end--) {
			if (!cuts.has(end)) continue;
			consider(cut, end);
			break;
		}
		consider(nearest(lender, cut), cut);
	}
	return best;
}

/** The furthest layer up to which `lender` can hold a range that begins at `from`. */
function furthest(lender: Lender, from: number, layers: number): number {
	// The head makes the last layer the heaviest: where it does not fit, the layer before it may.
	let low = from;
	let high = layers;
	while (low < high) {
		const middle = (low + high + 1) >> 1;
		if (lender.fits(from, middle)) low = middle;
		else high = middle - 1;
	}
	return low;
}

/** The lowest layer from which `lender` can hold a range that ends at `to`. */
function nearest(lender: Lender, to: number): number {
	let low = 0;
	let high = to;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (lender.fits(middle, to)) high = middle;
		else low = middle + 1;
	}
	return low;
}
