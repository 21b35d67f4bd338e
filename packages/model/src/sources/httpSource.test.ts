import { ModelSourceError, type Origin, ShardIntegrityError } from "@tabmesh/wire";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type PublishedModel, publishModel } from "../manifest/publishModel.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { type RangeServer, startRangeServer } from "../testing/rangeServer.ts";
import { seededModelFiles } from "../testing/seededModel.ts";
import { httpSource } from "./httpSource.ts";

// Feed-forward matrices of 9 MiB: three requests each.
const shape = { layers: 1, feedForward: 36_864 };
let published: PublishedModel;
let files: Map<string, Uint8Array>;
let good: RangeServer;
let bad: RangeServer;
const large = () => published.manifest.tensors.find(({ name }) => name.includes("gate_proj"))!;
const at = (server: RangeServer): Origin => ({ ...published.origin, baseUrl: server.url });

beforeAll(async () => {
	const source = await openSeededModel(shape);
	published = await publishModel(source);
	files = new Map([
		["model.bin", seededModelFiles(shape).model],
		["tokenizer.json", source.derived[0]!.content],
	]);
});
beforeEach(async () => {
	[good, bad] = await Promise.all([startRangeServer(files), startRangeServer(files)]);
});
afterEach(async () => {
	await good[Symbol.asyncDispose]();
	await bad[Symbol.asyncDispose]();
});

describe("httpSource", () => {
	test("reads every tensor of the model, with progress up to its last byte", async () => {
		const source = httpSource({ origins: [at(good)] });
		for (const tensor of published.manifest.tensors) {
			let loaded = 0;
			const bytes = await source.read(published, tensor, {
				onProgress: (now) => {
					loaded = now;
				},
			});
			expect(bytes.byteLength).toBe(tensor.bytes);
			expect(bytes.buffer.byteLength).toBe(tensor.bytes);
			expect(loaded).toBe(tensor.bytes);
		}
	});

	test("relative origins stand on the base that is given", async () => {
		const source = httpSource({ origins: [{ ...published.origin, baseUrl: "./" }], base: good.url });
		expect((await source.read(published, large())).byteLength).toBe(large().bytes);
	});

	test("a busy server is asked again", async () => {
		good.mischief = (_request, response, count) => {
			if (count > 3) return false;
			response.writeHead(count === 1 ? 503 : 429, { "retry-after": "0" }).end();
			return true;
		};
		const source = httpSource({ origins: [at(good)] });
		expect((await source.read(published, large())).byteLength).toBe(large().bytes);
		expect(good.requests()).toBe(6);
	});

	test("a connection that breaks midway is taken up again, and progress tells the truth", async () => {
		good.mischief = (_request, response, count) => {
			if (count !== 1) return false;
			response.writeHead(206, { "content-length": 4 << 20 });
			response.write(new Uint8Array(65_536), () => response.destroy());
			return true;
		};
		const seen: number[] = [];
		const source = httpSource({ origins: [at(good)] });
		await source.read(published, large(), { onProgress: (now) => seen.push(now) });
		expect(seen.at(-1)).toBe(large().bytes);
		expect(Math.max(...seen)).toBeLessThanOrEqual(large().bytes);
	});

	test("an origin that sends wrong bytes is refused for good and reported, and another one serves", async () => {
		bad.mischief = (request, response) => {
			const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
			response.writeHead(206).end(new Uint8Array(Number(to) - Number(from) + 1));
			return true;
		};
		const reported: [Origin, Error][] = [];
		const source = httpSource({
			origins: [at(bad), at(good)],
			onBadOrigin: (origin, error) => reported.push([origin, error]),
		});
		expect((await source.read(published, large())).byteLength).toBe(large().bytes);
		expect(reported).toEqual([[at(bad), expect.any(ShardIntegrityError)]]);
		const before = bad.requests();
		await source.read(published, published.manifest.tensors[1]!);
		expect(bad.requests()).toBe(before);
	});

	test("when every origin sends wrong bytes, the error says so", async () => {
		bad.mischief = (_request, response) => {
			response.writeHead(206).end(new Uint8Array(large().bytes));
			return true;
		};
		const wrong = published.manifest.tensors[1]!;
		good.mischief = (_request, response) => {
			response.writeHead(206).end(new Uint8Array(wrong.bytes));
			return true;
		};
		const source = httpSource({ origins: [at(good)] });
		await expect(source.read(published, wrong)).rejects.toThrow(ShardIntegrityError);
		await expect(source.read(published, wrong)).rejects.toThrow(ShardIntegrityError);
	});

	test("a server without byte ranges is passed over, and alone it is a clear error", async () => {
		bad.mischief = (_request, response) => {
			response.writeHead(200, { "content-length": files.get("model.bin")!.byteLength });
			response.end(files.get("model.bin"));
			return true;
		};
		const both = httpSource({ origins: [at(bad), at(good)] });
		expect((await both.read(published, large())).byteLength).toBe(large().bytes);
		const alone = httpSource({ origins: [at(bad)] });
		const error: ModelSourceError = await alone.read(published, large()).catch((thrown) => thrown);
		expect(error).toBeInstanceOf(ModelSourceError);
		expect(error.walk((cause) => String(cause).includes("byte ranges"))).toBeDefined();
	});

	test("a server that sends more than it was asked for is cut off", async () => {
		bad.mischief = (_request, response) => {
			response.writeHead(206).end(new Uint8Array(16 << 20));
			return true;
		};
		const source = httpSource({ origins: [at(bad)] });
		await expect(source.read(published, published.manifest.tensors[1]!)).rejects.toThrow(ModelSourceError);
	});

	test("an origin that describes the model wrongly, or leads away from HTTP, is refused", async () => {
		const short = { ...at(good), ranges: at(good).ranges.map((ranges) => ranges.slice(1)) };
		const foreign = { ...at(good), files: ["file:///etc/passwd", "data:,x"] };
		for (const origin of [short, foreign]) {
			const source = httpSource({ origins: [origin] });
			await expect(source.read(published, large())).rejects.toThrow(ShardIntegrityError);
		}
		expect(good.requests()).toBe(0);
	});

	test("an origin of another model is not asked", async () => {
		const source = httpSource({ origins: [{ ...at(good), model: `b${"a".repeat(58)}` }] });
		await expect(source.read(published, large())).rejects.toThrow(ModelSourceError);
		expect(good.requests()).toBe(0);
	});

	test("nobody there is a typed error", async () => {
		const origin = at(good);
		await good[Symbol.asyncDispose]();
		const source = httpSource({ origins: [origin] });
		await expect(source.read(published, published.manifest.tensors[1]!)).rejects.toThrow(ModelSourceError);
	});

	test("an abort ends the requests under way", async () => {
		const cancel = new AbortController();
		good.mischief = (_request, response) => {
			response.writeHead(206, { "content-length": 4 << 20 });
			response.write(new Uint8Array(1024));
			cancel.abort();
			return true;
		};
		const source = httpSource({ origins: [at(good)] });
		await expect(source.read(published, large(), { signal: cancel.signal })).rejects.toThrow("aborted");
	});
});
