import type { Range } from "./bestChain.ts";

/** For each layer, how many of `ranges` hold it. */
export function countHolders(ranges: Iterable<Range>, layers: number): number[] {
	const holders = new Array<number>(layers).fill(0);
	for (const { from, to } of ranges) for (let layer = from; layer < to; layer++) holders[layer]!++;
	return holders;
}

/** The ranges of layers that nobody holds. */
export function gapsOf(holders: readonly number[]): Range[] {
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

/** How many layers somebody holds. */
export function coverage(ranges: Iterable<Range>, layers: number): number {
	return countHolders(ranges, layers).filter((count) => count > 0).length;
}
