import { fileURLToPath } from "node:url";
import { createServer, defaultClientConditions, type ViteDevServer } from "vite";

/** Serves a folder's pages as the site is served: cross-origin isolated (else no engine gets threads), onnxruntime-web's files from the same origin. */
export async function serveIsolated(folder: URL): Promise<{ server: ViteDevServer; url: string }> {
	const server = await createServer({
		configFile: false,
		root: fileURLToPath(folder),
		logLevel: "error",
		resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
		server: {
			host: "127.0.0.1",
			port: 0,
			headers: {
				"Cross-Origin-Opener-Policy": "same-origin",
				"Cross-Origin-Embedder-Policy": "require-corp",
			},
			fs: { strict: false },
			hmr: false,
			watch: null,
		},
		// onnxruntime-web finds its files by URL; bundled into a cache it does not.
		optimizeDeps: { exclude: ["onnxruntime-web"] },
	});
	await server.listen();
	return { server, url: server.resolvedUrls!.local[0]! };
}
