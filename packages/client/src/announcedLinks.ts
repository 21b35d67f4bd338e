import type { ConnectionView } from "@tabmesh/transport";
import { limits, type MeasuredLink } from "@tabmesh/wire";

/** Round trips are told in steps of so many milliseconds: finer figures waver, and change nobody's plan. */
const stepMs = 5;

/**
 * What of our connections others should know: relays first, by which two peers that never met can tell how far they are
 * apart, then the nearest peers. Rounded up, so that nobody looks nearer than it is.
 */
export function announcedLinks(connections: readonly ConnectionView[]): MeasuredLink[] {
	return connections
		.filter(({ path, rttMs }) => rttMs !== undefined && path !== "relayed")
		.sort((a, b) => Number(b.path === "socket") - Number(a.path === "socket") || a.rttMs! - b.rttMs!)
		.slice(0, limits.announcedLinks)
		.map(({ peer, path, rttMs }) => [
			peer,
			Math.min(limits.roundTripMs, Math.ceil(rttMs! / stepMs) * stepMs),
			path === "turn",
		]);
}
