import { fileURLToPath } from "node:url";
import { createServer, type ViteDevServer } from "vite";

/** What the relay answers with, without the network: whatever works here works under the site's own policy. */
const policy =
	"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'";

/** Serves the gallery on a free loopback port. Run by itself it prints the address and stays. */
export async function serveGallery(): Promise<{ readonly server: ViteDevServer; readonly address: string }> {
	const server = await createServer({
		configFile: false,
		root: fileURLToPath(new URL("..", import.meta.url)),
		logLevel: "error",
		plugins: [
			{
				name: "no-reloading",
				// Vite's client only reloads, and opens a socket that the policy refuses.
				transformIndexHtml: {
					order: "post",
					handler: (html) => html.replace(/<script[^>]*@vite\/client[^>]*><\/script>/, ""),
				},
			},
		],
		server: {
			host: "127.0.0.1",
			port: 0,
			hmr: false,
			watch: null,
			ws: false,
			headers: { "Content-Security-Policy": policy },
		},
	});
	await server.listen();
	return { server, address: `${server.resolvedUrls!.local[0]}gallery/` };
}

if (import.meta.main) console.log((await serveGallery()).address);
