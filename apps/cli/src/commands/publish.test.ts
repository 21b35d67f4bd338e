import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openManifest } from "@tabmesh/model";
import { writeSeededModel } from "@tabmesh/model/testing";
import { InvalidParameterError, ModelFileError, ModelNotFoundError } from "@tabmesh/wire";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Publication, publish } from "./publish.ts";

let folder: string;
const never = new AbortController().signal;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "publish-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function run(source: string, more: { out?: string; force?: boolean } = {}): Promise<Publication> {
	return publish({ source, cacheDir: join(folder, "cache"), ...more }, never);
}

test("beside its source a publication adds manifest, origins and what had to be made", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const before = await readdir(source);
	const { id, files } = await run(source);
	expect((await readdir(source)).sort()).toEqual(
		[...before, "manifest.cbor", "origins.json", "tokenizer.json"].sort(),
	);
	expect(files).toContain("manifest.cbor");
	const ref = await openManifest(await readFile(join(source, "manifest.cbor")), id);
	expect(ref.manifest.config.layers).toBe(4);
	const [origin] = JSON.parse(await readFile(join(source, "origins.json"), "utf8"));
	expect(origin).toMatchObject({ model: id, baseUrl: "./" });
	// A second time it is the same.
	expect((await run(source)).id).toBe(id);
});

test("elsewhere it brings every file that the origins name", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const out = join(folder, "site", "m");
	const { id } = await run(source, { out });
	const [origin] = JSON.parse(await readFile(join(out, "origins.json"), "utf8"));
	for (const file of origin.files) expect(await readdir(out)).toContain(file);
	expect(await readFile(join(out, "model.bin"))).toEqual(await readFile(join(source, "model.bin")));
	expect((await openManifest(await readFile(join(out, "manifest.cbor")), id)).id).toBe(id);
	expect((await readdir(join(folder, "site"))).sort()).toEqual(["m"]);
});

test("what is no model, cut short or not there leaves nothing behind", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const model = await readFile(join(source, "model.bin"));
	const out = join(folder, "out");
	await writeFile(join(source, "model.bin"), model.subarray(0, model.byteLength - 7));
	await expect(run(source, { out })).rejects.toThrow(ModelFileError);
	await writeFile(
		join(source, "model.bin"),
		"no model at all, but long enough for a header of seven numbers",
	);
	await expect(run(source, { out })).rejects.toThrow(ModelFileError);
	await expect(run(join(folder, "absent"), { out })).rejects.toThrow(ModelNotFoundError);
	await expect(run("no-such-catalogue-id", { out })).rejects.toThrow(ModelNotFoundError);
	expect(await readdir(folder)).toEqual(["model"]);
});

test("a cancelled publication leaves nothing behind", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const before = await readdir(source);
	const aborted = AbortSignal.abort();
	await expect(publish({ source, cacheDir: folder }, aborted)).rejects.toThrow();
	expect(await readdir(source)).toEqual(before);
	expect(await readdir(folder)).toEqual(["model"]);
});

test("another model's manifest is not overwritten unless that is asked for", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	await writeFile(join(source, "manifest.cbor"), "somebody else's");
	await expect(run(source)).rejects.toThrow(InvalidParameterError);
	expect(await readFile(join(source, "manifest.cbor"), "utf8")).toBe("somebody else's");
	await run(source, { force: true });
	expect(await readFile(join(source, "manifest.cbor"), "utf8")).not.toBe("somebody else's");
});
