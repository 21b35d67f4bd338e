import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Hop, Span } from "@tabmesh/wire";
import { type DealOptions, type DealReason, deal } from "./deal.ts";
import { holdersOf, lapTime, type PlanView } from "./holders.ts";
import { lendersOf } from "./lenders.ts";
import { modelSizes } from "./modelSizes.ts";
import { rebalance } from "./rebalance.ts";
import { sparesFor } from "./spares.ts";

/** Why one peer is to do what it does, in a sentence for people. */
export interface Explanation {
	readonly peer: string;
	readonly text: string;
}

/**
 * Says of every lender of `model` why it should hold what it does by `deal` and `rebalance`, or why it holds nothing. Peers
 * that hold something come in the order of the layers.
 */
export function explain(
	members: readonly Member[],
	model: ModelRef,
	options: DealOptions = {},
): Explanation[] {
	const { layers } = modelSizes(model.manifest);
	const { assignments, reasons, holders } = deal(members, model, options);
	// Who asks for stages wants them spread as they are: lenders move nowhere then.
	const spreads = (options.minStages ?? 1) > 1;
	const moves: ReadonlyMap<string, Span> = spreads ? new Map() : rebalance(members, model, options);
	const sentences = lendersOf(members, model).map((lender): Explanation & { readonly from: number } => {
		const { peer, held } = lender;
		const dealt = assignments.get(peer);
		if (options.doubted?.has(peer))
			return { peer, from: layers, text: "Is not counted on: it did not come to serve what it announced." };
		if (!dealt) return { peer, from: layers, text: "Holds nothing: no layer fits the memory that it lends." };
		const better = reasons.get(peer) === "keeps" ? moves.get(peer) : undefined;
		const { from, to } = better ?? dealt;
		const others = Math.min(...holders.slice(from, to)) - 1;
		const text = [
			reasonText(better ? "moves" : reasons.get(peer)!, layersText(from, to, layers), others),
			`${milliseconds(lender.time(from, to))} a token by its measured speed.`,
			...(held && !lender.ready ? ["Still loading."] : []),
		].join(" ");
		return { peer, from, text };
	});
	return sentences.sort((a, b) => a.from - b.from).map(({ peer, text }) => ({ peer, text }));
}

/** Says of every stage of a route what it costs the lap, and who would take its place. */
export function explainRoute(
	hops: readonly Hop[],
	members: readonly Member[],
	model: ModelRef,
	view: PlanView,
): Explanation[] {
	const { layers } = modelSizes(model.manifest);
	const { links } = holdersOf(members, model, view);
	const { lapMs } = lapTime(hops, members, model, view);
	return hops.map((hop, place) => {
		const next = hops[(place + 1) % hops.length]!;
		const stage = lapTime([hop], members, model, view).computeMs;
		const way = links.hopMs(hop.peer, next.peer);
		const [spare, ...more] = sparesFor(hop, hops, members, model, view);
		const text = [
			`Computes ${layersText(hop.span.from, hop.span.to, layers)}: ${milliseconds(stage)} of a lap of ${milliseconds(lapMs)}`,
			hops.length > 1 ? `, ${milliseconds(way)} on the way to the next stage.` : ".",
			spare
				? ` If it leaves, ${spare.peer} takes over${spare.sameClass ? "" : ", with other rounding"}; ${more.length} more could.`
				: " Nobody here could take its place.",
		].join("");
		return { peer: hop.peer, text };
	});
}

function reasonText(reason: DealReason, what: string, others: number): string {
	const shared =
		others > 0
			? `${others} ${others === 1 ? "other holds" : "others hold"} them, too`
			: "nobody else holds them";
	switch (reason) {
		case "keeps":
			return `Keeps ${what}: it has them already, and nothing calls for a move; ${shared}.`;
		case "whole":
			return `Holds the whole model: it fits its memory, and a lap without hops is the shortest.`;
		case "fills":
			return `Takes ${what}: nobody held them, and this makes the shortest lap of those who are here.`;
		case "moves":
			return `Moves to ${what}: they need it more than what it holds now; ${shared}.`;
		case "spare":
			return `Takes ${what} as a spare: of all that fits its memory they have the fewest holders; ${shared}.`;
	}
}

function layersText(from: number, to: number, layers: number): string {
	if (from === 0 && to === layers) return "all layers";
	// As people count them, from one, as the pages do.
	return to - from === 1 ? `layer ${to}` : `layers ${from + 1}–${to}`;
}

function milliseconds(ms: number): string {
	// One word: lines do not break before the unit.
	return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)}\u00a0ms`;
}
