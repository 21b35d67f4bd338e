import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { type Hop, limits, NoRouteError } from "@tabmesh/wire";
import { type Holder, holdersOf, type Objective, type PlanView } from "./holders.ts";
import type { Links } from "./links.ts";
import { modelSizes, spanOf } from "./modelSizes.ts";

export interface PlanRouteOptions extends PlanView {
	/** Use at least so many stages. @default 1 */
	minStages?: number;
	/** @default "lap" */
	objective?: Objective;
	/**
	 * For a private stream: of how many layers the asker computes himself, beside embedding and head. The route begins and ends with
	 * `self` then. @default 0: none, and neither embedding nor head
	 */
	ownLayers?: number;
}

/** What a stage that must load the cut of its span first costs a lap: a second, spread over a short answer. */
const CUT_MS = 50;
/** Of one span only so many holders are looked at, the quickest: more never made a route better. */
const MOST_HOLDERS_OF_SPAN = 12;
/** Up to so many peers every order is looked at, so that the route is the best there is. */
const EXACT_PEERS = 8;
/** Partial routes kept for each number of hops and layer reached: more than there are where every order counts. */
const EXACT_ALTERNATIVES = 512;
/** The same in larger swarms; more than one, because no peer may appear twice and the nearest end is not the nearest ring. */
const ALTERNATIVES = 12;
/** Places at which spans are cut when more stages are wanted than there are natural ones. */
const MOST_CUTS = 48;

interface Partial {
	readonly cost: number;
	/** Of the slowest stage so far. */
	readonly slowestMs: number;
	readonly reached: number;
	readonly first: string;
	readonly hop: Hop;
	readonly before: Partial | undefined;
}

/** What of a model a route is to cover, and which peers stand before and behind it. */
export interface RouteEnds {
	readonly from: number;
	readonly to: number;
	/** Peer that sends to the first stage; none where the ring closes on itself. */
	readonly before?: string | undefined;
	/** Peer that takes from the last one. */
	readonly after?: string | undefined;
	/** Whether the head is none of theirs. @default false */
	readonly headless?: boolean;
}

/**
 * The hops of the shortest lap by what is announced and measured: computing, and the way from stage to stage around the
 * ring. With `objective: "throughput"` those of the quickest slowest stage. Stages that serve now come before those that are
 * still loading, idle ones before busy ones. A stage may be given a part of what it holds. Exact up to eight peers.
 *
 * @throws NoRouteError with `missingLayers` and `missingBytes` (weights in float32) that nobody holds, and
 * `loadingLayers` among them that somebody is fetching
 */
export function planRoute(members: readonly Member[], model: ModelRef, options: PlanRouteOptions): Hop[] {
	const sizes = modelSizes(model.manifest);
	const { layers } = sizes;
	const minStages = Math.max(1, options.minStages ?? 1);
	const { ownLayers, self } = options;
	const { holders: all, links } = holdersOf(members, model, options);
	const own = ownLayers ? ownEnds(self!, ownLayers, layers) : undefined;
	const holders = own ? all.filter(({ peer }) => peer !== self) : all;
	const ready = holders.filter((holder) => holder.ready);
	const ends = own
		? { from: ownLayers!, to: layers, before: self, after: self, headless: true }
		: { from: 0, to: layers };
	const hops =
		bestHops(ready, links, layers, ends, { ...options, minStages }) ??
		bestHops(holders, links, layers, ends, { ...options, minStages });
	if (hops) return own ? [own[0], ...hops, own[1]] : hops;

	const peers = new Set(holders.map((holder) => holder.peer)).size;
	const uncovered = (by: readonly Holder[]): number[] =>
		Array.from({ length: layers }, (_, layer) => layer).filter(
			(layer) => layer >= ends.from && !by.some(({ from, to }) => from <= layer && layer < to),
		);
	const missing = uncovered(holders);
	const missingBytes = missing.reduce(
		(sum, layer) => sum + sizes.weightBytes(spanOf(layer, layer + 1, layers)),
		0,
	);
	const details = {
		missingLayers: missing.length,
		missingBytes,
		loadingLayers: uncovered(ready).length - missing.length,
		layers,
		lenders: peers,
		minStages,
	};
	if (missing.length > 0) {
		throw new NoRouteError(
			`The peers that are here hold ${layers - missing.length} of the model's ${layers} layers.`,
			{ metaMessages: ["Open the lend page in more tabs or on more devices."], details },
		);
	}
	throw new NoRouteError(
		`At least ${minStages} stages are asked for, and the ${peers} peers that are here cannot form them.`,
		{ metaMessages: ["Ask for fewer stages, or open the lend page on more devices."], details },
	);
}

/** The two ends of a private stream's route: embedding and first layers, and the head, at the asker. */
function ownEnds(self: string, ownLayers: number, layers: number): [Hop, Hop] {
	return [
		{ peer: self, span: spanOf(0, ownLayers, layers) },
		{ peer: self, span: { from: layers, to: layers, embed: false, head: true } },
	];
}

/**
 * Dynamic programming over the number of hops and the layer reached; undefined where `holders` cannot cover `ends`.
 */
export function bestHops(
	all: readonly Holder[],
	links: Links,
	layers: number,
	ends: RouteEnds,
	{ minStages = 1, objective = "lap" }: Pick<PlanRouteOptions, "minStages" | "objective"> = {},
): Hop[] | undefined {
	const holders = quickestOfEachSpan(all);
	const peers = new Set(holders.map((holder) => holder.peer)).size;
	const alternatives = peers <= EXACT_PEERS ? EXACT_ALTERNATIVES : ALTERNATIVES;
	const cuts = new Set(holders.flatMap(({ from, to }) => [from, to]));
	cuts.add(ends.from).add(ends.to);
	if (minStages > 1) {
		const count = Math.min(ends.to - ends.from, MOST_CUTS);
		for (let i = 0; i <= count; i++) {
			cuts.add(ends.from + Math.round((i * (ends.to - ends.from)) / count));
		}
	}
	const places = [...cuts].filter((cut) => ends.from <= cut && cut <= ends.to).sort((a, b) => a - b);
	const laps = objective === "lap";
	let best: Partial | undefined;
	let frontier = new Map<number, Partial[]>();
	const mostHops = Math.min(limits.routeHops, peers);
	for (let count = 1; count <= mostHops; count++) {
		const next = new Map<number, Partial[]>();
		for (const holder of holders) {
			const { peer, time, lot } = holder;
			for (const from of places) {
				if (from < holder.from || from >= holder.to) continue;
				const origins = count === 1 ? (from === ends.from ? [undefined] : []) : (frontier.get(from) ?? []);
				for (const before of origins) {
					if (before && visits(before, peer)) continue;
					const sender = before?.hop.peer ?? ends.before;
					const way = sender === undefined ? 0 : links.hopMs(sender, peer);
					const first = before?.first ?? peer;
					for (const to of places) {
						if (to <= from || to > holder.to) continue;
						const ms = time(from, to);
						const exact = from === holder.from && to === holder.to;
						const slowestMs = Math.max(before?.slowestMs ?? 0, ms);
						// Of routes that take as long, the evenly cut one; of equal peers, another one for each asker.
						const nuance = ms * ms * 1e-3 + lot * 1e-6 + (exact ? 0 : CUT_MS);
						const closing = to === ends.to ? links.hopMs(peer, ends.after ?? first) : 0;
						// The way counts little where many streams fill the pipe.
						const travel = (way + closing) * (laps ? 1 : 1e-3);
						const step = laps ? ms : slowestMs - (before?.slowestMs ?? 0) + ms * 1e-3;
						const cost = (before?.cost ?? 0) + step + travel + nuance;
						if (best && cost >= best.cost) continue;
						const span = spanOf(from, to, layers);
						const hop = { peer, span: ends.headless ? { ...span, head: false } : span };
						const partial = { cost, slowestMs, reached: to, first, hop, before };
						if (to < ends.to) keepBest(next, partial, alternatives);
						else if (count >= minStages) best = partial;
					}
				}
			}
		}
		frontier = next;
		if (frontier.size === 0) break;
	}
	return best && hopsOf(best);
}

function quickestOfEachSpan(holders: readonly Holder[]): readonly Holder[] {
	if (holders.length <= MOST_HOLDERS_OF_SPAN) return holders;
	const spans = new Map<string, Holder[]>();
	for (const holder of holders) {
		const key = `${holder.from}-${holder.to}`;
		const same = spans.get(key);
		if (same) same.push(holder);
		else spans.set(key, [holder]);
	}
	return [...spans.values()].flatMap((same) =>
		same.length <= MOST_HOLDERS_OF_SPAN
			? same
			: same
					.map((holder) => ({ holder, ms: holder.time(holder.from, holder.to) }))
					.sort((a, b) => a.ms - b.ms || a.holder.lot - b.holder.lot)
					.slice(0, MOST_HOLDERS_OF_SPAN)
					.map(({ holder }) => holder),
	);
}

function keepBest(frontier: Map<number, Partial[]>, candidate: Partial, most: number): void {
	const kept = frontier.get(candidate.reached);
	if (!kept) {
		frontier.set(candidate.reached, [candidate]);
		return;
	}
	if (kept.length === most && kept.at(-1)!.cost <= candidate.cost) return;
	let i = kept.length;
	while (i > 0 && kept[i - 1]!.cost > candidate.cost) i--;
	kept.splice(i, 0, candidate);
	if (kept.length > most) kept.pop();
}

function visits(partial: Partial, peer: string): boolean {
	for (let at: Partial | undefined = partial; at; at = at.before) if (at.hop.peer === peer) return true;
	return false;
}

function hopsOf(partial: Partial): Hop[] {
	const hops: Hop[] = [];
	for (let at: Partial | undefined = partial; at; at = at.before) hops.unshift(at.hop);
	return hops;
}
