import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import type { Tabmesh } from "@tabmesh/client";
import { createOpenAi } from "@tabmesh/client/openai";
import { type Certificate, closeServers, type HostName, listen, obtainCertificate } from "@tabmesh/relay";
import { isLoopback } from "@tabmesh/relay/command-line";
import { InvalidParameterError } from "@tabmesh/wire";
import type { Logger } from "pino";
import { ApiKeys } from "./apiKeys.ts";
import { endpointApp } from "./endpointApp.ts";
import { createEndpointMetrics } from "./endpointMetrics.ts";
import { OpenAnswers } from "./openAnswers.ts";
import { RequestRate } from "./requestRate.ts";

export interface EndpointOptions {
	mesh: Tabmesh;
	/** 0 takes any free port. */
	port: number;
	/** Anything but loopback is served over HTTPS, and takes keys. */
	host: HostName;
	/** PEM files; a self-signed certificate is made where HTTPS is needed and none is given. */
	tls?: { certFile?: string; keyFile?: string };
	/** Where a self-signed certificate lives between starts. */
	cacheDir?: string;
	/** Without any everybody who reaches the port may ask. */
	apiKeys: readonly string[];
	/** Requests of one key within a minute; without keys, of all together. @default no limit */
	requestsPerMinute?: number;
	/** Origins of pages that may ask, or `*`. */
	corsOrigins: readonly string[];
	/** Bearer token for `/metrics` from elsewhere than this machine; without it `/metrics` answers this machine only. */
	metricsToken?: string;
	/** How long a request waits for lenders where the model is not held whole. */
	waitMs: number;
	/** How long running answers may take after `stop`. @default 10,000 */
	drainMs?: number;
	logger: Logger;
}

/** A running endpoint. */
export interface Endpoint {
	/** What OpenAI's clients take as their base URL, without `/v1`. */
	readonly url: string;
	/** What HTTPS runs with; undefined on loopback. */
	readonly certificate: Certificate | undefined;
	/** Takes nothing new, lets running answers end for `drainMs`, then ends them. */
	stop(): Promise<void>;
}

/** How long running answers may take after `stop`: most answers end in that time. */
const DRAIN_MS = 10_000;

/**
 * Serves OpenAI's API, answered by a network.
 *
 * @throws PortInUseError, InvalidParameterError
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
	const { host, mesh, drainMs = DRAIN_MS } = options;
	const keys = new ApiKeys(options.apiKeys);
	if (!isLoopback(host) && !keys.needed) {
		throw new InvalidParameterError(`Whoever reaches ${host} could ask in your name.`, {
			metaMessages: ["Give a key with --api-key, or leave --host out."],
		});
	}
	const certificate = await obtainCertificate({
		host,
		...options.tls,
		...(options.cacheDir === undefined ? {} : { cacheDir: options.cacheDir }),
	});
	const answers = new OpenAnswers();
	const metrics = createEndpointMetrics(() => answers.size);
	const app = endpointApp({
		mesh,
		openai: createOpenAi(mesh),
		answers,
		keys,
		metrics,
		corsOrigins: options.corsOrigins,
		rate: options.requestsPerMinute === undefined ? undefined : new RequestRate(options.requestsPerMinute),
		metricsToken: options.metricsToken,
		waitMs: options.waitMs,
		log: options.logger,
	});
	const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
	// A request's head and body come within seconds; its answer may take as long as it takes.
	const limits = { headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 15_000 };
	const server: Server = certificate
		? createSecureServer({ ...limits, cert: certificate.cert, key: certificate.key }, listener)
		: createServer(limits, listener);
	server.on("clientError", (_error, socket) => {
		if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
	});
	let port: number;
	try {
		port = await listen(server, options.port, host);
	} catch (error) {
		metrics.close();
		throw error;
	}
	const name = host === "0.0.0.0" || host === "::" || host === "127.0.0.1" ? "localhost" : host;
	let stopped: Promise<void> | undefined;
	const stop = async (): Promise<void> => {
		answers.drain(drainMs);
		// A little longer, so that those who are cut off are told.
		await closeServers([server], drainMs + 1000);
		metrics.close();
	};
	return {
		url: `${certificate ? "https" : "http"}://${name.includes(":") ? `[${name}]` : name}:${port}`,
		certificate,
		stop() {
			stopped ??= stop();
			return stopped;
		},
	};
}
