import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createEnvelopeVerifier } from "@tabmesh/dauth";
import { openManifest, readShard } from "@tabmesh/model";
import { openModelPath } from "@tabmesh/model/node";
import { writeSeededModel } from "@tabmesh/model/testing";
import {
	decodeCbor,
	gateSchema,
	InvalidParameterError,
	limits,
	ModelFileError,
	ModelNotFoundError,
	type Origin,
} from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Publication, type PublishCommandOptions, publish } from "./publish.ts";

let folder: string;
/** Of all tests: what has been found out about a model is found out once. */
let cacheDir: string;
const never = new AbortController().signal;

beforeAll(async () => {
	cacheDir = await mkdtemp(join(tmpdir(), "publish-cache-"));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "publish-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function run(source: string, more: Partial<PublishCommandOptions> = {}): Promise<Publication> {
	return publish({ source, cacheDir, ...more }, never);
}

test("beside its source a publication adds manifest, origins and what had to be made", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const before = await readdir(source);
	const { id, files } = await run(source);
	expect((await readdir(source)).sort()).toEqual(
		[...before, "gate.cbor", "manifest.cbor", "origins.json", "tokenizer.json"].sort(),
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
	expect((await readdir(folder)).sort()).toEqual(["model"]);
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

test("a publication says which weight formats are good enough, signed and for this model", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const { id, formats } = await run(source);
	expect(formats.map(({ weights }) => weights)).toEqual(["f32", "q8", "q8a8", "i8", "q4"]);
	expect(formats[0]!.agreement).toBe(1);
	const verifier = createEnvelopeVerifier();
	const { payload } = await verifier.open(await readFile(join(source, "gate.cbor")), "gate");
	const gate = decodeCbor(gateSchema, payload, limits.gateBytes);
	expect(gate.model).toBe(id);
	expect(gate.largestResidual).toBeGreaterThan(0);
	// The second time the record is there already.
	const again = await readFile(join(source, "gate.cbor"));
	await run(source, { force: true });
	expect(await readFile(join(source, "gate.cbor"))).toEqual(again);
});

test("weights rounded to blocks are published as shards, and are the same model on every machine", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const one = await run(source, { weights: "q8", out: join(folder, "one") });
	const two = await run(source, {
		weights: "q8",
		out: join(folder, "two"),
		cacheDir: join(folder, "another cache"),
	});
	expect(two.id).toBe(one.id);
	expect(one.id).not.toBe((await run(source)).id);
	expect(one.files).toContain("layer.3.safetensors");
	const model = await openManifest(await readFile(join(one.folder, "manifest.cbor")), one.id);
	const matrix = model.manifest.tensors.find(({ name }) => name.endsWith("layers.0.mlp.up_proj.weight"))!;
	expect(matrix.type).toBe("Q8_0");
	const shard = await readFile(join(one.folder, "layer.0.safetensors"));
	await expect(readShard(model, "layer.0", new Uint8Array(shard))).resolves.toBeDefined();
	// Whoever fetches by the origin record gets the bytes of the manifest.
	const [origin] = JSON.parse(await readFile(join(one.folder, "origins.json"), "utf8")) as [Origin];
	for (const [i, { bytes, chunks }] of model.manifest.tensors.entries()) {
		const [[file, offset, length]] = origin.ranges[i] as [[number, number, number]];
		const content = await readFile(join(one.folder, origin.files[file]!));
		const first = content.subarray(offset, offset + Math.min(length, 1024 * 1024));
		expect(length).toBe(bytes);
		expect(createHash("sha256").update(first).digest()).toEqual(Buffer.from(chunks[0]!));
	}
	// And the folder is a model that can be served, the same one.
	expect((await run(one.folder, { out: join(folder, "three") })).id).toBe(one.id);
});

test("a disk that fills up in the middle is an error of its own, and nothing is half-published", async () => {
	const source = await writeSeededModel(join(folder, "model"), { layers: 8 });
	const before = await readdir(folder);
	// A limit on the size of files (in KiB) breaks off a write as a full disk does, on every machine and without rights.
	const cli = join(import.meta.dirname, "../../bin/tabmesh.js");
	const env = { ...process.env, TABMESH_CACHE: cacheDir };
	const out = join(folder, "out");
	const command = `ulimit -f 64; exec "$0" "$@"`;
	const outcome = await promisify(execFile)(
		"bash",
		["-c", command, process.execPath, cli, "publish", source, "--out", out],
		{ env },
	).catch((error: { stderr: string; code: number }) => error);
	expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(/not enough room .*--out/) });
	expect(await readdir(folder)).toEqual(before);
});

test("a model whose hidden states outgrow halves says so in its manifest", async () => {
	const source = await writeSeededModel(join(folder, "model"));
	const { vocabularySize, hiddenSize } = (await openModelPath(source)).config;
	const bytes = await readFile(join(source, "model.bin"));
	// The embedding stands behind seven numbers; norms take its size out again, but the residual stream keeps it.
	const embedding = new Float32Array(bytes.buffer, bytes.byteOffset + 28, vocabularySize * hiddenSize);
	const small = (await openManifest(...(await published(await run(source))))).manifest;
	for (const [i, value] of embedding.entries()) embedding[i] = value * 1e6;
	await writeFile(join(source, "model.bin"), bytes);
	const large = (await openManifest(...(await published(await run(source, { force: true }))))).manifest;
	expect([small.boundary, large.boundary]).toEqual(["f16", "f32"]);
});

async function published({ folder: place, id }: Publication): Promise<[Uint8Array, string]> {
	return [new Uint8Array(await readFile(join(place, "manifest.cbor"))), id];
}
