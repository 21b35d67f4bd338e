import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRange, type RangedContent, rangeResponse } from "./rangeResponse.ts";

const bytes = new Uint8Array(1_500_000).map((_, i) => i * 31);
const reads: number[] = [];
const content: RangedContent = {
	bytes: bytes.byteLength,
	etag: "abc",
	contentType: "application/octet-stream",
	async read(offset, length) {
		reads.push(length);
		return bytes.slice(offset, offset + length);
	},
};

function get(headers: Record<string, string> = {}, method = "GET"): Response {
	return rangeResponse(new Request("http://x/", { method, headers }), content);
}

async function bodyOf(response: Response): Promise<Uint8Array> {
	return new Uint8Array(await response.arrayBuffer());
}

test("without a range the whole is sent, in pieces, with its length and tag", async () => {
	const response = get();
	expect(response.status).toBe(200);
	expect(response.headers.get("content-length")).toBe("1500000");
	expect(response.headers.get("accept-ranges")).toBe("bytes");
	expect(response.headers.get("etag")).toBe('"abc"');
	expect(await bodyOf(response)).toEqual(bytes);
	expect(Math.max(...reads)).toBeLessThan(bytes.byteLength);
});

test("a range gives exactly its bytes with 206", async () => {
	for (const [range, from, to] of [
		["bytes=0-0", 0, 1],
		["bytes=10-19", 10, 20],
		["bytes=1499990-", 1_499_990, 1_500_000],
		["bytes=-5", 1_499_995, 1_500_000],
		["bytes=1499999-9999999", 1_499_999, 1_500_000],
		["bytes=-9999999", 0, 1_500_000],
	] as const) {
		const response = get({ range });
		expect(response.status).toBe(206);
		expect(response.headers.get("content-range")).toBe(`bytes ${from}-${to - 1}/1500000`);
		expect(await bodyOf(response)).toEqual(bytes.subarray(from, to));
	}
});

test("a range behind the end is 416 and says how long the content is", () => {
	for (const range of ["bytes=1500000-", "bytes=9999999-99999999", "bytes=-0"]) {
		const response = get({ range });
		expect(response.status).toBe(416);
		expect(response.headers.get("content-range")).toBe("bytes */1500000");
	}
});

test("what is no single byte range is answered with the whole", () => {
	for (const range of ["bytes=5-1", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=a-b"]) {
		expect(get({ range }).status).toBe(200);
	}
});

test("HEAD says the same without a body; other methods are refused", async () => {
	const head = get({ range: "bytes=0-9" }, "HEAD");
	expect([head.status, head.headers.get("content-length"), (await bodyOf(head)).byteLength]).toEqual([
		206,
		"10",
		0,
	]);
	expect(get({}, "POST").status).toBe(405);
});

test("who has it already gets 304, and a range of something else gets the whole", () => {
	expect(get({ "if-none-match": '"abc"' }).status).toBe(304);
	expect(get({ "if-none-match": 'W/"x", "abc"' }).status).toBe(304);
	expect(get({ "if-none-match": '"x"' }).status).toBe(200);
	expect(get({ range: "bytes=0-1", "if-range": '"abc"' }).status).toBe(206);
	expect(get({ range: "bytes=0-1", "if-range": '"x"' }).status).toBe(200);
});

test("whatever a Range header holds, what is served lies inside the content", () => {
	const header = fc.oneof(
		fc.string({ unit: "binary" }),
		fc
			.tuple(fc.option(fc.nat(), { nil: "" }), fc.option(fc.nat(), { nil: "" }))
			.map(([a, b]) => `bytes=${a}-${b}`),
	);
	fc.assert(
		fc.property(header, fc.integer({ min: 1, max: 2 ** 40 }), (text, length) => {
			const range = parseRange(text, length);
			if (!range) return;
			expect(range.offset).toBeGreaterThanOrEqual(0);
			expect(range.length).toBeGreaterThan(0);
			expect(range.offset + range.length).toBeLessThanOrEqual(length);
		}),
		{ numRuns: Number(process.env.FUZZ_RUNS ?? 10_000) },
	);
});

test("a client that goes away stops the reading", async () => {
	let seen: AbortSignal | undefined;
	const response = rangeResponse(new Request("http://x/"), {
		...content,
		read(offset, length, signal) {
			seen = signal;
			return content.read(offset, length, signal);
		},
	});
	const reader = response.body!.getReader();
	await reader.read();
	await reader.cancel();
	expect(seen!.aborted).toBe(true);
});
