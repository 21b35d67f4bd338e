import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A page of somebody else's site. */
export interface HostPage {
	readonly body: string;
	readonly headers?: Readonly<Record<string, string>>;
}

/** Somebody else's site, which embeds Tabmesh: another origin and another site than `localhost`, where relays are. */
export interface HostSite {
	readonly url: string;
	close(): Promise<void>;
}

/** The README's example as it is published, at a relay; under the policy that the guide gives, and nothing beyond it but its own style and script. */
export async function examplePage(relay: string): Promise<HostPage> {
	const { module } = await (await fetch(`${relay}/embed.json`)).json();
	const source = await readFile(new URL("../apps/embed/example.html", import.meta.url), "utf8");
	return {
		body: source
			.replaceAll("https://relay.example.org", relay)
			.replaceAll("sha384-…", module.integrity)
			.replaceAll('<script type="module">', '<script type="module" nonce="own">')
			.replaceAll("<style>", '<style nonce="own">'),
		headers: {
			"content-security-policy": [
				"default-src 'none'",
				`script-src ${relay} 'nonce-own'`,
				`frame-src ${relay}`,
				"style-src 'nonce-own'",
				"img-src 'self'",
				"require-trusted-types-for 'script'",
			].join("; "),
		},
	};
}

export async function serveHostPages(pages: Readonly<Record<string, HostPage>>): Promise<HostSite> {
	const server = createServer((request, response) => {
		const page = pages[new URL(request.url!, "http://localhost").pathname];
		// A browser asks for an icon, too.
		if (page === undefined) return response.writeHead(204).end();
		return response
			.writeHead(200, { "content-type": "text/html; charset=utf-8", ...page.headers })
			.end(page.body);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async close() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}
