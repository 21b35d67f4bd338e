import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openManifest } from "@tabmesh/model";
import { writeSeededModel } from "@tabmesh/model/testing";
import {
	ChainUnreachableError,
	InsecureOriginError,
	InvalidParameterError,
	ModelFileError,
	PortInUseError,
} from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type StartedNetwork, type StartOptions, start } from "./start.ts";

let folder: string;
let options: StartOptions;
let running: StartedNetwork | undefined;
let printed: string[] = [];
let noted: string[] = [];

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "start-"));
	const siteDir = join(folder, "site");
	await mkdir(siteDir);
	await writeFile(join(siteDir, "index.html"), "<h1>home</h1>");
	options = {
		port: 0,
		host: "127.0.0.1",
		models: [await writeSeededModel(join(folder, "tiny"))],
		minStages: 2,
		lenders: 0,
		room: "lab",
		iceServers: [{ urls: "stun:stun.example.org" }],
		cacheDir: join(folder, "cache"),
		logLevel: "silent",
		siteDir,
	};
});
afterEach(async () => {
	await running?.stop();
	running = undefined;
	printed = [];
	noted = [];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(more: Partial<StartOptions> = {}): Promise<StartedNetwork> {
	const output = { print: (line: string) => printed.push(line), note: (line: string) => noted.push(line) };
	running = await start({ ...options, ...more }, output, new AbortController().signal);
	return running;
}

test("prints one address, and the site there names room, models, stages and servers", async () => {
	const { url, models } = await run();
	expect(new Set(printed.join("\n").match(/https?:\/\/[^\s/]+/g))).toEqual(new Set([url]));
	const site = await (await fetch(`${url}/tabmesh.json`)).json();
	expect(site).toMatchObject({ room: "lab", minStages: 2, iceServers: [{ urls: "stun:stun.example.org" }] });
	expect(site.models[0]).toMatchObject({ id: models[0], name: "tiny" });
	const manifest = await fetch(new URL(site.models[0].manifest, url));
	expect((await openManifest(new Uint8Array(await manifest.arrayBuffer()), models[0]!)).id).toBe(models[0]);
	expect(await (await fetch(url)).text()).toContain("home");
});

test("a network with a chain names it and its node, and lets its pages ask that node", async () => {
	const node = createHttpServer((_, response) => response.end('{"jsonrpc":"2.0","id":1,"result":"0x7a69"}'));
	await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
	const origin = `http://127.0.0.1:${(node.address() as { port: number }).port}`;
	const { url } = await run({ chainRpc: `${origin}/key` });
	const response = await fetch(`${url}/tabmesh.json`);
	expect(response.headers.get("Content-Security-Policy")).toMatch(new RegExp(`connect-src [^;]* ${origin};`));
	expect((await response.json()).chain).toEqual({ id: 31337, rpc: `${origin}/key` });
	await running?.stop();
	node.closeAllConnections();
	await new Promise((resolve) => node.close(resolve));
	await expect(run({ chainRpc: origin })).rejects.toThrow(ChainUnreachableError);
});

test("several models are offered in the order they were given", async () => {
	const other = await writeSeededModel(join(folder, "other"), { seed: 2, layers: 3 });
	const { url, models } = await run({ models: [other, ...options.models] });
	const site = await (await fetch(`${url}/tabmesh.json`)).json();
	expect(site.models.map(({ name }: { name: string }) => name)).toEqual(["other", "tiny"]);
	expect(new Set(models).size).toBe(2);
});

test("a host that others reach is served over HTTPS, with the steps for a phone", async () => {
	const { url } = await run({ host: "0.0.0.0" });
	expect(url).toMatch(/^https:/);
	expect(noted.join("\n")).toMatch(/phone[\s\S]*fingerprint/);
});

test("bad input is refused by its own error, and the port is free afterwards", async () => {
	const holder = createServer();
	await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
	const { port } = holder.address() as { port: number };
	await expect(run({ port })).rejects.toThrow(PortInUseError);
	await new Promise((resolve) => holder.close(resolve));

	const broken = join(folder, "broken");
	await mkdir(broken, { recursive: true });
	await writeFile(join(broken, "model.bin"), "this is no model, and it is not going to become one");
	await writeFile(join(broken, "tokenizer.bin"), "nor is this a tokenizer");
	await expect(run({ port, models: [broken] })).rejects.toThrow(ModelFileError);
	await expect(run({ port, tlsCert: join(folder, "absent.pem") })).rejects.toThrow(InvalidParameterError);
	await expect(run({ port, host: "0.0.0.0", cacheDir: "/dev/null/x" })).rejects.toThrow(InsecureOriginError);
	await run({ port });
});
