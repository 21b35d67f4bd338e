import { fileURLToPath } from "node:url";
import { createServer, type ViteDevServer } from "vite";

/** Serves the gallery on a free loopback port. Run by itself it prints the address and stays. */
export async function serveGallery(): Promise<{ readonly server: ViteDevServer; readonly address: string }> {
	const server = await createServer({
		configFile: false,
		root: fileURLToPath(new URL("..", import.meta.url)),
		logLevel: "error",
		server: { host: "127.0.0.1", port: 0, hmr: false, watch: null, ws: false },
	});
	await server.listen();
	return { server, address: `${server.resolvedUrls!.local[0]}gallery/` };
}

if (import.meta.main) console.log((await serveGallery()).address);
