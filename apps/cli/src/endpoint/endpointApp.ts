import type { Tabmesh } from "@tabmesh/client";
import type { ChatCompletionParams, CompletionParams, EmbeddingParams, OpenAi } from "@tabmesh/client/openai";
import { isLoopback, parseHostHeader } from "@tabmesh/relay/command-line";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { streamSSE } from "hono/streaming";
import type { ContentfulStatusCode, StatusCode } from "hono/utils/http-status";
import type { Logger } from "pino";
import { type ApiError, apiError, apiErrorOf } from "./apiError.ts";
import type { ApiKeys } from "./apiKeys.ts";
import type { EndpointMetrics } from "./endpointMetrics.ts";
import type { OpenAnswers } from "./openAnswers.ts";
import type { RequestRate } from "./requestRate.ts";
import { untilHeld } from "./untilHeld.ts";

/** Of a request's body: a million tokens of text, and what stands around them. */
const mostBodyBytes = 4 * 1024 * 1024;

export interface EndpointParts {
	readonly mesh: Tabmesh;
	readonly openai: OpenAi;
	readonly answers: OpenAnswers;
	readonly keys: ApiKeys;
	readonly rate: RequestRate | undefined;
	readonly metrics: EndpointMetrics;
	readonly corsOrigins: readonly string[];
	readonly metricsToken: string | undefined;
	readonly waitMs: number;
	readonly log: Logger;
}

/** The routes of OpenAI's API, and what stands before them. */
export function endpointApp(parts: EndpointParts): Hono {
	const { answers, log, mesh, metrics, openai } = parts;
	const app = new Hono();

	app.use("*", async (context, next) => {
		const start = performance.now();
		await next();
		const { method, path } = context.req;
		const { status, headers } = context.res;
		headers.set("X-Content-Type-Options", "nosniff");
		if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
		metrics.answered(routes.has(path) ? path : "other", status);
		log.info({ method, path, status, ms: Math.round(performance.now() - start) }, "request");
	});
	app.get("/healthz", (context) => {
		const { draining } = answers;
		return context.json({ status: draining ? "draining" : "ok", peer: mesh.peer }, draining ? 503 : 200);
	});
	app.get("/metrics", async (context) => {
		const token = parts.metricsToken;
		const allowed =
			token === undefined
				? isLoopback(remoteAddress(context)) && namesThisMachine(context)
				: context.req.header("authorization") === `Bearer ${token}`;
		if (!allowed) return context.text("Metrics are for this machine, or for a bearer of the token.\n", 403);
		const { body, contentType } = await metrics.expose();
		return context.body(body, 200, { "Content-Type": contentType });
	});

	app.use("/v1/*", noStrangePages(parts));
	if (parts.corsOrigins.length > 0) {
		const origin = parts.corsOrigins.includes("*") ? "*" : [...parts.corsOrigins];
		app.use("/v1/*", cors({ origin, allowMethods: ["GET", "POST"], maxAge: 600 }));
	}
	app.use("/v1/*", admission(parts));
	const limited = bodyLimit({
		maxSize: mostBodyBytes,
		onError: (context) =>
			refuse(
				context,
				apiError(413, "request_too_large", `A request has at most ${mostBodyBytes / 1024 / 1024} MiB.`),
			),
	});

	app.get("/v1/models", async (context) => context.json(await openai.models.list()));
	app.get("/v1/models/:model{.+}", async (context) =>
		context.json(await openai.models.retrieve(context.req.param("model"))),
	);
	app.post("/v1/chat/completions", limited, (context) =>
		answer(context, parts, (params, options) =>
			openai.chat.completions.create(params as ChatCompletionParams, options),
		),
	);
	app.post("/v1/completions", limited, (context) =>
		answer(context, parts, (params, options) =>
			openai.completions.create(params as CompletionParams, options),
		),
	);
	app.post("/v1/embeddings", limited, (context) =>
		answer(context, parts, (params, options) => openai.embeddings.create(params as EmbeddingParams, options)),
	);

	app.notFound((context) => {
		const { method, path } = context.req;
		return refuse(context, apiError(404, "unknown_url", `There is no ${method} ${path.slice(0, 100)} here.`));
	});
	app.onError((error, context) => {
		// Nobody reads it any more; the status is for the log alone.
		if (context.req.raw.signal.aborted) return context.body(null, 499 as StatusCode);
		const told = apiErrorOf(error);
		if (told.status === 500) log.error({ err: error, path: context.req.path }, "request failed");
		return refuse(context, told);
	});
	return app;
}

const routes = new Set([
	"/healthz",
	"/metrics",
	"/v1/models",
	"/v1/chat/completions",
	"/v1/completions",
	"/v1/embeddings",
]);

function refuse(context: Context, { status, retryAfter, body }: ApiError): Response {
	if (retryAfter !== undefined) context.header("Retry-After", String(retryAfter));
	return context.json(body, status as ContentfulStatusCode);
}

function remoteAddress(context: Context): string {
	const { incoming } = context.env as { incoming?: { socket: { remoteAddress?: string } } };
	return incoming?.socket.remoteAddress ?? "";
}

/** Whether the request says that it is for this machine: one that a page's own name was bent to here does not. */
function namesThisMachine(context: Context): boolean {
	return isLoopback(parseHostHeader(context.req.header("host"))?.host ?? "");
}

/**
 * A page that somebody has open could ask a server on his machine: with forms, with a name that leads there. So pages are refused
 * unless their origin is allowed, and without keys requests have to be for this machine by name.
 */
function noStrangePages({ corsOrigins, keys }: EndpointParts): MiddlewareHandler {
	return async (context, next) => {
		const origin = context.req.header("origin");
		if (origin !== undefined && !corsOrigins.includes("*") && !corsOrigins.includes(origin)) {
			return refuse(context, apiError(403, "origin_not_allowed", "Pages of this origin may not ask here."));
		}
		if (!keys.needed && !namesThisMachine(context)) {
			return refuse(context, apiError(403, "host_not_allowed", "Without a key only this machine may ask."));
		}
		return next();
	};
}

/** Under which the place of a request's key is kept, where there are keys. */
const keyOfRequest = "key";

/** Keys and rates. */
function admission({ answers, keys, rate }: EndpointParts): MiddlewareHandler {
	return async (context, next) => {
		if (answers.draining) {
			context.header("Connection", "close");
			return refuse(context, apiError(503, "stopping", "This endpoint is being stopped.", { retryAfter: 1 }));
		}
		const place = keys.needed ? keys.bearer(context.req.header("authorization")) : 0;
		if (place === undefined) {
			context.header("WWW-Authenticate", "Bearer");
			return refuse(context, apiError(401, "invalid_api_key", "This is no key of this endpoint."));
		}
		// Nobody behind one key learns by the time of an answer what was asked behind another.
		if (keys.needed) context.set(keyOfRequest, place);
		const allowance = rate?.take(place);
		if (allowance) {
			const { limit, remaining, waitMs } = allowance;
			context.header("X-RateLimit-Limit-Requests", String(limit));
			context.header("X-RateLimit-Remaining-Requests", String(remaining));
			context.header("X-RateLimit-Reset-Requests", `${waitMs}ms`);
			if (!allowance.allowed) {
				const retryAfter = Math.max(1, Math.ceil(waitMs / 1000));
				const sentence = `This key may ask ${limit} times a minute.`;
				return refuse(context, apiError(429, "rate_limit_exceeded", sentence, { retryAfter }));
			}
		}
		return next();
	};
}

/** An answer, or a piece of one. */
type Told = {
	usage?: { prompt_tokens: number; completion_tokens?: number } | null;
	choices?: readonly unknown[];
};

/** Reads the request, waits for lenders, and tells the answer whole or as server-sent events. */
async function answer(
	context: Context,
	{ answers, log, mesh, metrics, waitMs }: EndpointParts,
	create: (
		params: unknown,
		options: { signal: AbortSignal; apart?: string },
	) => Promise<Told | AsyncIterable<Told>>,
): Promise<Response> {
	const type = context.req.header("content-type") ?? "";
	// A page's form can send other types without being allowed to.
	if (!/^application\/json *(;|$)/i.test(type)) {
		return refuse(context, apiError(415, "unsupported_media_type", "A request is application/json."));
	}
	let params: unknown;
	try {
		params = JSON.parse(await context.req.text());
	} catch (error) {
		if (!(error instanceof SyntaxError)) throw error;
		return refuse(context, apiError(400, "invalid_json", "The request is no JSON."));
	}
	const gone = new AbortController();
	context.req.raw.signal.addEventListener("abort", () => gone.abort(), { once: true });
	const running = answers.begin(gone.signal);
	const { signal } = running;
	const cost = (usage: Told["usage"]): void => {
		if (usage) metrics.tokens(usage.prompt_tokens, usage.completion_tokens ?? 0);
	};
	let result: Told | AsyncIterable<Told>;
	try {
		await untilHeld(mesh, (params as { model?: unknown } | null)?.model, waitMs, signal);
		const place = context.get(keyOfRequest);
		result = await create(withUsage(params), {
			signal,
			...(place === undefined ? {} : { apart: `key ${place}` }),
		});
	} catch (error) {
		running.end();
		throw error;
	}
	if (!(Symbol.asyncIterator in result)) {
		running.end();
		cost(result.usage);
		return context.json(result);
	}
	const pieces = result;
	// Proxies that gather an answer would make it come in lumps.
	context.header("X-Accel-Buffering", "no");
	return streamSSE(context, async (stream) => {
		stream.onAbort(() => gone.abort());
		try {
			for await (const piece of pieces) {
				cost(piece.usage);
				const { usage: _, ...told } = piece;
				// The last piece is only about what it cost.
				if (wantsUsage(params)) await stream.writeSSE({ data: JSON.stringify(piece) });
				else if (piece.choices && piece.choices.length > 0)
					await stream.writeSSE({ data: JSON.stringify(told) });
			}
			signal.throwIfAborted();
			await stream.writeSSE({ data: "[DONE]" });
		} catch (error) {
			if (gone.signal.aborted) return;
			const told = apiErrorOf(error);
			if (told.status === 500) log.error({ err: error }, "stream failed");
			await stream.writeSSE({ data: JSON.stringify(told.body) });
		} finally {
			running.end();
		}
	});
}

type StreamParams = {
	readonly stream?: unknown;
	readonly stream_options?: { readonly include_usage?: unknown } | null;
};

function wantsUsage(params: unknown): boolean {
	return (params as StreamParams).stream_options?.include_usage === true;
}

/** The same request; where it is for a stream, what it costs is to be told, because we count it. */
function withUsage(params: unknown): unknown {
	const isStream = typeof params === "object" && (params as StreamParams | null)?.stream === true;
	if (!isStream) return params;
	const { stream_options: options } = params as StreamParams;
	const isLeftOut = options == null || options.include_usage == null || options.include_usage === false;
	return isLeftOut ? { ...params, stream_options: { include_usage: true } } : params;
}
