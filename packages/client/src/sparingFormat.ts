import type { Member } from "@tabmesh/directory";
import type { ModelRef, WeightFormat } from "@tabmesh/model";
import { type DealOptions, deal } from "@tabmesh/pipeline";
import type { Span } from "@tabmesh/wire";

/** The format in which a lender serves its swarm best, and what it would hold. */
export interface SparingFormat {
	readonly weights: WeightFormat;
	readonly span: Span | undefined;
}

/**
 * The first of `formats` in which the swarm can hold the whole model; where it can in none, the first of those with which least of it is
 * missing: a lender gives up speed for room only where that helps.
 *
 * @param peer - the lender; the others stay as they are
 * @param formats - what it may run, best first
 */
export function sparingFormat(
	members: readonly Member[],
	model: ModelRef,
	peer: string,
	formats: readonly [WeightFormat, ...WeightFormat[]],
	options: DealOptions,
): SparingFormat {
	let best: (SparingFormat & { missingBytes: number }) | undefined;
	for (const weights of formats) {
		const imagined = members.map((member) => (member.peer === peer ? running(member, weights) : member));
		const { assignments, missingBytes } = deal(imagined, model, options);
		if (!best || missingBytes < best.missingBytes)
			best = { weights, span: assignments.get(peer), missingBytes };
		if (missingBytes === 0) break;
	}
	return best!;
}

/** A lender as it would announce itself in another format: `ort<version>/<backend>/<vendor>/<weights>/<kv>`. */
function running(member: Member, weights: WeightFormat): Member {
	if (!member.lends) return member;
	const numericsClass = member.lends.numericsClass.split("/").with(3, weights).join("/");
	return { ...member, lends: { ...member.lends, numericsClass } };
}
