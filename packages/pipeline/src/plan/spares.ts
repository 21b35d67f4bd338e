import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { type Hop, isPrivateRoute } from "@tabmesh/wire";
import { type Holder, holdersOf, type PlanView } from "./holders.ts";
import { bestHops } from "./planRoute.ts";

/** A peer that could take a stage of a route over, alone. */
export interface Spare {
	readonly peer: string;
	readonly numericsClass: string;
	/** Whether it computes the same floats as the stage that it would replace. */
	readonly sameClass: boolean;
	/** False where it is still fetching what it would serve. */
	readonly ready: boolean;
	/** Whether it holds this very span; else it has to load the cut of a larger one first. */
	readonly exact: boolean;
	/** Milliseconds of a lap that the stage and the ways to and from it take with this spare. */
	readonly stageMs: number;
}

/**
 * Who can replace `stage` on the route `hops`, best first: those of its numerics class, then those that serve now, then
 * those that hold this very span, then the quickest, the way from and to the neighbours included. Peers of the route itself
 * are none.
 *
 * @example
 * ```ts
 * const [spare] = sparesFor(hops[1]!, hops, directory.members, model, { room, self: peer.id, connections: peer.connections });
 * ```
 */
export function sparesFor(
	stage: Hop,
	hops: readonly Hop[],
	members: readonly Member[],
	model: ModelRef,
	view: PlanView,
): Spare[] {
	const { holders, links } = holdersOf(members, model, view);
	const place = hops.findIndex(({ peer }) => peer === stage.peer);
	const before = hops.at(place - 1)?.peer ?? stage.peer;
	const after = hops[(place + 1) % hops.length]?.peer ?? stage.peer;
	const wanted = members.find(({ peer }) => peer === stage.peer)?.lends?.numericsClass;
	const { from, to } = stage.span;
	const best = new Map<string, Spare & { readonly lot: number }>();
	for (const holder of holders) {
		if (!holds(holder, from, to) || hops.some(({ peer }) => peer === holder.peer)) continue;
		const alone = hops.length === 1;
		const spare = {
			peer: holder.peer,
			numericsClass: holder.numericsClass,
			sameClass: holder.numericsClass === wanted,
			ready: holder.ready,
			exact: holder.from === from && holder.to === to,
			stageMs:
				holder.time(from, to) +
				(alone ? 0 : links.hopMs(before, holder.peer) + links.hopMs(holder.peer, after)),
			lot: holder.lot,
		};
		const known = best.get(spare.peer);
		if (!known || bySuitability(spare, known) < 0) best.set(spare.peer, spare);
	}
	return [...best.values()].sort(bySuitability).map(({ lot: _, ...spare }) => spare);
}

function holds({ from, to }: Holder, start: number, end: number): boolean {
	return from <= start && end <= to;
}

function bySuitability(a: Spare & { readonly lot: number }, b: Spare & { readonly lot: number }): number {
	return (
		Number(b.sameClass) - Number(a.sameClass) ||
		Number(b.ready) - Number(a.ready) ||
		Number(b.exact) - Number(a.exact) ||
		a.stageMs - b.stageMs ||
		a.lot - b.lot
	);
}

/**
 * The route `hops` with the stages of `lost` peers replaced, all other stages as they are: neighbours lost together become
 * one gap, which one spare or several close. Spares of the lost stage's numerics class are taken where they can close it.
 *
 * @returns undefined where those that are here cannot close a gap
 */
export function replaceLost(
	hops: readonly Hop[],
	lost: ReadonlySet<string>,
	members: readonly Member[],
	model: ModelRef,
	view: PlanView,
): Hop[] | undefined {
	const { layers } = model.manifest.config;
	const used = new Set([...(view.exclude ?? []), ...lost]);
	const replaced: Hop[] = [];
	for (let place = 0; place < hops.length; place++) {
		const hop = hops[place]!;
		if (!lost.has(hop.peer)) {
			replaced.push(hop);
			continue;
		}
		let end = place;
		while (end + 1 < hops.length && lost.has(hops[end + 1]!.peer)) end++;
		const ends = {
			from: hop.span.from,
			to: hops[end]!.span.to,
			before:
				hops.slice(0, place).findLast(({ peer }) => !lost.has(peer))?.peer ??
				hops.findLast(({ peer }) => !lost.has(peer))?.peer,
			after: [...hops.slice(end + 1), ...hops].find(({ peer }) => !lost.has(peer))?.peer,
			headless: isPrivateRoute(hops),
		};
		for (const { peer } of [...hops, ...replaced]) used.add(peer);
		const { holders, links } = holdersOf(members, model, { ...view, exclude: used });
		const wanted = members.find(({ peer }) => peer === hop.peer)?.lends?.numericsClass;
		const same = holders.filter(({ numericsClass }) => numericsClass === wanted);
		const close = (by: readonly Holder[]): Hop[] | undefined =>
			bestHops(
				by.filter(({ ready }) => ready),
				links,
				layers,
				ends,
			) ?? bestHops(by, links, layers, ends);
		const detour = close(same) ?? close(holders);
		if (!detour) return undefined;
		replaced.push(...detour);
		place = end;
	}
	return replaced;
}
