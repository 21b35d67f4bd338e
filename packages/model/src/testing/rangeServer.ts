import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a test server does to one request instead of answering it well; returns whether it did anything. */
export type Mischief = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

/** A real HTTP server on the loopback that serves files by byte ranges, and misbehaves on demand. */
export interface RangeServer extends AsyncDisposable {
	readonly url: string;
	/** Requests so far. */
	readonly requests: () => number;
	mischief: Mischief | undefined;
}

/** @param files - content by path without the leading slash */
export async function startRangeServer(files: ReadonlyMap<string, Uint8Array>): Promise<RangeServer> {
	let count = 0;
	const server = createServer((request, response) => {
		count++;
		if (started.mischief?.(request, response, count)) return;
		const content = files.get(decodeURIComponent(request.url!.slice(1)));
		if (!content) {
			response.writeHead(404).end();
			return;
		}
		const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
		if (!range) {
			response.writeHead(200, { "content-length": content.byteLength }).end(content);
			return;
		}
		const from = Number(range[1]);
		const to = range[2] ? Math.min(Number(range[2]) + 1, content.byteLength) : content.byteLength;
		const contentRange = `bytes ${from}-${to - 1}/${content.byteLength}`;
		response.writeHead(206, { "content-range": contentRange, "content-length": to - from });
		response.end(content.subarray(from, to));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const started: RangeServer = {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
		requests: () => count,
		mischief: undefined,
		[Symbol.asyncDispose]: () =>
			new Promise((resolve) => {
				server.closeAllConnections();
				server.close(() => resolve());
			}),
	};
	return started;
}
