import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const types: Readonly<Record<string, string>> = {
	html: "text/html",
	js: "text/javascript",
	wasm: "application/wasm",
};

/** An empty page beside some files, cross-origin isolated as ours is: without that no engine gets threads. */
export interface IsolatedSite {
	readonly url: string;
	close(): void;
}

/** @param files - paths on the site, without a leading slash, to paths on this disk */
export async function isolatedSite(files: Readonly<Record<string, string>>): Promise<IsolatedSite> {
	const server = createServer((request, response) => {
		const name = new URL(request.url ?? "/", "http://localhost").pathname.slice(1);
		const headers = {
			"Content-Type": types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream",
			"Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Embedder-Policy": "require-corp",
		};
		const path = files[name];
		if (name === "") {
			response
				.writeHead(200, { ...headers, "Content-Type": "text/html" })
				.end("<!doctype html><title>bench</title>");
		} else if (path === undefined) {
			response.writeHead(404, headers).end();
		} else {
			void stat(path).then(({ size }) => {
				response.writeHead(200, { ...headers, "Content-Length": size });
				createReadStream(path).pipe(response);
			});
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}
