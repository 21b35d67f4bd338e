import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import { InvalidParameterError, type Site } from "@tabmesh/wire";
import { Hono } from "hono";
import { type Logger, pino } from "pino";
import { type Certificate, obtainCertificate } from "./certificate.ts";
import { ConnectionLimiter, type ConnectionRate } from "./connectionRate.ts";
import { closeServers, listen } from "./httpServer.ts";
import {
	type HostName,
	isLoopback,
	parseHostHeader,
	reachableHosts,
	urlHost,
	websocketMultiaddr,
} from "./listenAddress.ts";
import { createRelayMetrics } from "./metrics.ts";
import { startRelayNode } from "./relayNode.ts";
import { securityHeaders } from "./securityHeaders.ts";
import { siteRoutes } from "./siteRoutes.ts";
import { createWebsocketGate, type WebsocketGate } from "./websocketGate.ts";

/** What a script tag on another site's page loads, and what says its hash. */
const embedScripts = ["/embed.js", "/embed.iife.js", "/embed.json"];
/** The pages that lie in frames on other sites' pages. */
const framedPages = /^\/embed\/(?:ask|chat|lend)\/?$/;

/** What the site says about its network, besides the relay's own addresses. */
export type SiteParts = Omit<Site, "relays">;

export interface RelayOptions {
	/** 0 takes any free port. @default 8787 */
	port?: number;
	/** Name or address to listen on. Anything but loopback is served over HTTPS. @default "127.0.0.1" */
	host?: HostName;
	/** Folder of the built site; without it only the API answers. */
	siteDir?: string;
	/** Read at every request for `/tabmesh.json`, so that models may come later. */
	site: () => SiteParts;
	/** PEM files; a self-signed certificate is made where HTTPS is needed and none is given. */
	tls?: { certFile?: string; keyFile?: string };
	/** Where a self-signed certificate and the relay's key live between starts; without it both are new each time. */
	cacheDir?: string;
	/** Address under which a proxy in front of us is reached, such as `https://mesh.example.org`. */
	publicUrl?: string;
	/** Further routes by path prefix: the models of the CLI, for example. Readable by other origins. */
	extraRoutes?: Readonly<Record<string, (request: Request) => Response | Promise<Response>>>;
	/** `http(s)://` origins besides this one that pages call: for models, for what a chain says. */
	connectOrigins?: readonly string[];
	/** Also listens with plain HTTP on a free loopback port, for children of this process when TLS is on. */
	loopbackTwin?: boolean;
	/** New WebSockets per client address. @default 200 at once, 20 per second: a lecture hall behind one address */
	connectionRate?: ConnectionRate;
	/** WebSockets open at once. @default 4096, about what one process carries before gossip slows down */
	maxSockets?: number;
	/** Bearer token for `/metrics` from elsewhere than this machine; without it `/metrics` answers this machine only. */
	metricsToken?: string;
	/** How long running answers may take after `stop`. @default 5000 */
	drainMs?: number;
	/** @default pino to stderr, level "warn" */
	logger?: Logger;
	signal?: AbortSignal;
}

export interface Relay {
	/** Address for people: `http://localhost:8787`. */
	readonly url: string;
	/** Plain HTTP on loopback; equals `url` where that is plain already. */
	readonly loopbackUrl: string;
	/** Multiaddrs of the relay, each with its `/p2p/…`. */
	readonly multiaddrs: readonly string[];
	readonly peer: string;
	readonly port: number;
	/** What HTTPS runs with; undefined on loopback. */
	readonly certificate: Certificate | undefined;
	/** Stops taking work, lets running answers finish for `drainMs`, then ends everything. */
	stop(): Promise<void>;
}

function parsePublicUrl(text: string): URL {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== "/") {
		throw new InvalidParameterError(
			`--public-url takes an address like https://mesh.example.org, not "${text}".`,
			{
				details: { option: "--public-url" },
			},
		);
	}
	return url;
}

/**
 * Starts a relay: one port for the site, its description, models, metrics and the WebSockets of the peers.
 *
 * @throws PortInUseError, InvalidParameterError, InsecureOriginError; nothing keeps running then
 *
 * @example
 * ```ts
 * import { startRelay } from "@tabmesh/relay";
 * const relay = await startRelay({ port: 8787, site: () => ({ room: "public", models: [], minStages: 1 }) });
 * console.log(relay.url);
 * await relay.stop();
 * ```
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
	const host = options.host ?? "127.0.0.1";
	const log = options.logger ?? pino({ level: "warn" }, pino.destination(2));
	const publicUrl = options.publicUrl === undefined ? undefined : parsePublicUrl(options.publicUrl);
	const certificate = await obtainCertificate({ host, ...options.tls, ...pick(options, "cacheDir") });
	const secure = certificate !== undefined;
	options.signal?.throwIfAborted();

	const undo: (() => Promise<void> | void)[] = [];
	async function unwind(): Promise<void> {
		for (const step of undo.splice(0).reverse()) {
			await Promise.resolve(step()).catch((error: unknown) => log.warn({ err: error }, "stop"));
		}
	}

	try {
		const app = new Hono();
		const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
		const serverOptions = { headersTimeout: 10_000, keepAliveTimeout: 15_000 };
		const server: Server = secure
			? createSecureServer({ ...serverOptions, cert: certificate.cert, key: certificate.key }, listener)
			: createServer(serverOptions, listener);
		// The port is taken first: of all that can fail it is what people meet most, and it costs nothing to undo.
		const port = await listen(server, options.port ?? 8787, host);
		const servers: Server[] = [server];
		let closing: Promise<void> | undefined;
		const closeAll = (): Promise<void> => {
			closing ??= closeServers(servers, options.drainMs ?? 5000);
			return closing;
		};
		undo.push(closeAll);

		const node = await startRelayNode({
			port,
			maxPeers: options.maxSockets ?? 4096,
			// A port that is free by chance is another one next time: no key to keep.
			...(options.port === 0 ? {} : pick(options, "cacheDir")),
		});
		undo.push(() => node.stop());

		let gate: WebsocketGate | undefined;
		const metrics = createRelayMetrics(() => ({ sockets: gate?.openSockets ?? 0, ...node.load }));
		undo.push(() => metrics.close());
		node.addEventListener("message", ({ detail }) => metrics.topicMessage(detail.topic));
		node.addEventListener("banned", ({ detail }) => log.warn(detail, "peer banned"));
		node.addEventListener("refused", ({ detail }) => {
			metrics.topicRefused(detail.reason);
			log.debug(detail, "message refused");
		});
		gate = createWebsocketGate({
			port: node.port,
			limiter: new ConnectionLimiter(options.connectionRate ?? { burst: 200, perSecond: 20 }),
			maxSockets: options.maxSockets ?? 4096,
			onRefused: (reason, address) => {
				metrics.websocketRefused(reason);
				log.warn({ reason, address }, "websocket refused");
			},
		});
		const openGate = gate;
		undo.push(() => openGate.close());

		const hosts =
			publicUrl === undefined ? reachableHosts(host) : [publicUrl.hostname.replace(/^\[|\]$/g, "")];
		const publicPort =
			publicUrl === undefined ? port : Number(publicUrl.port || (publicUrl.protocol === "https:" ? 443 : 80));
		const publicSecure = publicUrl === undefined ? secure : publicUrl.protocol === "https:";
		const multiaddrs = hosts
			.slice(0, 8)
			.map((name) => `${websocketMultiaddr(name, publicPort, publicSecure)}/p2p/${node.id}`);

		let twinPort: number | undefined;
		let draining = false;
		const shared = [...Object.keys(options.extraRoutes ?? {}), "/tabmesh.json", ...embedScripts];
		const sockets = publicSecure ? "wss" : "ws";
		const loopbackNames = isLoopback(host) ? ["127.0.0.1", "localhost"] : [];
		app.use("*", metrics.middleware);
		app.use("*", async (context, next) => {
			const start = performance.now();
			await next();
			log.info(
				{
					method: context.req.method,
					path: context.req.path,
					status: context.res.status,
					ms: Math.round(performance.now() - start),
				},
				"request",
			);
		});
		app.use(
			"*",
			securityHeaders({
				sources: {
					relays: [...new Set([...hosts, ...loopbackNames])].map(
						(name) => `${sockets}://${urlHost(name)}:${publicPort}`,
					),
					others: options.connectOrigins ?? [],
				},
				shared: (path) => shared.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)),
				framed: (path) => framedPages.test(path),
			}),
		);
		app.get("/tabmesh.json", (context) => {
			// Whoever reached us as H can reach us as H again: a self-signed certificate is accepted per name, and behind
			// a port forwarding only the browser knows the name that works.
			const asked = publicUrl === undefined ? parseHostHeader(context.req.header("host")) : undefined;
			const viaTwin = asked?.port !== undefined && asked.port === twinPort;
			const relays = asked
				? [
						`${websocketMultiaddr(asked.host, asked.port ?? (secure ? 443 : 80), secure && !viaTwin)}/p2p/${node.id}`,
					]
				: multiaddrs;
			const site: Site = { relays: [...relays], ...options.site() };
			context.header("Cache-Control", "no-store");
			return context.json(site);
		});
		app.get("/healthz", (context) => {
			context.header("Cache-Control", "no-store");
			return context.json({ status: draining ? "draining" : "ok", peer: node.id }, draining ? 503 : 200);
		});
		app.get("/metrics", async (context) => {
			context.header("Cache-Control", "no-store");
			const incoming = (context.env as { incoming?: { socket: { remoteAddress?: string } } }).incoming;
			const here = isLoopback(incoming?.socket.remoteAddress ?? "");
			const token = options.metricsToken;
			const allowed =
				token === undefined
					? here && publicUrl === undefined
					: context.req.header("authorization") === `Bearer ${token}`;
			if (!allowed) return context.text("Metrics are for this machine, or for a bearer of the token.\n", 403);
			const { body, contentType } = await metrics.expose();
			return context.body(body, 200, { "Content-Type": contentType });
		});
		for (const [prefix, handler] of Object.entries(options.extraRoutes ?? {})) {
			app.all(prefix, (context) => handler(context.req.raw));
			app.all(`${prefix}/*`, (context) => handler(context.req.raw));
		}
		if (options.siteDir !== undefined) app.route("/", siteRoutes(options.siteDir));
		app.onError((error, context) => {
			log.error({ err: error, path: context.req.path }, "request failed");
			return context.text("Something went wrong here; the operator's log says what.\n", 500);
		});

		server.on("upgrade", openGate.upgrade);
		server.on("clientError", (_error, socket) => {
			if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
		});
		if (options.loopbackTwin && secure) {
			const twin = createServer(serverOptions, listener);
			twinPort = await listen(twin, 0, "127.0.0.1");
			servers.push(twin);
			twin.on("upgrade", openGate.upgrade);
		}

		const scheme = publicSecure ? "https" : "http";
		const shown = host === "127.0.0.1" && publicUrl === undefined ? "localhost" : urlHost(hosts[0]!);
		const url = publicUrl?.origin ?? `${scheme}://${shown}:${publicPort}`;
		log.info({ url, peer: node.id, multiaddrs }, "relay started");

		let stopped: Promise<void> | undefined;
		return {
			url,
			loopbackUrl: twinPort !== undefined ? `http://127.0.0.1:${twinPort}` : url,
			multiaddrs,
			peer: node.id,
			port,
			certificate,
			stop() {
				draining = true;
				// No new connections from now on; the last step of the unwinding waits for the answers under way.
				void closeAll();
				stopped ??= unwind().then(() => log.info("relay stopped"));
				return stopped;
			},
		};
	} catch (error) {
		await unwind();
		throw error;
	}
}

/** `{ [key]: value }` where it is defined: `exactOptionalPropertyTypes` tells absent from undefined. */
function pick<T extends object, K extends keyof T>(from: T, key: K): { [P in K]?: NonNullable<T[P]> } {
	return from[key] === undefined ? {} : ({ [key]: from[key] } as { [P in K]?: NonNullable<T[P]> });
}
