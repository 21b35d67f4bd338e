import type { Tabmesh } from "@tabmesh/client";
import { phoneSteps } from "@tabmesh/relay";
import { pino } from "pino";
import { startEndpoint } from "../endpoint/startEndpoint.ts";
import { type Entry, enterNetwork } from "../enterNetwork.ts";

/** `tabmesh serve`: what the command line gave. */
export interface ServeOptions extends Entry {
	port: number;
	host: string;
	tlsCert?: string;
	tlsKey?: string;
	cacheDir: string;
	apiKeys: string[];
	/** Requests of one key within a minute. */
	rateLimit?: number;
	corsOrigins: string[];
	metricsToken?: string;
	/** How long a request waits for lenders. */
	waitSeconds: number;
	logLevel: string;
}

/** Manifests take a moment to arrive; a request that comes before them would be told that there is no model. */
const manifestsMs = 3000;

/**
 * Joins a network and serves OpenAI's API to programs on this machine, until `signal`.
 *
 * @returns the exit status
 * @throws what `enterNetwork` and `startEndpoint` throw
 */
export async function serve(
	options: ServeOptions,
	output: { print(line: string): void; note(line: string): void },
	signal: AbortSignal,
): Promise<number> {
	const mesh = await enterNetwork(options, signal);
	try {
		await untilModels(mesh, signal);
		const endpoint = await startEndpoint({
			mesh,
			port: options.port,
			host: options.host,
			tls: {
				...(options.tlsCert === undefined ? {} : { certFile: options.tlsCert }),
				...(options.tlsKey === undefined ? {} : { keyFile: options.tlsKey }),
			},
			cacheDir: options.cacheDir,
			apiKeys: options.apiKeys,
			...(options.rateLimit === undefined ? {} : { requestsPerMinute: options.rateLimit }),
			corsOrigins: options.corsOrigins,
			...(options.metricsToken === undefined ? {} : { metricsToken: options.metricsToken }),
			waitMs: options.waitSeconds * 1000,
			logger: pino({ level: options.logLevel }, pino.destination(2)),
		});
		output.print(`\n  ${endpoint.url}/v1\n`);
		const names = mesh.models.map(({ name }) => name).join(", ");
		output.note(`Model ${names || "none"} · room ${mesh.room} · Ctrl-C stops`);
		if (endpoint.certificate?.selfSigned)
			for (const step of phoneSteps(endpoint.url, endpoint.certificate)) output.note(step);
		await new Promise<void>((resolve) => {
			if (signal.aborted) resolve();
			signal.addEventListener("abort", () => resolve(), { once: true });
		});
		output.note("Stopping when the running answers end …");
		await endpoint.stop();
		return 0;
	} finally {
		await mesh.close();
	}
}

async function untilModels(mesh: Tabmesh, signal: AbortSignal): Promise<void> {
	const enough = AbortSignal.any([signal, AbortSignal.timeout(manifestsMs)]);
	while (mesh.models.length === 0 && !enough.aborted) {
		await new Promise<void>((resolve) => {
			mesh.addEventListener("swarm", () => resolve(), { once: true, signal: enough });
			enough.addEventListener("abort", () => resolve(), { once: true });
		});
	}
	signal.throwIfAborted();
}
