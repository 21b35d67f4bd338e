import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { type LapTime, lapTime, modelSizes, spanOf } from "@tabmesh/pipeline";
import type { Hop } from "@tabmesh/wire";

/**
 * The shortest lap that any choice of peers, order and cuts within their memory gives: tries everything that is not longer
 * already, with none of the planner's own search. Milliseconds; infinite where the peers have no room for the model.
 *
 * @param usable - part of a lender's memory that may be filled
 */
export function shortestLap(members: readonly Member[], model: ModelRef, usable: number): number {
	const sizes = modelSizes(model.manifest);
	const { layers } = sizes;
	// As if everybody held everything, so that every hop can be asked for.
	const all = members.map((member) => ({
		...member,
		lends: {
			...member.lends!,
			spans: [{ model: model.id, ...spanOf(0, layers, layers), ready: true, msPerToken: 0 }],
		},
	}));
	const view = { room: "public" };
	const time = (hops: Hop[]): LapTime => lapTime(hops, all, model, view);
	const peers = members.map(({ peer, lends }) => ({
		peer,
		/** compute[from][to] */
		compute: Array.from({ length: layers }, (_, from) =>
			Array.from({ length: layers + 1 }, (_, to) =>
				to > from &&
				sizes.servingBytes(spanOf(from, to, layers), lends!.numericsClass) <= lends!.memoryBytes * usable
					? time([{ peer, span: spanOf(from, to, layers) }]).computeMs
					: Number.POSITIVE_INFINITY,
			),
		),
	}));
	const ways = peers.map((a) =>
		peers.map((b) => {
			if (a === b) return 0;
			const hops = [a, b].map(({ peer }, i) => ({ peer, span: spanOf(i, i + 1, layers) }));
			// There and back are equally long.
			return time(hops).travelMs / 2;
		}),
	);
	/** No lap takes less for the layers that are left. */
	const leastFrom = Array.from({ length: layers + 1 }, () => 0);
	for (let layer = layers - 1; layer >= 0; layer--) {
		const per = Math.min(...peers.map(({ compute }) => finite(compute[layer]![layer + 1]!)));
		leastFrom[layer] = leastFrom[layer + 1]! + per;
	}
	let best = Number.POSITIVE_INFINITY;
	const extend = (first: number, last: number, used: number, reached: number, ms: number): void => {
		if (reached === layers) {
			best = Math.min(best, ms + ways[last]![first]!);
			return;
		}
		if (ms + leastFrom[reached]! >= best) return;
		for (let next = 0; next < peers.length; next++) {
			if ((used >> next) & 1) continue;
			const way = used === 0 ? 0 : ways[last]![next]!;
			const from = used === 0 ? next : first;
			for (let to = layers; to > reached; to--) {
				const compute = peers[next]!.compute[reached]![to]!;
				if (compute !== Number.POSITIVE_INFINITY)
					extend(from, next, used | (1 << next), to, ms + way + compute);
			}
		}
	};
	extend(0, 0, 0, 0, 0);
	return best;
}

/** A layer that does not fit alone, with the head beside it, may still be free of charge for the bound. */
function finite(ms: number): number {
	return ms === Number.POSITIVE_INFINITY ? 0 : ms;
}
