import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ModelSourceError } from "@tabmesh/wire";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type HttpFileOptions, openHttpFile } from "./httpFile.ts";
import { httpFolder } from "./sourceFolder.ts";

const content = Uint8Array.from({ length: 3 * 1024 * 1024 + 17 }, (_, i) => (i * 31 + (i >>> 8)) & 255);
const etag = '"one"';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let base: string;
let handler: Handler;
let ranges: (string | undefined)[];

beforeEach(async () => {
	ranges = [];
	server = createServer((request, response) => {
		ranges.push(request.headers.range);
		handler(request, response);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	handler = serve();
});

afterEach(async () => {
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
});

/** A server that does ranges as RFC 9110 says. */
function serve(bytes: Uint8Array = content, headers: Record<string, string> = { etag }): Handler {
	return (request, response) => {
		const [from, to] = /^bytes=(\d+)-(\d+)$/
			.exec(request.headers.range ?? "")!
			.slice(1)
			.map(Number) as [number, number];
		if (from >= bytes.byteLength) {
			response.writeHead(416, { "content-range": `bytes */${bytes.byteLength}` }).end();
			return;
		}
		const part = bytes.subarray(from, Math.min(to + 1, bytes.byteLength));
		response
			.writeHead(206, {
				...headers,
				"content-length": part.byteLength,
				"content-range": `bytes ${from}-${from + part.byteLength - 1}/${bytes.byteLength}`,
			})
			.end(part);
	};
}

/** Answers `times` requests in one way, then as it should. */
function first(times: number, wrong: Handler, then: Handler = serve()): Handler {
	return (request, response) => (times-- > 0 ? wrong : then)(request, response);
}

const fast: HttpFileOptions = { pauseMs: 1, attempts: 3, stallMs: 5000 };
const open = (path = "/model.gguf", options: HttpFileOptions = fast) =>
	openHttpFile(`${base}${path}`, options);

async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
	const error = await promise.then(
		() => expect.fail("nothing was thrown"),
		(thrown: unknown) => thrown,
	);
	expect(error).toBeInstanceOf(ModelSourceError);
	return (error as ModelSourceError).details.reason;
}

describe("a server that does ranges", () => {
	test("gives exactly the bytes that were asked for, and nothing else is fetched", async () => {
		const file = await open("/a%20model.gguf?signature=secret");
		expect(file).toMatchObject({ name: "a model.gguf", bytes: content.byteLength });
		expect(await file.read(2_000_000, 1000)).toEqual(content.slice(2_000_000, 2_001_000));
		expect(await file.read(content.byteLength - 5, 5)).toEqual(content.slice(-5));
		expect(ranges).toEqual(["bytes=0-262143", "bytes=2000000-2000999", "bytes=3145740-3145744"]);
	});

	test("is asked once for the head of a file, whatever is read of it", async () => {
		const file = await open();
		expect(await file.read(0, 24)).toEqual(content.slice(0, 24));
		expect(await file.read(1000, 100_000)).toEqual(content.slice(1000, 101_000));
		expect(await file.read(5, 0)).toEqual(new Uint8Array(0));
		expect(ranges).toHaveLength(1);
	});

	test("may hold a small file, or an empty one", async () => {
		handler = serve(content.subarray(0, 10));
		const small = await open();
		expect(await small.read(0, small.bytes)).toEqual(content.slice(0, 10));
		handler = serve(new Uint8Array(0));
		expect((await open()).bytes).toBe(0);
	});

	test("may redirect, and is asked anew for every range, since signed addresses expire", async () => {
		const served = serve();
		handler = (request, response) =>
			request.url === "/signed"
				? served(request, response)
				: void response.writeHead(302, { location: "/signed" }).end();
		const file = await open();
		expect(await file.read(2_000_000, 10)).toEqual(content.slice(2_000_000, 2_000_010));
		expect(ranges).toHaveLength(4);
	});

	test("is not asked beyond the end of the file", async () => {
		const file = await open();
		await expect(file.read(content.byteLength - 1, 2)).rejects.toThrow(ModelSourceError);
	});
});

describe("what passes by itself is tried again", () => {
	test.each([429, 500, 502, 503, 504])("status %i", async (status) => {
		handler = first(2, (_, response) => void response.writeHead(status).end());
		expect((await open()).bytes).toBe(content.byteLength);
		expect(ranges).toHaveLength(3);
	});

	test("after as long as Retry-After says", async () => {
		const started = Date.now();
		handler = first(1, (_, response) => void response.writeHead(429, { "retry-after": "1" }).end());
		await open();
		expect(Date.now() - started).toBeGreaterThanOrEqual(990);
	});

	test("not at all when Retry-After asks for longer than a person waits", async () => {
		handler = (_, response) => void response.writeHead(503, { "retry-after": "86400" }).end();
		expect(await reasonOf(open())).toBe("status");
		expect(ranges).toHaveLength(1);
	});

	test("but not for ever", async () => {
		handler = (_, response) => void response.writeHead(503).end();
		expect(await reasonOf(open())).toBe("status");
		expect(ranges).toHaveLength(3);
	});

	test("a connection that breaks in the middle goes on where it stopped", async () => {
		const file = await open();
		handler = first(1, (_, response) => {
			response.writeHead(206, {
				etag,
				"content-length": 1_000_000,
				"content-range": `bytes 2000000-2999999/${content.byteLength}`,
			});
			response.write(content.subarray(2_000_000, 2_400_000), () => response.destroy());
		});
		expect(await file.read(2_000_000, 1_000_000)).toEqual(content.slice(2_000_000, 3_000_000));
		expect(ranges[1]).toBe("bytes=2000000-2999999");
		expect(Number(/=(\d+)-/.exec(ranges[2]!)![1])).toBeGreaterThan(2_000_000);
	});

	test("half a range, again and again, is an error", async () => {
		const file = await open();
		handler = (request, response) => {
			const from = Number(/=(\d+)-/.exec(request.headers.range!)![1]);
			response.writeHead(206, { etag, "content-range": `bytes ${from}-2999999/${content.byteLength}` });
			response.flushHeaders();
			setTimeout(() => response.destroy(), 5);
		};
		expect(await reasonOf(file.read(2_000_000, 1_000_000))).toBe("cut");
	});

	test("a server that falls silent is given up", async () => {
		handler = () => undefined;
		expect(await reasonOf(open("/x", { ...fast, stallMs: 50 }))).toBe("unreachable");
		expect(ranges).toHaveLength(3);
	});
});

describe("what does not pass is an error that says what to do", () => {
	test.each([401, 403, 404, 410, 400])("status %i, at once", async (status) => {
		handler = (_, response) => void response.writeHead(status).end();
		await expect(open()).rejects.toMatchObject({
			code: "ModelSource",
			details: { reason: "status", status },
		});
		expect(ranges).toHaveLength(1);
	});

	test("a server without ranges, before it has sent a large file", async () => {
		let sent = false;
		handler = (_, response) => {
			response.writeHead(200, { "content-length": 10 ** 9 }).write(content);
			response.once("finish", () => {
				sent = true;
			});
		};
		expect(await reasonOf(open())).toBe("ranges");
		expect(sent).toBe(false);
	});

	test("a server without ranges is well for a file that memory can hold, and is asked once", async () => {
		handler = (_, response) => void response.writeHead(200).end(content);
		const file = await open("/tokenizer.json");
		expect(file.bytes).toBe(content.byteLength);
		expect(await file.read(2_000_000, 1000)).toEqual(content.slice(2_000_000, 2_001_000));
		expect(ranges).toHaveLength(1);
	});

	test("a web page", async () => {
		handler = (_, response) =>
			void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>");
		expect(await reasonOf(open())).toBe("page");
	});

	test("other bytes than were asked for", async () => {
		const file = await open();
		handler = (_, response) =>
			void response
				.writeHead(206, { etag, "content-range": `bytes 0-9/${content.byteLength}` })
				.end(content.subarray(0, 10));
		expect(await reasonOf(file.read(2_000_000, 10))).toBe("ranges");
	});

	test("more bytes than were asked for", async () => {
		const file = await open();
		handler = (_, response) =>
			void response
				.writeHead(206, { etag, "content-range": `bytes 2000000-2000009/${content.byteLength}` })
				.end(content.subarray(2_000_000, 2_000_100));
		expect(await reasonOf(file.read(2_000_000, 10))).toBe("ranges");
	});

	test("a 206 that does not say of what", async () => {
		handler = (_, response) => void response.writeHead(206).end("x");
		expect(await reasonOf(open())).toBe("ranges");
	});

	test.each([
		["a new ETag", serve(content, { etag: '"two"' })],
		["another length", serve(content.subarray(1))],
		["a length below the range", serve(content.subarray(0, 100))],
	])("a file that changes between two ranges: %s", async (_, changed) => {
		const file = await open();
		handler = changed;
		expect(await reasonOf(file.read(2_000_000, 10))).toBe("changed");
	});

	test("a file without ETag that changes its date", async () => {
		handler = serve(content, { "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT" });
		const file = await open();
		handler = serve(content, { "last-modified": "Tue, 02 Jan 2024 00:00:00 GMT" });
		expect(await reasonOf(file.read(2_000_000, 10))).toBe("changed");
	});

	test("nobody there", async () => {
		expect(await reasonOf(openHttpFile("http://127.0.0.1:1/x", fast))).toBe("unreachable");
		expect(await reasonOf(openHttpFile("file:///etc/passwd"))).toBe("unreachable");
	});

	test("and never shows what is secret in an address", async () => {
		handler = (_, response) => void response.writeHead(403).end();
		await expect(open("/m?token=secret")).rejects.not.toThrow(/secret/);
	});
});

test("an abort ends a read and a pause at once", async () => {
	const reason = new Error("enough");
	handler = (_, response) => void response.writeHead(503, { "retry-after": "30" }).end();
	const controller = new AbortController();
	const opening = open("/x", { ...fast, signal: controller.signal });
	setTimeout(() => controller.abort(reason), 20);
	await expect(opening).rejects.toBe(reason);
});

test("a folder says which files are not there, and refuses names that lead out of it", async () => {
	handler = (request, response) =>
		request.url === "/m/resolve/main/config.json?s=1"
			? serve(content.subarray(0, 5))(request, response)
			: void response.writeHead(404).end();
	const folder = httpFolder(`${base}/m/resolve/main?s=1`, fast);
	expect((await folder.open("config.json"))?.bytes).toBe(5);
	expect(await folder.open("tokenizer.json")).toBeUndefined();
	await expect(folder.open("../../secret")).rejects.toThrow(/no name of a file/);
	await expect(folder.open("http://127.0.0.1/x")).rejects.toThrow(/no name of a file/);
});
