import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";

/** Vite puts a hash of the content before the extension: `assets/lend-BqK3x_9a.js`. Such a name never changes its bytes. */
const hashedName = /[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+(\.map)?$/;

const fallbackNotFound =
	'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not found</title><h1>Nothing is here</h1><p><a href="/">To the start</a></p></html>';

/** What an asset's name says about how long it may be kept. */
export function cacheControl(path: string): string {
	return /(^|\/)assets\//.test(path) && hashedName.test(path)
		? "public, max-age=31536000, immutable"
		: "no-cache";
}

/**
 * Serves a built site: files as they lie in `siteDir`, their precompressed twins (`.br`, `.gz`) where the browser takes
 * them, a folder's index.html for `/lend` as for `/lend/`, and the site's own 404.html for the rest.
 */
export function siteRoutes(siteDir: string): Hono {
	const routes = new Hono();
	const notFoundFile = join(siteDir, "404.html");
	routes.use("*", async (context, next) => {
		await next();
		if (context.res.ok) context.res.headers.set("Cache-Control", cacheControl(context.req.path));
	});
	routes.use("*", serveStatic({ root: siteDir, precompressed: true }));
	routes.all("*", (context) => {
		const page = existsSync(notFoundFile) ? readFileSync(notFoundFile, "utf8") : fallbackNotFound;
		context.header("Cache-Control", "no-cache");
		return context.html(page, 404);
	});
	return routes;
}
