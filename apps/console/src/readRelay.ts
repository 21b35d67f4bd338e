import type { RelayFigures, RelayReading } from "@tabmesh/elements/console";
import { MalformedMessageError, PeerUnreachableError } from "@tabmesh/wire";
import { readMetrics } from "./readMetrics.ts";

/** A relay that refused its figures once is not asked for them again: browsers write every refusal into their console. */
let refused = false;

/**
 * Asks the relay that this page came from how it is.
 *
 * @throws PeerUnreachableError where nothing answers, MalformedMessageError where something else than a relay does
 */
export async function readRelay(signal: AbortSignal): Promise<RelayReading> {
	const { host } = location;
	const began = performance.now();
	const get = (path: string): Promise<Response> =>
		fetch(path, { signal, cache: "no-store" }).catch((cause) => {
			throw new PeerUnreachableError(`No relay answers at ${host}.`, {
				cause,
				metaMessages: ["Is this device online? Else whoever runs the relay should look."],
			});
		});
	const health = await get("/healthz");
	const answeredMs = performance.now() - began;
	const said: { status?: unknown; peer?: unknown } = await health.json().catch(() => ({}));
	if (typeof said.peer !== "string" || (said.status !== "ok" && said.status !== "draining"))
		throw new MalformedMessageError(`${host} answers, but not as a Tabmesh relay.`);
	return {
		host,
		peer: said.peer.slice(0, 128),
		status: said.status,
		answeredMs,
		figures: refused ? undefined : await readFigures(get),
	};
}

async function readFigures(get: (path: string) => Promise<Response>): Promise<RelayFigures | undefined> {
	const response = await get("/metrics");
	if (!response.ok) {
		refused = true;
		return undefined;
	}
	const metrics = readMetrics(await response.text());
	const seconds = metrics.get("process_start_time_seconds");
	const lag = metrics.get("nodejs_eventloop_lag_p99_seconds");
	const figures: { [Name in keyof RelayFigures]: number | undefined } = {
		sockets: metrics.get("tabmesh_relay_websockets"),
		reservations: metrics.get("tabmesh_relay_reservations"),
		refusedSockets: metrics.get("tabmesh_relay_websockets_refused_total"),
		messages: metrics.get("tabmesh_relay_topic_messages_total"),
		refusedMessages: metrics.get("tabmesh_relay_topic_messages_refused_total"),
		memoryBytes: metrics.get("process_resident_memory_bytes"),
		started: seconds === undefined ? undefined : seconds * 1000,
		lagMs: lag === undefined ? undefined : lag * 1000,
	};
	return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));
}
