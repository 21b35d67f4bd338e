import { type ModelSource, type PublishedModel, publishModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { type Relay, startRelay } from "@tabmesh/relay";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Lender, type LenderView, type Tabmesh } from "./index.ts";

const layers = 8;
/** Bytes of a layer in float32: so large that a span of all of them is served in parts. */
const layerBytes = 9.4e6;
let relay: Relay;
let source: ModelSource;
let published: PublishedModel;
const open: Tabmesh[] = [];
/** News of others may take a while on a machine that is busy. */
const patient = { timeout: 20_000 };
/** What the site waits for before it gives bytes of a layer. */
let ready: (layer: number | undefined) => Promise<unknown> = async () => {};

/** The layer whose weights lie at an offset of a file. */
function layerAt(name: string, offset: number): number | undefined {
	const { tensors } = published.manifest;
	const { files, ranges } = published.origin;
	const at = ranges.findIndex((each) =>
		each.some(([file, from, length]) => files[file] === name && from <= offset && offset < from + length),
	);
	const layer = /layers\.(\d+)\./.exec(tensors[at]!.name)?.[1];
	return layer === undefined ? undefined : Number(layer);
}

beforeAll(async () => {
	source = await openSeededModel({ seed: 3, layers, feedForward: 12_288, context: 512 });
	published = await publishModel(source);
	relay = await startRelay({
		port: 0,
		site: () => ({
			room: "public",
			models: [
				{
					id: published.id,
					name: "large",
					manifest: "/models/manifest.cbor",
					origins: "/models/origins.json",
				},
			],
			minStages: 1,
		}),
		extraRoutes: {
			"/models": async (request) => {
				const name = new URL(request.url).pathname.split("/").at(-1)!;
				if (name === "manifest.cbor") return new Response(published.manifestBytes);
				if (name === "origins.json") return Response.json([published.origin]);
				const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "")!;
				await ready(layerAt(name, Number(from)));
				const file = source.files.find((each) => each.name === name)!;
				const bytes = await file.read(Number(from), Number(to) - Number(from) + 1);
				return new Response(bytes.slice(), {
					status: 206,
					headers: { "content-range": `bytes ${from}-${to}/${file.bytes}` },
				});
			},
		},
	});
});
afterAll(async () => {
	for (const mesh of open) await mesh.close();
	await relay.stop();
});

/** Lends when it has heard of all that lend already. */
async function lend(layersThatFit: number): Promise<{ mesh: Tabmesh; lender: Lender }> {
	const mesh = await connect({ relay: relay.url });
	for (const other of open) await expect.poll(() => servedBy(mesh, other)?.length, patient).toBe(1);
	open.push(mesh);
	// Nine tenths of it are what the deal counts on.
	const memoryBytes = Math.round(((layersThatFit + 0.5) * layerBytes) / 0.9);
	return { mesh, lender: mesh.lend({ memoryBytes }) };
}

async function until(lender: Lender, holds: (view: LenderView) => boolean): Promise<void> {
	while (!holds(lender.view)) {
		if (lender.view.phase === "failed") throw lender.view.error;
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	}
}

const isWhole = (view: LenderView): boolean => view.phase === "serving" && view.growingTo === undefined;

/** What `asker` knows that a peer serves. */
const servedBy = (asker: Tabmesh, { peer }: Tabmesh) =>
	asker.members
		.find((member) => member.peer === peer)
		?.lends?.spans.filter((span) => span.ready)
		.map(({ from, to }) => [from, to]);

test("a newcomer serves the first part of its span before the rest is there, and an answer that runs while it grows is the same and is not lost", async () => {
	const first = await lend(2);
	await until(first.lender, isWhole);
	const rest = await lend(6);
	await until(rest.lender, isWhole);
	expect([first, rest].map(({ lender }) => [lender.view.span!.from, lender.view.span!.to])).toEqual([
		[0, 2],
		[2, 8],
	]);
	const ask = () => first.mesh.generate({ promptTokens: [1, 5, 9], maxTokens: 60, temperature: 0 });
	await expect.poll(() => first.mesh.models[0]!.coverage.complete, patient).toBe(true);
	const undisturbed = await ask().summary;
	expect(undisturbed.stages.map(({ span }) => [span.from, span.to])).toEqual([
		[0, 2],
		[2, 8],
	]);

	const gate = Promise.withResolvers<void>();
	let behindTheGate = 0;
	// A line on which the rest would take more than two seconds longer than the first part.
	let slow: Promise<void> | undefined;
	ready = (layer) => {
		slow ??= new Promise((resolve) => setTimeout(resolve, 1000));
		if (layer === undefined || layer < 2) return slow;
		behindTheGate++;
		return gate.promise;
	};
	const newcomer = await lend(8);
	await until(newcomer.lender, ({ phase }) => phase === "serving");
	expect(newcomer.lender.view).toMatchObject({
		span: { from: 0, to: 2, embed: true, head: false },
		growingTo: { from: 0, to: 8, embed: true, head: true },
	});
	await expect.poll(() => servedBy(first.mesh, newcomer.mesh), patient).toEqual([[0, 2]]);
	// It alone has the beginning now.
	await first.lender.leave();
	await expect.poll(() => servedBy(first.mesh, first.mesh), patient).toBeUndefined();
	const answer = ask();
	const tokens: number[] = [];
	let wholeAt: number | undefined;
	for await (const { token } of answer) {
		tokens.push(token);
		if (tokens.length === 3) {
			expect(isWhole(newcomer.lender.view)).toBe(false);
			gate.resolve();
		}
		if (isWhole(newcomer.lender.view)) wholeAt ??= tokens.length;
	}
	const { stages, replays } = await answer.summary;
	expect(behindTheGate).toBeGreaterThan(0);
	expect(stages.map(({ peer }) => peer)).toEqual([newcomer.mesh.peer, rest.mesh.peer]);
	expect(wholeAt).toBeLessThan(60);
	expect(tokens).toEqual(undisturbed.tokens);
	expect(replays).toEqual([]);
	expect(newcomer.lender.view.span).toMatchObject({ from: 0, to: 8 });
	// What it serves in parts it holds once.
	expect(newcomer.lender.view.usedBytes).toBeLessThan(8.5 * layerBytes);
	await rest.lender.leave();
	await expect.poll(() => servedBy(first.mesh, newcomer.mesh), patient).toEqual([[0, 8]]);
}, 120_000);
