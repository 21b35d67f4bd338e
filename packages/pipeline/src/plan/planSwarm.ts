import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";
import { type DealOptions, type DealReason, deal } from "./deal.ts";
import { byJoining } from "./lenders.ts";
import { modelSizes, spanOf } from "./modelSizes.ts";
import { rebalance } from "./rebalance.ts";

/** What one lender should hold, and why. */
export interface Placement {
	readonly model: ModelRef;
	readonly span: Span;
	readonly reason: DealReason;
}

/**
 * Who should hold what of several models: whoever holds a part of one stays with it, everybody else goes to the model that
 * has the least memory for its size among those that its owner is willing to serve; then each model is dealt and, where it
 * is whole, rebalanced. As pure as `deal`.
 */
export function planSwarm(
	members: readonly Member[],
	models: readonly ModelRef[],
	options: DealOptions = {},
): ReadonlyMap<string, Placement> {
	const byModel = new Map(models.map((model) => [model.id, { model, members: [] as Member[], bytes: 0 }]));
	const sizeOf = ({ manifest }: ModelRef): number => {
		const sizes = modelSizes(manifest);
		return sizes.servingBytes(spanOf(0, sizes.layers, sizes.layers));
	};
	const sizes = new Map(models.map((model) => [model.id, sizeOf(model)]));
	const free: Member[] = [];
	for (const member of members) {
		const { lends } = member;
		if (!lends || options.doubted?.has(member.peer)) continue;
		const place = lends.spans.map((span) => byModel.get(span.model)).find((found) => found);
		if (place) {
			place.members.push(member);
			place.bytes += lends.memoryBytes;
		} else {
			free.push(member);
		}
	}
	for (const member of free.sort(byJoining)) {
		const places = member.lends!.models.flatMap((id) => byModel.get(id) ?? []);
		const copies = (place: (typeof places)[number]): number => place.bytes / sizes.get(place.model.id)!;
		const [first, ...others] = places;
		if (!first) continue;
		const place = others.reduce((least, other) => (copies(other) < copies(least) ? other : least), first);
		place.members.push(member);
		place.bytes += member.lends!.memoryBytes;
	}
	const placements = new Map<string, Placement>();
	for (const { model, members } of byModel.values()) {
		const { assignments, reasons } = deal(members, model, options);
		const moves = rebalance(members, model, options);
		for (const [peer, span] of assignments) {
			const reason = reasons.get(peer)!;
			const to = reason === "keeps" ? moves.get(peer) : undefined;
			placements.set(peer, to ? { model, span: to, reason: "moves" } : { model, span, reason });
		}
	}
	return placements;
}
