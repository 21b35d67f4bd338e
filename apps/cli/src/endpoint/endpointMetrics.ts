import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What an endpoint counts. Names follow Prometheus' naming rules: unit last, `_total` for counters. */
export interface EndpointMetrics {
	/** @param route - of ours, never what a stranger wrote */
	answered(route: string, status: number): void;
	/** What a finished answer cost. */
	tokens(prompt: number, completion: number): void;
	/** The text that Prometheus reads. */
	expose(): Promise<{ body: string; contentType: string }>;
	close(): void;
}

/** @param running - answers being written, read at every scrape */
export function createEndpointMetrics(running: () => number): EndpointMetrics {
	const register = new Registry();
	collectDefaultMetrics({ register });
	const registers = [register];
	const requests = new Counter({
		name: "tabmesh_serve_http_requests_total",
		help: "HTTP requests answered; a stream counts when it begins.",
		labelNames: ["route", "status"],
		registers,
	});
	const tokens = new Counter({
		name: "tabmesh_serve_tokens_total",
		help: "Tokens of answers that came to their end.",
		labelNames: ["kind"],
		registers,
	});
	new Gauge({
		name: "tabmesh_serve_answers",
		help: "Answers being written now.",
		registers,
		collect() {
			this.set(running());
		},
	});
	return {
		answered: (route, status) => requests.inc({ route, status: String(status) }),
		tokens(prompt, completion) {
			tokens.inc({ kind: "prompt" }, prompt);
			tokens.inc({ kind: "completion" }, completion);
		},
		expose: async () => ({ body: await register.metrics(), contentType: register.contentType }),
		close: () => register.clear(),
	};
}
