import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { httpSource, openManifest } from "@tabmesh/model";
import { type HubServer, startHubServer, tinyHubModel } from "@tabmesh/model/testing";
import type { Origin } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../bin/tabmesh.js", import.meta.url));
let folder: string;
let hub: HubServer;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "hub-"));
	// bfloat16 in two files with an index, as hubs have most models.
	hub = await startHubServer((await tinyHubModel({ stored: "BF16", parts: 2 })).files);
	env = { ...process.env, TABMESH_CACHE: join(folder, "cache"), TABMESH_HUB: new URL("/", hub.url).href };
});
afterAll(async () => {
	await hub[Symbol.asyncDispose]();
	await rm(folder, { recursive: true, force: true });
});

async function tabmesh(...args: string[]): Promise<string> {
	const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], { env });
	return stdout.trim();
}

test("a model of a hub is published where it lies: only what describes it is written", async () => {
	const out = join(folder, "published");
	const id = await tabmesh("publish", "hf:owner/model", "--out", out);
	expect((await readdir(out)).sort()).toEqual(["gate.cbor", "manifest.cbor", "origins.json"]);
	// Large files are behind a redirect, and of them only ranges are asked for.
	expect(hub.requests.some((request) => /^GET \/cdn\/.*safetensors.* bytes=\d+-\d+$/.test(request))).toBe(
		true,
	);
	expect(hub.requests.some((request) => /^GET \/cdn\/.*safetensors\S* $/.test(request))).toBe(false);

	// Whoever has the folder gets the weights from the hub, byte for byte what the manifest says.
	const model = await openManifest(new Uint8Array(await readFile(join(out, "manifest.cbor"))), id);
	const origins = JSON.parse(await readFile(join(out, "origins.json"), "utf8")) as Origin[];
	const source = httpSource({ origins, base: "http://127.0.0.1:9/" });
	for (const tensor of model.manifest.tensors) {
		expect((await source.read(model, tensor)).byteLength).toBe(tensor.bytes);
	}
});

test("a network starts with a model of a hub, and answers", async () => {
	const args = ["start", "--port", "0", "--site", folder, "--model", "hf:owner/model", "--lenders", "2"];
	const network = spawn(process.execPath, [program, ...args, "--memory", "64MB", "--min-stages", "2"], {
		env,
	});
	let said = "";
	network.stdout.setEncoding("utf8").on("data", (text: string) => {
		said += text;
	});
	try {
		await expect.poll(() => said, { timeout: 30_000 }).toContain("/chat");
		const relay = /https?:\/\/[^\s/]+/.exec(said)![0];
		const answer = await tabmesh(
			..."ask hello --max-tokens 6 --min-stages 2 --json --relay".split(" "),
			relay,
		);
		const { model, tokens, finishReason, peers } = JSON.parse(answer);
		expect(["length", "stop"]).toContain(finishReason);
		expect(tokens.length).toBeGreaterThan(0);
		expect(peers).toHaveLength(2);
		expect(model).toBe(await tabmesh("publish", "hf:owner/model", "--out", join(folder, "again")));
	} finally {
		const gone = new Promise((resolve) => network.once("exit", resolve));
		network.kill("SIGTERM");
		await gone;
	}
});
