import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { build } from "vite";

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };

/** Builds the page in `folder`, with the twins that a page gets, and serves it on a free port. */
export async function servePage(folder: string): Promise<{ url: string; close(): Promise<void> }> {
	const outDir = await mkdtemp(join(tmpdir(), "tabmesh-page-"));
	await build({
		configFile: false,
		root: folder,
		logLevel: "error",
		build: { outDir, emptyOutDir: true, target: "esnext", minify: false, modulePreload: { polyfill: false } },
	});
	const server = createServer(async (request, response) => {
		const path = request.url === "/" ? "/index.html" : (request.url ?? "");
		try {
			const body = await readFile(join(outDir, path));
			response
				.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" })
				.end(body);
		} catch {
			response.writeHead(404).end();
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		// A name, not a number: storage and WebCrypto need a secure context, and localhost is one.
		url: `http://localhost:${(server.address() as AddressInfo).port}/`,
		async close() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
			await rm(outDir, { recursive: true });
		},
	};
}
