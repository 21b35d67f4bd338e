import type { Member } from "@tabmesh/directory";
import type { ModelRef } from "@tabmesh/model";
import { type Hop, isPrivateRoute, protocolVersion } from "@tabmesh/wire";
import { type Links, linksOf, type OwnConnection } from "./links.ts";
import { modelSizes } from "./modelSizes.ts";

/** Weight bytes per millisecond that no device reads: twice the memory of the quickest accelerators. Who announces more, lies. */
export const FASTEST_BYTES_PER_MS = 1e10;

/** What a plan is for: the shortest lap of one stream, or the most tokens of many streams in all. */
export type Objective = "lap" | "throughput";

/** The swarm as whoever plans sees it. */
export interface PlanView {
	room: string;
	/** Peers that are not to be used: they refused, or left. */
	exclude?: ReadonlySet<string>;
	/** Our own peer id: among equals we are our own first choice. Also spreads the others over different askers. */
	self?: string;
	/** Our own connections: what we measured counts before what others announce. */
	connections?: readonly OwnConnection[];
	/** Milliseconds that a peer took longer per lap than it announces, as we measured it; see `Experience`. @default 0 */
	extraMs?: (peer: string) => number;
}

/** A peer that holds, or is fetching, a span of the model and can be asked for any part of it. */
export interface Holder {
	readonly peer: string;
	readonly from: number;
	readonly to: number;
	readonly ready: boolean;
	readonly numericsClass: string;
	/** Milliseconds of one decode step through `[from, to)`, the other streams' share included. */
	time(from: number, to: number): number;
	/** In [0, 1), different for every asker. */
	readonly lot: number;
}

/** Who can serve which layers of a model, and how far they are apart. */
export interface Holders {
	readonly holders: readonly Holder[];
	readonly links: Links;
}

/** Reads the holders of `model` out of the announcements: members of the room that speak our protocol. */
export function holdersOf(members: readonly Member[], model: ModelRef, view: PlanView): Holders {
	const sizes = modelSizes(model.manifest);
	const holders = members.flatMap((member): Holder[] => {
		const { lends, peer } = member;
		const [oldest, newest] = member.majors;
		if (
			!lends ||
			view.exclude?.has(peer) ||
			!member.rooms.includes(view.room) ||
			newest < protocolVersion.oldestMajor ||
			oldest > protocolVersion.major
		) {
			return [];
		}
		const extraMs = view.extraMs?.(peer) ?? 0;
		return lends.spans
			.filter((span) => span.model === model.id && span.from < span.to && span.to <= sizes.layers)
			.filter((span) => (span.from > 0 || span.embed) && (span.to < sizes.layers || span.head))
			.map(({ from, to, ready, msPerToken }) => {
				const whole = sizes.decodeBytes(from, to, lends.numericsClass);
				const announced = msPerToken > 0 ? msPerToken : whole / lends.bytesPerMs;
				const msPerByte = Math.max(announced, whole / FASTEST_BYTES_PER_MS) / whole;
				// Streams share a stage: each waits for the others' steps.
				const share = msPerByte * (1 + lends.streams);
				return {
					peer,
					from,
					to,
					ready,
					numericsClass: lends.numericsClass,
					time: (a: number, b: number) => sizes.decodeBytes(a, b, lends.numericsClass) * share + extraMs,
					lot: peer === view.self ? 0 : lotOf(`${view.self ?? ""} ${peer}`),
				};
			});
	});
	return { holders, links: linksOf(members, view.self, view.connections) };
}

/** FNV-1a (Fowler, Noll, Vo), 32 bits, as a fraction. */
function lotOf(text: string): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
	return (hash >>> 0) / 2 ** 32;
}

/** What one lap of a route takes by all that is known. */
export interface LapTime {
	/** Milliseconds that the stages compute. */
	readonly computeMs: number;
	/** Milliseconds that frames are under way. */
	readonly travelMs: number;
	/** Both together: milliseconds per token of one stream. */
	readonly lapMs: number;
	/** The slowest stage: milliseconds per token of many streams at once. */
	readonly bottleneckMs: number;
}

/**
 * The time of one lap over `hops`; infinite where a peer does not hold its span any more. What the asker of a private stream computes
 * himself counts for nothing: it is the same on every route.
 */
export function lapTime(
	hops: readonly Hop[],
	members: readonly Member[],
	model: ModelRef,
	view: PlanView,
): LapTime {
	const { holders, links } = holdersOf(members, model, view);
	let computeMs = 0;
	let travelMs = 0;
	let bottleneckMs = 0;
	const isOwn = (place: number): boolean =>
		isPrivateRoute(hops) && (place === 0 || place === hops.length - 1);
	for (const [place, { peer, span }] of hops.entries()) {
		const next = hops[(place + 1) % hops.length]!;
		if (isOwn(place)) {
			travelMs += links.hopMs(peer, next.peer);
			continue;
		}
		const times = holders
			.filter((holder) => holder.peer === peer && holder.from <= span.from && span.to <= holder.to)
			.map((holder) => holder.time(span.from, span.to));
		const ms = Math.min(...times);
		computeMs += ms;
		bottleneckMs = Math.max(bottleneckMs, ms);
		travelMs += links.hopMs(peer, next.peer);
	}
	return { computeMs, travelMs, lapMs: computeMs + travelMs, bottleneckMs };
}
