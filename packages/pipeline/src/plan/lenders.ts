import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import type { Device, Range } from "./bestChain.ts";
import { FASTEST_BYTES_PER_MS } from "./holders.ts";
import { modelSizes, spanOf } from "./modelSizes.ts";

/** Part of a lender's memory that weights and KV may fill; the rest is scratch space of the run itself. */
export const USABLE_MEMORY = 0.9;

/** A lender as the deal sees it. */
export interface Lender extends Device {
	/** Bytes of memory that layers `[from, to)` take it. */
	bytes(from: number, to: number): number;
	/** The furthest layer up to which it can hold a range that begins at `from`. */
	furthest(from: number): number;
	/** The lowest layer from which it can hold a range that ends at `to`. */
	nearest(to: number): number;
	/** What it holds or is fetching of this model. */
	readonly held: Range | undefined;
	/** What it could hold without fetching it first. */
	readonly stored: Range | undefined;
	/** What it serves now; not `held` where it moves or grows. */
	readonly serving: Range | undefined;
	/** Whether it serves what it holds. */
	readonly ready: boolean;
	readonly joined: number;
}

/** Who lends for `model`, the first to join first. Whoever is in `doubted` counts as if it were not here. */
export function lendersOf(
	members: readonly Member[],
	model: ModelRef,
	doubted?: ReadonlySet<string>,
): Lender[] {
	return members
		.filter((member) => member.lends?.models.includes(model.id) && !doubted?.has(member.peer))
		.sort(byJoining)
		.map((member) => knownLender(member, model));
}

/** Announcements are never changed, only replaced: what was read out of one holds for every plan. */
const known = new WeakMap<Member, { readonly manifest: ModelRef["manifest"]; readonly lender: Lender }>();

function knownLender(member: Member, model: ModelRef): Lender {
	const cached = known.get(member);
	if (cached?.manifest === model.manifest) return cached.lender;
	const lender = lenderOf(member, model);
	known.set(member, { manifest: model.manifest, lender });
	return lender;
}

/** The first to join first, so that everybody deals in the same order. */
export function byJoining(a: Member, b: Member): number {
	return a.joined - b.joined || (a.peer < b.peer ? -1 : 1);
}

function lenderOf(member: Member, model: ModelRef): Lender {
	const lends = member.lends!;
	const sizes = modelSizes(model.manifest);
	const usable = lends.memoryBytes * USABLE_MEMORY;
	const bytes = (from: number, to: number): number =>
		sizes.servingBytes(spanOf(from, to, sizes.layers), lends.numericsClass);
	const fits = (from: number, to: number): boolean => bytes(from, to) <= usable;
	const furthest = table(sizes.layers, (from) => {
		let low = from;
		let high = sizes.layers;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (fits(from, middle)) low = middle;
			else high = middle - 1;
		}
		return low;
	});
	const nearest = table(sizes.layers, (to) => {
		let low = 0;
		let high = to;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (fits(middle, to)) high = middle;
			else low = middle + 1;
		}
		return low;
	});
	const bytesPerMs = Math.min(lends.bytesPerMs, FASTEST_BYTES_PER_MS);
	const spans = lends.spans
		.filter((span) => span.model === model.id && span.to <= sizes.layers && span.to > span.from)
		// Only what the deal could have given: a first layer without its embedding closes no gap.
		.filter((span) => span.embed === (span.from === 0) && span.head === (span.to === sizes.layers))
		// Who moves announces both spans: where it moves to counts, or everybody would send it there again.
		.sort((a, b) => Number(a.ready) - Number(b.ready) || b.to - b.from - (a.to - a.from) || a.from - b.from);
	const [held] = spans;
	return {
		peer: member.peer,
		joined: member.joined,
		time: (from, to) => sizes.decodeBytes(from, to, lends.numericsClass) / bytesPerMs,
		bytes,
		fits,
		furthest,
		nearest,
		// An owner who takes memory back gives layers back.
		held: held && fits(held.from, held.to) ? { from: held.from, to: held.to } : undefined,
		stored: lends.stored?.find((span) => span.model === model.id && span.to <= sizes.layers),
		serving: spans.find(({ ready }) => ready),
		ready: held?.ready ?? false,
	};
}

/** A function of a layer that is asked for the same ones again and again. */
function table(layers: number, of: (layer: number) => number): (layer: number) => number {
	const values = new Int32Array(layers + 1).fill(-1);
	return (layer) => {
		if (values[layer]! < 0) values[layer] = of(layer);
		return values[layer]!;
	};
}
