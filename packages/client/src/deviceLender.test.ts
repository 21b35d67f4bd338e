import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import { type ModelSource, type PublishedModel, publishModel, type WeightFormat } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { type Relay, startRelay } from "@tabmesh/relay";
import { encodeCbor, type Gate, OutOfMemoryBudgetError } from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect, type Lender, type LendOptions, type Tabmesh } from "./index.ts";

let relay: Relay;
let source: ModelSource;
let published: PublishedModel;
let gate: Uint8Array;
const open: Tabmesh[] = [];
const folders: string[] = [];
/** Told of each piece of the model that somebody fetches from the web. */
let onFetch: (() => void) | undefined;

/** A model of wide layers: 1.2 MB in float32 and 0.35 MB in 8 bits each, embedding and head 0.13 MB. */
async function publish(layers: number): Promise<void> {
	source = await openSeededModel({ layers, feedForward: 1536 });
	published = await publishModel(source);
}

async function signGate(...offered: WeightFormat[]): Promise<void> {
	const record: Gate = {
		model: published.id,
		positions: 100,
		formats: offered.map((weights) => ({ weights, agreed: 99 })),
		largestResidual: 10,
	};
	const identity = await createIdentity();
	gate = await createEnvelopeSigner(identity).seal("gate", encodeCbor(record));
}

async function lend(
	options: LendOptions,
	keeping: { cacheDir?: string } = {},
): Promise<{ mesh: Tabmesh; lender: Lender }> {
	const mesh = await connect({ relay: relay.url, ...keeping });
	open.push(mesh);
	return { mesh, lender: mesh.lend(options) };
}

async function reaches(lender: Lender, phase: Lender["view"]["phase"]): Promise<void> {
	while (lender.view.phase !== phase) {
		if (lender.view.phase === "failed") throw lender.view.error;
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	}
}

function announcedClass(mesh: Tabmesh): string | undefined {
	return mesh.members.find(({ peer }) => peer === mesh.peer)?.lends?.numericsClass;
}

beforeAll(async () => {
	await publish(1);
	relay = await startRelay({
		port: 0,
		site: () => ({
			room: "public",
			models: [
				{
					id: published.id,
					name: "wide",
					manifest: "/models/manifest.cbor",
					origins: "/models/origins.json",
					gate: "/models/gate.cbor",
				},
			],
			minStages: 1,
		}),
		extraRoutes: {
			"/models": async (request) => {
				const name = new URL(request.url).pathname.split("/").at(-1)!;
				if (name === "manifest.cbor") return new Response(published.manifestBytes);
				if (name === "origins.json") return Response.json([published.origin]);
				if (name === "gate.cbor") return new Response(gate.slice());
				const file = source.files.find((file) => file.name === name)!;
				onFetch?.();
				const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "")!;
				const bytes = await file.read(Number(from), Number(to) - Number(from) + 1);
				return new Response(bytes.slice(), {
					status: 206,
					headers: { "content-range": `bytes ${from}-${to}/${file.bytes}` },
				});
			},
		},
	});
});
afterEach(async () => {
	for (const mesh of open.splice(0)) await mesh.close();
	for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
afterAll(() => relay.stop());

test("with room enough, a lender runs what runs best on it, and says so", async () => {
	await signGate("f32", "q8");
	const { mesh, lender } = await lend({ memoryBytes: 16e6 });
	await reaches(lender, "serving");
	expect(lender.view).toMatchObject({ bitsPerWeight: 32, sparing: false });
	expect(announcedClass(mesh)).toMatch(/\/f32\/f32$/);
});

test("what does not fit in float32 is held in a smaller format that the model is offered in, and both panel and peers are told", async () => {
	await signGate("f32", "q8");
	const { mesh, lender } = await lend({ memoryBytes: 1e6 });
	await reaches(lender, "serving");
	expect(lender.view).toMatchObject({
		bitsPerWeight: 8,
		sparing: true,
		span: { from: 0, to: 1, embed: true, head: true },
	});
	expect(lender.view.usedBytes).toBeLessThan(1e6);
	expect(announcedClass(mesh)).toMatch(/\/q8\/f32$/);
	const { tokens } = await mesh.generate({ promptTokens: [1, 5, 9], maxTokens: 8, temperature: 0 }).summary;
	expect(tokens.length).toBeGreaterThan(0);
});

test("a format that was not offered is not taken, however short memory is", async () => {
	await signGate("f32");
	const { mesh, lender } = await lend({ memoryBytes: 1e6 });
	await reaches(lender, "waiting");
	while (mesh.models[0]?.coverage.missingBytes === undefined)
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	expect(mesh.models[0].coverage.missingBytes).toBeGreaterThan(0);
	expect(lender.view).toMatchObject({ phase: "waiting", bitsPerWeight: 32, sparing: false });
});

test("a layer too large for a worker's heap is held in fewer bits, and where none are offered the lender ends with a typed error", async () => {
	const small = { memoryBytes: 16e6, heapBytes: 600_000 };
	await signGate("f32", "q8");
	const { lender } = await lend(small);
	await reaches(lender, "serving");
	expect(lender.view).toMatchObject({ bitsPerWeight: 8, sparing: true });
	await lender.leave();
	await signGate("f32");
	const { lender: other } = await lend(small);
	await expect(reaches(other, "serving")).rejects.toThrow(OutOfMemoryBudgetError);
});

/** Each change of format is thought over for 15 seconds. */
test.runIf(process.env.TABMESH_LARGE === "1")(
	"a lender whose swarm stays short of memory takes a smaller format, and goes back when another joins",
	async () => {
		await publish(4);
		await signGate("f32", "q8");
		const { mesh, lender } = await lend({ memoryBytes: 4e6 });
		await reaches(lender, "serving");
		expect(lender.view).toMatchObject({ bitsPerWeight: 32, sparing: false });
		expect(mesh.models[0]!.coverage.complete).toBe(false);
		while (!lender.view.sparing)
			await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
		await reaches(lender, "serving");
		expect(lender.view).toMatchObject({ bitsPerWeight: 8, span: { from: 0, to: 4 } });
		const { lender: second } = await lend({ memoryBytes: 4e6 });
		while (lender.view.sparing)
			await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
		await Promise.all([reaches(lender, "serving"), reaches(second, "serving")]);
		for (const { view } of [lender, second])
			expect(view).toMatchObject({ bitsPerWeight: 32, sparing: false });
		while (!mesh.models[0]!.coverage.complete)
			await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	},
	120_000,
);

test("a lender that has to move without room for both spans fetches the new one before it gives up the old one", async () => {
	await publish(4);
	await signGate("f32");
	const lenders: { mesh: Tabmesh; lender: Lender }[] = [];
	for (let i = 0; i < 3; i++) {
		const cacheDir = await mkdtemp(join(tmpdir(), "lender-"));
		folders.push(cacheDir);
		const made = await lend({ memoryBytes: 4e6, nextLayersAfterMs: Number.POSITIVE_INFINITY }, { cacheDir });
		await reaches(made.lender, "serving");
		lenders.push(made);
	}
	const at = ({ lender }: { lender: Lender }) => lender.view.span?.from;
	const alone = lenders.find((each) => lenders.filter((other) => at(other) === at(each)).length === 1)!;
	const staying = lenders.filter((each) => each !== alone);
	const gap = at(alone);
	let fetched = 0;
	onFetch = () => {
		fetched++;
		for (const { mesh } of staying) {
			const own = mesh.members.find(({ peer }) => peer === mesh.peer)?.lends;
			expect.soft(own?.spans.some(({ ready, from }) => ready && from !== gap)).toBe(true);
		}
	};
	await alone.lender.leave();
	while (!staying.some((each) => each.lender.view.phase === "serving" && at(each) === gap))
		await new Promise((resolve) => setTimeout(resolve, 20));
	onFetch = undefined;
	expect(fetched).toBeGreaterThan(0);
}, 30_000);

test("who pauses while layers are still loading lends nothing until he says go on, and serves at once then", async () => {
	await signGate("f32");
	const { mesh, lender } = await lend({ memoryBytes: 16e6 });
	await lender.pause();
	expect(lender.view.phase).toBe("paused");
	await lender.resume();
	await reaches(lender, "loading");
	await lender.pause();
	while (lender.view.usedBytes < 1e6)
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	expect(lender.view.phase).toBe("paused");
	expect(announcedClass(mesh)).toBeUndefined();
	await lender.resume();
	expect(lender.view.phase).toBe("serving");
});

test("a model that is no smaller, or takes more than is lent, is refused as one to guess with", async () => {
	await signGate("f32");
	const { lender } = await lend({ memoryBytes: 16e6, draftModel: "wide" });
	await expect(reaches(lender, "serving")).rejects.toThrow(/no smaller/);
	expect(lender.view.phase).toBe("failed");
});
