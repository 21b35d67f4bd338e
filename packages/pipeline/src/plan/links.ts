import type { Member } from "@tabmesh/directory";
import type { ConnectionView } from "@tabmesh/transport";

/** What a hop costs beyond its delay, in milliseconds: packing, threads that wake up (`bench:hop` measures 1 to 1.5). */
const HOP_MS = 2;
/** What a TURN server adds to a lap beyond the round trip measured through it: it queues, and its operator pays for it. */
const TURN_MS = 10;
/** Round trip in milliseconds between two peers of whom nothing is known: between continents less, next door more. Parallax takes the same. */
const UNKNOWN_RTT_MS = 100;

/** How far peers are apart, as far as it was measured. */
export interface Links {
	/** Milliseconds that one hop of a ring from one peer to another takes beyond computing; 0 to itself. */
	hopMs(from: string, to: string): number;
	/** Round trip in milliseconds: measured, or estimated by way of a third peer that both measured. */
	rttMs(a: string, b: string): number;
}

/** What the asker knows first-hand of its own connections. */
export type OwnConnection = Pick<ConnectionView, "peer" | "path" | "rttMs">;

interface Link {
	readonly rttMs: number;
	readonly turn: boolean;
}

/**
 * Reads distances out of what `members` announce. Where two peers tell different round trips of one connection, the longer
 * one counts: who pretends to be near gains nothing by it. What `self` measured itself counts before anything announced.
 */
export function linksOf(
	members: readonly Member[],
	self = "",
	connections: readonly OwnConnection[] = [],
): Links {
	const told = new Map<string, Map<string, Link>>();
	for (const { peer, lends } of members) {
		if (!lends?.links) continue;
		told.set(peer, new Map(lends.links.map(([other, rttMs, turn]) => [other, { rttMs, turn }])));
	}
	const own = new Map(told.get(self));
	for (const { peer, path, rttMs } of connections) {
		if (rttMs !== undefined && path !== "relayed") own.set(peer, { rttMs, turn: path === "turn" });
	}
	if (own.size > 0) told.set(self, own);

	const linkOf = (a: string, b: string): Link | undefined => {
		if (a === self && own.has(b)) return own.get(b);
		if (b === self && own.has(a)) return own.get(a);
		const there = told.get(a)?.get(b);
		const back = told.get(b)?.get(a);
		return there && back ? (there.rttMs > back.rttMs ? there : back) : (there ?? back);
	};
	/** The triangle's longer way round: no pair is further apart, and few that share a relay are much nearer. */
	const byLandmark = (a: string, b: string): number => {
		const fromB = told.get(b);
		let least = Number.POSITIVE_INFINITY;
		for (const [landmark, { rttMs }] of told.get(a) ?? []) {
			const other = fromB?.get(landmark);
			if (other) least = Math.min(least, rttMs + other.rttMs);
		}
		return least === Number.POSITIVE_INFINITY ? UNKNOWN_RTT_MS : least;
	};
	const rttMs = (a: string, b: string): number => (a === b ? 0 : (linkOf(a, b)?.rttMs ?? byLandmark(a, b)));
	return {
		rttMs,
		hopMs: (from, to) => {
			if (from === to) return 0;
			const turn = linkOf(from, to)?.turn ?? false;
			return rttMs(from, to) / 2 + HOP_MS + (turn ? TURN_MS : 0);
		},
	};
}
