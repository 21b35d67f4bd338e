import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** For tests: a server with a hub's layout on the loopback. */
export interface HubServer extends AsyncDisposable {
	/** `http://127.0.0.1:…/owner/model/resolve/main/` */
	readonly url: string;
	/** Every request: method, path and range. */
	readonly requests: string[];
	/** Answers in place of the server where it returns true. */
	intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
}

/** Serves files as hubs do: small ones at their address, large ones by a redirect to a signed address that does ranges and ETags. */
export async function startHubServer(files: ReadonlyMap<string, Uint8Array>): Promise<HubServer> {
	const prefix = "/owner/model/resolve/main/";
	const requests: string[] = [];
	const server = createServer((request, response) => {
		// Pages of every origin may read a hub, and see what ranges need.
		response.setHeader("access-control-allow-origin", "*");
		response.setHeader("access-control-expose-headers", "Content-Range, ETag");
		requests.push(`${request.method} ${request.url} ${request.headers.range ?? ""}`);
		if (hub.intercept?.(request, response)) return;
		const url = new URL(request.url!, hub.url);
		const signed = url.pathname.startsWith("/cdn/");
		const name = decodeURIComponent(url.pathname.slice(signed ? 5 : prefix.length));
		const content = files.get(name);
		if (!content || (signed ? !url.searchParams.has("signature") : !url.pathname.startsWith(prefix))) {
			response.writeHead(404, { "content-type": "text/plain" }).end("Entry not found");
		} else if (!signed && name.endsWith(".safetensors")) {
			response.writeHead(302, { location: `/cdn/${name}?signature=${requests.length}` }).end("Found");
		} else sendRange(request, response, content);
	});
	const hub = {
		url: "",
		requests,
		intercept: undefined as HubServer["intercept"],
		async [Symbol.asyncDispose]() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`;
	return hub;
}

function sendRange(request: IncomingMessage, response: ServerResponse, content: Uint8Array): void {
	const etag = `"${createHash("sha256").update(content).digest("hex")}"`;
	const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
	if (!match) {
		response.writeHead(200, { etag, "content-length": content.byteLength }).end(content);
		return;
	}
	const part = content.subarray(Number(match[1]), Number(match[2]) + 1);
	response
		.writeHead(206, {
			etag,
			"content-length": part.byteLength,
			"content-range": `bytes ${match[1]}-${Number(match[1]) + part.byteLength - 1}/${content.byteLength}`,
		})
		.end(part);
}
