import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";

/** What the relay answers with, without the network: whatever works here works under the site's own policy. */
const policy =
	"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'";

/** Serves the gallery on a free loopback port. Run by itself it prints the address and stays. */
export function serveGallery(): Promise<ServedPage> {
	return servePage(new URL("..", import.meta.url), {
		page: "gallery/index.html",
		headers: { "content-security-policy": policy },
	});
}

if (import.meta.main) console.log((await serveGallery()).url);
