import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type ModelSource, type PublishedModel, publishModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { type Relay, startRelay } from "@tabmesh/relay";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect, type Lender, type Tabmesh } from "./index.ts";

let relay: Relay;
let source: ModelSource;
let published: PublishedModel;
let folder: string;
/** Whether the site still gives weights. */
let isThere = true;
const open: Tabmesh[] = [];

beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-next-"));
	source = await openSeededModel({ seed: 7, layers: 4 });
	published = await publishModel(source);
	const handle = async (request: Request): Promise<Response> => {
		const name = new URL(request.url).pathname.split("/").at(-1)!;
		if (name === "manifest.cbor") return new Response(published.manifestBytes);
		if (name === "origins.json") return Response.json([published.origin]);
		const file = source.files.find((file) => file.name === name);
		if (!file || !isThere) return new Response(null, { status: 404 });
		const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "")!;
		const bytes = await file.read(Number(from), Number(to) - Number(from) + 1);
		return new Response(bytes.slice(), {
			status: 206,
			headers: { "content-range": `bytes ${from}-${to}/${file.bytes}` },
		});
	};
	const [manifest, origins] = ["/models/manifest.cbor", "/models/origins.json"] as const;
	relay = await startRelay({
		port: 0,
		site: () => ({
			room: "public",
			models: [{ id: published.id, name: "seeded", manifest, origins }],
			minStages: 2,
		}),
		extraRoutes: { "/models": handle },
	});
});
afterEach(async () => {
	isThere = true;
	for (const mesh of open.splice(0)) await mesh.close();
});
afterAll(async () => {
	await relay.stop();
	await rm(folder, { recursive: true, force: true });
});

async function lend(keepIn: string | undefined, nextLayersAfterMs: number) {
	const cacheDir = keepIn === undefined ? {} : { cacheDir: path.join(folder, keepIn) };
	const mesh = await connect({ relay: relay.url, ...cacheDir });
	open.push(mesh);
	return { mesh, lender: mesh.lend({ memoryBytes: 64e6, nextLayersAfterMs }) };
}

async function serves(lender: Lender): Promise<void> {
	for (;;) {
		const { phase, error } = lender.view;
		if (phase === "failed") throw error;
		if (phase === "serving") return;
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	}
}

const held = (lender: Lender) => [[lender.view.span!.from, lender.view.span!.to]];
const stored = (mesh: Tabmesh, peer: string) =>
	mesh.members.find((member) => member.peer === peer)?.lends?.stored?.map(({ from, to }) => [from, to]);

test("a lender that nobody asks brings the layers next to its own to its disk, says so, and serves them when the others and the web are gone", async () => {
	const a = await lend("a", 0);
	const b = await lend("b", 0);
	await serves(a.lender);
	await serves(b.lender);
	await expect.poll(() => stored(a.mesh, b.mesh.peer), { timeout: 40_000 }).toEqual([[0, 4]]);
	await expect.poll(() => stored(b.mesh, a.mesh.peer), { timeout: 40_000 }).toEqual([[0, 4]]);
	isThere = false;
	await b.mesh.close();
	const c = await lend(undefined, 0);
	// Whoever kept nothing has it from a, that holds half of it and has the rest on its disk.
	await serves(c.lender);
	const { tokens } = await c.mesh.generate({ promptTokens: [1, 5, 9], maxTokens: 8, temperature: 0 }).summary;
	expect(tokens.length).toBeGreaterThan(0);
});

test("a lender that keeps nothing, has no room or was told not to, fetches and announces nothing more", async () => {
	const nothing = await lend(undefined, 0);
	const never = await lend("never", Number.POSITIVE_INFINITY);
	await serves(nothing.lender);
	await serves(never.lender);
	const kept = (await never.mesh.storage.view()).usedBytes;
	await never.lender.leave();
	const full = await lend("full", 0);
	await full.mesh.storage.setBudget(kept + 1);
	await serves(full.lender);
	await expect
		.poll(() => stored(nothing.mesh, full.mesh.peer), { timeout: 40_000 })
		.toEqual(held(full.lender));
	expect((await full.mesh.storage.view()).usedBytes).toBeLessThanOrEqual(kept + 1);
	expect(stored(full.mesh, nothing.mesh.peer)).toBeUndefined();
});
