import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, defaultClientConditions } from "vite";

const types: Record<string, string> = {
	".html": "text/html",
	".js": "text/javascript",
	".mjs": "text/javascript",
	".css": "text/css",
	".wasm": "application/wasm",
};

/** As the site is served: without both, no engine gets threads. */
const isolation = {
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-embedder-policy": "require-corp",
};

/** A page of a test or a bench, built and on a free port. */
export interface ServedPage {
	readonly url: string;
	close(): Promise<void>;
}

/**
 * Builds a page with the twins that a page gets, and serves it. Built, not as its sources lie: hundreds of modules for every page and
 * every worker that starts take longer than most of what tests do with them.
 *
 * @param root - the folder that absolute paths in the page begin at
 * @param page - the page's path below it
 * @param headers - what comes with every answer beside what isolates the page
 */
export async function servePage(
	root: URL,
	{ page = "index.html", headers = {} }: { page?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<ServedPage> {
	const outDir = await mkdtemp(join(tmpdir(), "tabmesh-page-"));
	await build({
		configFile: false,
		root: fileURLToPath(root),
		logLevel: "error",
		// onnxruntime-web finds its files by URL.
		resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
		worker: { format: "es" },
		build: {
			outDir,
			emptyOutDir: true,
			target: "esnext",
			minify: false,
			assetsInlineLimit: 0,
			reportCompressedSize: false,
			chunkSizeWarningLimit: 10_000,
			modulePreload: { polyfill: false },
			rolldownOptions: { input: fileURLToPath(new URL(page, root)) },
		},
	});
	const server = createServer(async (request, response) => {
		const { pathname } = new URL(request.url!, "http://localhost");
		const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
		try {
			const body = await readFile(join(outDir, path));
			const type = types[extname(path)] ?? "application/octet-stream";
			response.writeHead(200, { ...isolation, ...headers, "content-type": type }).end(body);
		} catch {
			response.writeHead(404).end();
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		// A name, not a number: storage and WebCrypto need a secure context, and localhost is one.
		url: `http://localhost:${(server.address() as AddressInfo).port}/${page.replace(/index\.html$/, "")}`,
		async close() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
			await rm(outDir, { recursive: true });
		},
	};
}
