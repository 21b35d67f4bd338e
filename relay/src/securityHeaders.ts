import type { MiddlewareHandler } from "hono";

/** Where pages of the site may connect to, besides the site itself. */
export interface ConnectSources {
	/** `ws://` or `wss://` origins of the relays. */
	readonly relays: readonly string[];
	/** `http(s)://` origins of models, and of a chain's node. */
	readonly others: readonly string[];
}

/**
 * Who may show a page in a frame. Plain HTTP has neither keys nor WebRTC, except on the machine itself; what somebody presses in such a
 * frame counts only where it was in plain sight (docs/decisions/0026-embedding.md).
 */
const anySite = "https: http://localhost:* http://127.0.0.1:*";

/**
 * The Content-Security-Policy of the site (CSP Level 3). No inline script or style, no plugin, no frame around it but around the pages
 * made for that: what a stranger's text might smuggle into the page finds nothing to run on.
 */
export function contentSecurityPolicy({ relays, others }: ConnectSources, framed: boolean): string {
	return [
		"default-src 'self'",
		// WebAssembly compiles only with this keyword; it does not allow eval of JavaScript.
		"script-src 'self' 'wasm-unsafe-eval'",
		// onnxruntime-web starts its threads from a blob.
		"worker-src 'self' blob:",
		`connect-src ${["'self'", ...new Set([...relays, ...others])].join(" ")}`,
		"style-src 'self'",
		"img-src 'self' data: blob:",
		"object-src 'none'",
		`frame-ancestors ${framed ? anySite : "'none'"}`,
		"form-action 'none'",
		"base-uri 'none'",
	].join("; ");
}

/**
 * Headers of every answer. COOP and COEP make the page cross-origin isolated, without which WebAssembly has no threads;
 * answers that other sites may read (`shared` paths: site description, models, the embedding script) say so, pages that other sites may
 * show (`framed` ones) as well, everything else stays with this origin.
 */
export function securityHeaders(init: {
	sources: ConnectSources;
	shared: (path: string) => boolean;
	framed: (path: string) => boolean;
}): MiddlewareHandler {
	const policies = [false, true].map((framed) => contentSecurityPolicy(init.sources, framed));
	return async (context, next) => {
		await next();
		const headers = context.res.headers;
		const shared = init.shared(context.req.path);
		const framed = init.framed(context.req.path);
		headers.set("Content-Security-Policy", policies[Number(framed)]!);
		headers.set("Cross-Origin-Opener-Policy", "same-origin");
		headers.set("Cross-Origin-Embedder-Policy", "require-corp");
		headers.set("Cross-Origin-Resource-Policy", shared || framed ? "cross-origin" : "same-origin");
		headers.set("X-Content-Type-Options", "nosniff");
		headers.set("Referrer-Policy", "no-referrer");
		headers.set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()");
		if (shared) {
			headers.set("Access-Control-Allow-Origin", "*");
			headers.set("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag, Accept-Ranges");
		}
	};
}
