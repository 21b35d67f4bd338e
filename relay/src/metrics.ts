import type { MiddlewareHandler } from "hono";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What the relay counts. Names follow Prometheus' naming rules: unit last, `_total` for counters. */
export interface RelayMetrics {
	/** Counts every HTTP answer by method and status. */
	readonly middleware: MiddlewareHandler;
	websocketRefused(reason: string): void;
	topicMessage(topic: string): void;
	/** @param reason - an error code, of which there are few */
	topicRefused(reason: string): void;
	/** The text that Prometheus reads. */
	expose(): Promise<{ body: string; contentType: string }>;
	close(): void;
}

/** What is read at the moment of a scrape. */
export interface RelayLoad {
	readonly sockets: number;
	readonly connections: number;
	readonly reservations: number;
}

/** @param load - read at every scrape, so that no gauge has to be kept in step */
export function createRelayMetrics(load: () => RelayLoad): RelayMetrics {
	const register = new Registry();
	collectDefaultMetrics({ register });
	const registers = [register];
	const requests = new Counter({
		name: "tabmesh_relay_http_requests_total",
		help: "HTTP requests answered.",
		labelNames: ["method", "status"],
		registers,
	});
	const refused = new Counter({
		name: "tabmesh_relay_websockets_refused_total",
		help: "WebSocket upgrades refused.",
		labelNames: ["reason"],
		registers,
	});
	const messages = new Counter({
		name: "tabmesh_relay_topic_messages_total",
		help: "Gossip messages received.",
		labelNames: ["topic"],
		registers,
	});
	const dropped = new Counter({
		name: "tabmesh_relay_topic_messages_refused_total",
		help: "Gossip messages dropped.",
		labelNames: ["reason"],
		registers,
	});
	const gauges: [name: string, help: string, value: (load: RelayLoad) => number][] = [
		["tabmesh_relay_websockets", "WebSockets open now.", (now) => now.sockets],
		["tabmesh_relay_connections", "libp2p connections open now.", (now) => now.connections],
		["tabmesh_relay_reservations", "Circuit relay reservations held now.", (now) => now.reservations],
	];
	for (const [name, help, value] of gauges) {
		new Gauge({
			name,
			help,
			registers,
			collect() {
				this.set(value(load()));
			},
		});
	}
	/** Topic names are ours but room ids are strangers' text: beyond a few they share one label, or memory would grow with them. */
	const topics = new Set<string>();

	return {
		middleware: async (context, next) => {
			await next();
			const known = ["GET", "HEAD", "OPTIONS"].includes(context.req.method);
			requests.inc({ method: known ? context.req.method : "other", status: String(context.res.status) });
		},
		websocketRefused: (reason) => refused.inc({ reason }),
		topicMessage(topic) {
			if (topics.size < 32) topics.add(topic);
			messages.inc({ topic: topics.has(topic) ? topic : "other" });
		},
		topicRefused: (reason) => dropped.inc({ reason }),
		expose: async () => ({ body: await register.metrics(), contentType: register.contentType }),
		close: () => register.clear(),
	};
}
