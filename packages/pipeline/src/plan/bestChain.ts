import type { Links } from "./links.ts";

/** A contiguous range of layers `[from, to)`. */
export interface Range {
	readonly from: number;
	readonly to: number;
}

/** A device that layers can be given to. */
export interface Device {
	readonly peer: string;
	/** Milliseconds that one decode step through layers `[from, to)` takes it, the head included. */
	time(from: number, to: number): number;
	/** Whether it has room for layers `[from, to)`. */
	fits(from: number, to: number): boolean;
}

export type Part<D extends Device> = readonly [device: D, range: Range];

/** Up to so many devices every choice, first, last and order is looked at: 2⁸ sets, and a table of their shortest ways. */
const EXACT_DEVICES = 8;
/** In larger swarms so many of the best devices are tried as the one that the others should be near to. */
const ANCHORS = 3;
/** More stages than this only add delay (`limits.routeHops` is 64). */
const MOST_STAGES = 64;

/** What stands next to the range that a chain is to fill. */
export interface Neighbours {
	/** Peers that could send to its first stage, and take from its last; none where the ring closes on itself. */
	readonly before: readonly string[];
	readonly after: readonly string[];
}

/**
 * Gives the layers of `range` to the devices that make the shortest lap of them: who, in which order, and how much each.
 * The quickest take as much as fits them, and nobody is in it who costs more on the way than others would compute longer.
 *
 * Exact for up to eight devices of equal layers. Of more it looks at groups of eight around the best ones; where eight do
 * not suffice, at the fewest that do, from neighbour to neighbour.
 *
 * @returns undefined where the devices have no room for the range together
 */
export function bestChain<D extends Device>(
	range: Range,
	devices: readonly D[],
	links: Links,
	neighbours: Neighbours = { before: [], after: [] },
): Part<D>[] | undefined {
	const able = devices
		.map((device) => new Candidate(device, range))
		.filter((candidate) => candidate.most > 0);
	if (able.length <= EXACT_DEVICES) return exactChain(range, able, links, neighbours)?.parts;
	const byCost = (near?: Candidate<D>): Candidate<D>[] => {
		const cost = (candidate: Candidate<D>): number => {
			const way = near && near !== candidate ? links.hopMs(near.device.peer, candidate.device.peer) : 0;
			return candidate === near ? Number.NEGATIVE_INFINITY : candidate.layerMs + way / candidate.most;
		};
		const costs = new Map(able.map((candidate) => [candidate, cost(candidate)]));
		return able.toSorted((a, b) => costs.get(a)! - costs.get(b)!);
	};
	const quickest = byCost();
	const largest = able.toSorted((a, b) => b.most - a.most || a.layerMs - b.layerMs);
	const groups = [largest, quickest, ...quickest.slice(0, ANCHORS).map(byCost)];
	let best: Chain<D> | undefined;
	for (const group of groups) {
		const chain = exactChain(range, group.slice(0, EXACT_DEVICES), links, neighbours);
		if (chain && (!best || chain.ms < best.ms)) best = chain;
	}
	return (best ?? longChain(range, largest, links))?.parts;
}

interface Chain<D extends Device> {
	readonly parts: Part<D>[];
	readonly ms: number;
}

/** A device with what counts of it while layers are taken to be equal. */
class Candidate<D extends Device> {
	readonly device: D;
	/** Layers that it can hold as the first, the last, one in the middle, and as the only one of the range. */
	readonly asFirst: number;
	readonly asLast: number;
	readonly between: number;
	readonly alone: number;
	readonly most: number;
	readonly layerMs: number;
	/** What the last layer takes longer: the head. */
	readonly endMs: number;

	constructor(device: D, { from, to }: Range) {
		this.device = device;
		const length = to - from;
		const most = (fits: (count: number) => boolean): number => {
			let low = 0;
			let high = length;
			while (low < high) {
				const middle = (low + high + 1) >> 1;
				if (fits(middle)) low = middle;
				else high = middle - 1;
			}
			return low;
		};
		this.asFirst = most((count) => device.fits(from, from + count));
		this.asLast = most((count) => device.fits(to - count, to));
		const start = Math.min(from + 1, to - 1);
		this.between = Math.max(
			0,
			Math.min(
				most((count) => start + count <= to && device.fits(start, start + count)),
				length - 2,
			),
		);
		this.alone = this.asFirst === length ? length : 0;
		this.most = Math.max(this.asFirst, this.asLast, this.between);
		const middle = from + (length >> 1);
		this.layerMs = length > 1 ? device.time(from, from + 1) : device.time(middle, middle + 1);
		this.endMs = device.time(to - 1, to) - this.layerMs;
	}
}

function exactChain<D extends Device>(
	range: Range,
	candidates: readonly Candidate<D>[],
	links: Links,
	{ before, after }: Neighbours,
): Chain<D> | undefined {
	const count = candidates.length;
	const length = range.to - range.from;
	if (count === 0) return undefined;
	const hop = candidates.map((a) => candidates.map((b) => links.hopMs(a.device.peer, b.device.peer)));
	const isRing = before.length === 0 && after.length === 0;
	const nearest = (peers: readonly string[], of: Candidate<D>): number =>
		peers.length > 0 ? Math.min(...peers.map((peer) => links.hopMs(peer, of.device.peer))) : 0;
	const arrive = candidates.map((candidate) => nearest(before, candidate));
	const leave = candidates.map((candidate) => nearest(after, candidate));
	const bySpeed = candidates.map((_, i) => i).sort((a, b) => candidates[a]!.layerMs - candidates[b]!.layerMs);

	let best: { ms: number; mask: number; first: number; last: number } | undefined;
	const ways = candidates.map((_, first) => shortestWays(first, hop));
	const room = new Float64Array(1 << count);
	const quickestMs = candidates[bySpeed[0]!]!.layerMs * length;
	for (let mask = 1; mask < 1 << count; mask++) {
		const lowest = 31 - Math.clz32(mask & -mask);
		room[mask] = room[mask & (mask - 1)]! + candidates[lowest]!.most;
		if (room[mask]! < length) continue;
		for (let first = 0; first < count; first++) {
			if (!((mask >> first) & 1)) continue;
			for (let last = 0; last < count; last++) {
				if (!((mask >> last) & 1) || (first === last) !== (mask === 1 << first)) continue;
				const inside = ways[first]![mask * count + last]!;
				const around = isRing ? hop[last]![first]! : arrive[first]! + leave[last]!;
				const way = inside + around;
				if (best && way + quickestMs >= best.ms) continue;
				const ms = way + computeMs(mask, first, last, candidates, bySpeed, length);
				if (!best || ms < best.ms) best = { ms, mask, first, last };
			}
		}
	}
	if (!best || best.ms === Number.POSITIVE_INFINITY) return undefined;
	const order = shortestOrder(best.mask, best.first, best.last, hop, ways[best.first]!);
	const parts = cutEvenly(
		range,
		order.map((i) => candidates[i]!.device),
		lapCost,
	);
	return parts && { parts, ms: best.ms };
}

/** Least compute of all layers over the devices of `mask`: each one layer at least, the quickest as many as fit. */
function computeMs<D extends Device>(
	mask: number,
	first: number,
	last: number,
	candidates: readonly Candidate<D>[],
	bySpeed: readonly number[],
	length: number,
): number {
	let left = length;
	let ms = candidates[last]!.endMs;
	const room = (i: number): number => {
		const { alone, asFirst, asLast, between } = candidates[i]!;
		if (first === last) return alone;
		return i === first ? asFirst : i === last ? asLast : between;
	};
	for (const i of bySpeed) {
		if (!((mask >> i) & 1)) continue;
		if (room(i) < 1) return Number.POSITIVE_INFINITY;
		left--;
		ms += candidates[i]!.layerMs;
	}
	if (left < 0) return Number.POSITIVE_INFINITY;
	for (const i of bySpeed) {
		if (left === 0) break;
		if (!((mask >> i) & 1)) continue;
		const taken = Math.min(left, room(i) - 1);
		left -= taken;
		ms += taken * candidates[i]!.layerMs;
	}
	return left > 0 ? Number.POSITIVE_INFINITY : ms;
}

/** Held and Karp's table: for each set of devices and each last one of it, the shortest way from `first` through all of them. */
function shortestWays(first: number, hop: readonly (readonly number[])[]): Float64Array {
	const count = hop.length;
	const ways = new Float64Array((1 << count) * count).fill(Number.POSITIVE_INFINITY);
	ways[(1 << first) * count + first] = 0;
	for (let mask = 1; mask < 1 << count; mask++) {
		if (!((mask >> first) & 1)) continue;
		for (let last = 0; last < count; last++) {
			const way = ways[mask * count + last]!;
			if (way === Number.POSITIVE_INFINITY) continue;
			for (let next = 0; next < count; next++) {
				if ((mask >> next) & 1) continue;
				const at = (mask | (1 << next)) * count + next;
				ways[at] = Math.min(ways[at]!, way + hop[last]![next]!);
			}
		}
	}
	return ways;
}

function shortestOrder(
	mask: number,
	first: number,
	last: number,
	hop: readonly (readonly number[])[],
	ways: Float64Array,
): number[] {
	const count = hop.length;
	const order = [last];
	let rest = mask;
	for (let at = last; at !== first; ) {
		rest &= ~(1 << at);
		let from = -1;
		let least = Number.POSITIVE_INFINITY;
		for (let i = 0; i < count; i++) {
			const way = ways[rest * count + i]! + hop[i]![at]!;
			if ((rest >> i) & 1 && way < least) [from, least] = [i, way];
		}
		order.unshift(from);
		at = from;
	}
	return order;
}

/** The fewest devices with room enough, each followed by its nearest neighbour. */
function longChain<D extends Device>(
	range: Range,
	largest: readonly Candidate<D>[],
	links: Links,
): Chain<D> | undefined {
	const length = range.to - range.from;
	let room = 0;
	let fewest = 0;
	while (fewest < largest.length && room < length) room += largest[fewest++]!.between || 1;
	// First and last have less room, with the embedding and the head beside their layers.
	for (let count = fewest; count <= Math.min(largest.length, fewest + 2, length, MOST_STAGES); count++) {
		const rest = largest.slice(0, count);
		const order = [rest.shift()!];
		while (rest.length > 0) {
			const { peer } = order.at(-1)!.device;
			const ways = rest.map(({ device }) => links.hopMs(peer, device.peer));
			order.push(...rest.splice(ways.indexOf(Math.min(...ways)), 1));
		}
		for (let turn = 0; turn < order.length; turn++) {
			// A ring has no beginning: any of its devices may be the one that has room beside the embedding.
			const turned = [...order.slice(turn), ...order.slice(0, turn)].map(({ device }) => device);
			const parts = cutEvenly(range, turned, lapCost);
			if (parts) return { parts, ms: 0 };
		}
	}
	return undefined;
}

/** What a part adds to the lap; of cuts that take as long, the even one. */
function lapCost(ms: number): number {
	return ms + ms * ms * 1e-4;
}

/**
 * Cuts a range into one part for each device, in their order, with the least sum of `cost` of the parts' milliseconds;
 * undefined where their memory does not allow it.
 */
export function cutEvenly<D extends Device>(
	{ from, to }: Range,
	devices: readonly D[],
	cost: (ms: number) => number,
): Part<D>[] | undefined {
	const length = to - from;
	if (devices.length === 0 || devices.length > length) return undefined;
	// costs[i]: the least sum when the devices so far hold the first i layers.
	let costs = new Array<number>(length + 1).fill(Number.POSITIVE_INFINITY);
	costs[0] = 0;
	const cuts: number[][] = [];
	for (const device of devices) {
		const next = new Array<number>(length + 1).fill(Number.POSITIVE_INFINITY);
		const cut = new Array<number>(length + 1).fill(-1);
		for (let start = 0; start < length; start++) {
			if (costs[start] === Number.POSITIVE_INFINITY) continue;
			for (let end = start + 1; end <= length; end++) {
				if (!device.fits(from + start, from + end)) break;
				const sum = costs[start]! + cost(device.time(from + start, from + end));
				if (sum < next[end]!) {
					next[end] = sum;
					cut[end] = start;
				}
			}
		}
		cuts.push(cut);
		costs = next;
	}
	if (costs[length] === Number.POSITIVE_INFINITY) return undefined;
	const parts: Part<D>[] = [];
	let end = length;
	for (let i = devices.length - 1; i >= 0; i--) {
		const start = cuts[i]![end]!;
		parts.unshift([devices[i]!, { from: from + start, to: from + end }]);
		end = start;
	}
	return parts;
}
