import type { Directory } from "@tabmesh/directory";
import type { Providers } from "@tabmesh/r1fs";

/** Peers that give one layer: a second one for the case that the first is slow or leaves. */
const holdersPerLayer = 2;
/** Peers asked at once: each is a dial, and a dozen fill any downlink. */
const mostHolders = 12;

/**
 * Who has the blocks of a model: those who announce that they hold layers of it, or have them on their disk, fetched
 * them themselves. As few of them as cover every layer twice, by lot, so that not everybody asks the same.
 */
export function layerHolders(directory: Pick<Directory, "members">, self: string): Providers {
	return {
		async *find(model) {
			const covered = new Map<number, number>();
			const lots = new Map(directory.members.map(({ peer }) => [peer, Math.random()]));
			const members = directory.members.toSorted((a, b) => lots.get(a.peer)! - lots.get(b.peer)!);
			let found = 0;
			for (const { peer, lends } of members) {
				if (peer === self || found === mostHolders) continue;
				const kept = [...(lends?.spans.filter(({ ready }) => ready) ?? []), ...(lends?.stored ?? [])];
				const layers = new Set(
					kept
						.filter((span) => span.model === model)
						.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)),
				);
				if ([...layers].every((layer) => (covered.get(layer) ?? 0) >= holdersPerLayer)) continue;
				for (const layer of layers) covered.set(layer, (covered.get(layer) ?? 0) + 1);
				found++;
				yield { peer };
			}
		},
		// Announcing the layers says it all.
		async provide() {},
	};
}
