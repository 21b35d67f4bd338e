import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { modelSizes } from "./modelSizes.ts";

/** Who fetches slower than a bad mobile line holds up those who would take its place: 1 Mbit/s, in bytes per millisecond. */
const SLOWEST_BYTES_PER_MS = 125;
/** What opening a span takes on the slowest devices, a queue before it included. */
const GRACE_MS = 2 * 60_000;

/**
 * Lenders that have been loading the same span for longer than anybody takes: the deal should not count on them (its
 * `doubted`). Whoever announces memory that it does not have keeps layers from others only for so long.
 *
 * Each peer sees for itself when somebody began; times are passed in, in milliseconds of any steady clock.
 */
export class StalledLenders {
	readonly #since = new Map<string, { readonly span: string; readonly at: number }>();

	/** To be called with every view of the swarm; who is not in it any more is forgotten. */
	of(members: readonly Member[], model: ModelRef, now: number): ReadonlySet<string> {
		const { layers, weightBytes } = modelSizes(model.manifest);
		const stalled = new Set<string>();
		const loading = new Set<string>();
		for (const { peer, lends } of members) {
			const target = lends?.spans.find((span) => span.model === model.id && !span.ready);
			if (!target || target.to > layers) continue;
			loading.add(peer);
			const span = `${target.from}-${target.to}`;
			const known = this.#since.get(peer);
			const at = known?.span === span ? known.at : now;
			this.#since.set(peer, { span, at });
			const allowed = GRACE_MS + weightBytes(target, lends!.numericsClass) / SLOWEST_BYTES_PER_MS;
			if (now - at > allowed) stalled.add(peer);
		}
		for (const peer of this.#since.keys()) if (!loading.has(peer)) this.#since.delete(peer);
		return stalled;
	}
}
