import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { type Hop, limits, NoRouteError, protocolVersion } from "@tabmesh/wire";
import { type ModelSizes, modelSizes, spanOf } from "./modelSizes.ts";

export interface PlanRouteOptions {
	room: string;
	/** Use at least so many stages. @default 1 */
	minStages?: number;
	/** Peers that are not to be used: they refused, or left. */
	exclude?: ReadonlySet<string>;
	/** Our own peer id: among equals we are our own first choice. Also spreads the others over different askers. */
	self?: string;
}

/** What a stage costs beyond computing when it must load the cut of its span first: as much as a thousand quick tokens. */
const LOADING_MS = 1000;
/** Partial routes kept for each number of hops and layer reached; more than one, because no peer may appear twice. */
const KEPT_ALTERNATIVES = 6;
/** Places at which spans are cut when more stages are wanted than there are natural ones. */
const MOST_CUTS = 48;

interface Holder {
	readonly peer: string;
	readonly from: number;
	readonly to: number;
	readonly ready: boolean;
	/** Milliseconds of one decode step through `[from, to)`. */
	time(from: number, to: number): number;
	/** In [0, 1), different for every asker. */
	readonly lot: number;
}

interface Partial {
	readonly cost: number;
	readonly reached: number;
	readonly hop: Hop;
	readonly before: Partial | undefined;
}

/**
 * The hops of the shortest lap: the fewest stages (but `minStages`), and among those the quickest, with stages that serve
 * now before those that are still loading and idle ones before busy ones. A stage may be given a part of what it holds.
 *
 * @throws NoRouteError with `missingLayers` and `missingBytes` (weights in float32) that nobody holds, and
 * `loadingLayers` among them that somebody is fetching
 */
export function planRoute(members: readonly Member[], model: ModelRef, options: PlanRouteOptions): Hop[] {
	const sizes = modelSizes(model.manifest);
	const { layers } = sizes;
	const minStages = Math.max(1, options.minStages ?? 1);
	const holders = members.flatMap((member) => holdersOf(member, model.id, sizes, options));
	const ready = holders.filter((holder) => holder.ready);
	const hops = shortest(ready, layers, minStages) ?? shortest(holders, layers, minStages);
	if (hops) return hops;

	const peers = new Set(holders.map((holder) => holder.peer)).size;
	const uncovered = (by: readonly Holder[]): number[] =>
		Array.from({ length: layers }, (_, layer) => layer).filter(
			(layer) => !by.some(({ from, to }) => from <= layer && layer < to),
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

function holdersOf(member: Member, model: string, sizes: ModelSizes, options: PlanRouteOptions): Holder[] {
	const { lends } = member;
	const [oldest, newest] = member.majors;
	if (
		!lends ||
		options.exclude?.has(member.peer) ||
		!member.rooms.includes(options.room) ||
		newest < protocolVersion.oldestMajor ||
		oldest > protocolVersion.major
	) {
		return [];
	}
	const bytes = (from: number, to: number): number =>
		sizes.weightBytes({ ...spanOf(from, to, sizes.layers), embed: false }, lends.numericsClass);
	return lends.spans
		.filter((span) => span.model === model && span.from < span.to && span.to <= sizes.layers)
		.filter((span) => (span.from > 0 || span.embed) && (span.to < sizes.layers || span.head))
		.map(({ from, to, ready, msPerToken }) => {
			const msPerByte = msPerToken > 0 ? msPerToken / bytes(from, to) : 1 / lends.bytesPerMs;
			// Streams share a stage: each waits for the others' steps.
			const share = msPerByte * (1 + lends.streams);
			return {
				peer: member.peer,
				from,
				to,
				ready,
				time: (a: number, b: number) => bytes(a, b) * share,
				lot: member.peer === options.self ? 0 : lotOf(`${options.self ?? ""} ${member.peer}`),
			};
		});
}

/** FNV-1a (Fowler, Noll, Vo), 32 bits, as a fraction. */
function lotOf(text: string): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
	return (hash >>> 0) / 2 ** 32;
}

/** Dynamic programming over the number of hops and the layer reached. */
function shortest(holders: readonly Holder[], layers: number, minStages: number): Hop[] | undefined {
	const cuts = new Set(holders.flatMap(({ from, to }) => [from, to]));
	if (minStages > 1) {
		const count = Math.min(layers, MOST_CUTS);
		for (let i = 0; i <= count; i++) cuts.add(Math.round((i * layers) / count));
	}
	const places = [...cuts].sort((a, b) => a - b);
	let frontier = new Map<number, Partial[]>();
	const mostHops = Math.min(limits.routeHops, new Set(holders.map((holder) => holder.peer)).size);
	for (let count = 1; count <= mostHops; count++) {
		const next = new Map<number, Partial[]>();
		for (const holder of holders) {
			const { peer, time, lot } = holder;
			for (const from of places) {
				if (from < holder.from || from >= holder.to) continue;
				const origins = count === 1 ? (from === 0 ? [undefined] : []) : (frontier.get(from) ?? []);
				for (const before of origins) {
					if (before && visits(before, peer)) continue;
					for (const to of places) {
						if (to <= from || to > holder.to) continue;
						const ms = time(from, to);
						const exact = from === holder.from && to === holder.to;
						const cost =
							(before?.cost ?? 0) +
							ms +
							(exact ? 0 : LOADING_MS) +
							// Of routes that take as long, the evenly cut one; of equal peers, another one for each asker.
							ms * ms * 1e-3 +
							lot * 1e-6;
						keepBest(next, {
							cost,
							reached: to,
							hop: { peer, span: spanOf(from, to, layers) },
							before,
						});
					}
				}
			}
		}
		frontier = next;
		const complete = frontier.get(layers)?.[0];
		if (complete && count >= minStages) return hopsOf(complete);
	}
	return undefined;
}

function keepBest(frontier: Map<number, Partial[]>, candidate: Partial): void {
	const kept = frontier.get(candidate.reached);
	if (!kept) {
		frontier.set(candidate.reached, [candidate]);
		return;
	}
	if (kept.length === KEPT_ALTERNATIVES && kept.at(-1)!.cost <= candidate.cost) return;
	let i = kept.length;
	while (i > 0 && kept[i - 1]!.cost > candidate.cost) i--;
	kept.splice(i, 0, candidate);
	if (kept.length > KEPT_ALTERNATIVES) kept.pop();
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
