import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
	createEnvelopeSigner,
	createIdentity,
	mintCapability,
	openIdentity,
	presentCapability,
	privateRoomId,
} from "@tabmesh/dauth";
import { type PublishedModel, publishModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { generate } from "@tabmesh/pipeline";
import { createR1fs, openBlockStore } from "@tabmesh/r1fs";
import { type Relay, startRelay } from "@tabmesh/relay";
import { createPeer } from "@tabmesh/transport";
import {
	CapabilityActionError,
	CapabilityError,
	CapabilityHolderError,
	CapabilityRoomError,
	CapabilityTimeError,
	FileNotFoundError,
	limits,
	MalformedMessageError,
} from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ConnectOptions, connect, type Lender, type Tabmesh } from "./index.ts";

const megabyte = 1024 * 1024;
const day = 86_400_000;
let relay: Relay;
let published: PublishedModel;
let folder: string;
let keyFile: string;
let room: string;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
	const source = await openSeededModel({ seed: 7, layers: 4 });
	published = await publishModel(source);
	relay = await startRelay({
		port: 0,
		site: () => ({
			room: "public",
			models: [{ id: published.id, name: "seeded", manifest: "/models/manifest.cbor", origins: "/models/o" }],
			minStages: 1,
		}),
		extraRoutes: {
			"/models": async (request) => {
				const name = new URL(request.url).pathname.split("/").at(-1)!;
				if (name === "manifest.cbor") return new Response(published.manifestBytes);
				if (name === "o") return Response.json([published.origin]);
				const file = source.files.find((each) => each.name === name)!;
				const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range")!)!.map(Number);
				return new Response((await file.read(from!, to! - from! + 1)).slice(), {
					status: 206,
					headers: { "content-range": `bytes ${from}-${to}/${file.bytes}` },
				});
			},
		},
	});
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-room-"));
	keyFile = path.join(folder, "owner.pem");
	room = privateRoomId("family", (await openIdentity({ file: keyFile })).publicKey);
});
afterEach(async () => {
	for (const each of open.splice(0)) await each.close();
});
afterAll(async () => {
	await relay.stop();
	await rm(folder, { recursive: true, force: true });
});

const invite = async (...actions: string[]) =>
	mintCapability(await openIdentity({ file: keyFile }), { room, actions, expires: Date.now() + day });

async function join(options: ConnectOptions): Promise<Tabmesh> {
	const mesh = await connect({ relay: relay.url, ...options });
	open.push(mesh);
	return mesh;
}

async function serving(mesh: Tabmesh): Promise<Lender> {
	const lender = mesh.lend({ memoryBytes: 64 * megabyte });
	while (lender.view.phase !== "serving") {
		if (lender.view.phase === "failed") throw lender.view.error;
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	}
	return lender;
}

async function complete(mesh: Tabmesh): Promise<void> {
	while (!mesh.models[0]?.coverage.complete) {
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	}
}

const question = { promptTokens: [1, 5, 9], maxTokens: 6, temperature: 0 } as const;

describe("a private room beside a public one on the same relay", () => {
	test("has its own lenders, and nobody in either room sees or serves the other", async () => {
		const [outside, inside] = [await join({}), await join({ capability: await invite("ask", "lend") })];
		expect([outside.room, inside.room]).toEqual(["public", room]);
		await Promise.all([serving(outside), serving(inside)]);
		const guest = await join({ capability: await invite("ask") });
		const owner = await join({ room, keyFile });
		const stranger = await join({});
		for (const [asker, lender] of [
			[guest, inside],
			[owner, inside],
			[stranger, outside],
		] as const) {
			await complete(asker);
			expect(asker.members.map(({ peer }) => peer)).toEqual([lender.peer]);
			const { stages, tokens } = await asker.generate(question).summary;
			expect(stages.map(({ peer }) => peer)).toEqual([lender.peer]);
			expect(tokens).toHaveLength(question.maxTokens);
		}
	});

	test("is entered by nobody without an invitation that holds, and nothing is opened before", async () => {
		const owner = await openIdentity({ file: keyFile });
		const bob = await createIdentity();
		const grant = { room, actions: ["ask"], expires: Date.now() + day };
		const bobs = await mintCapability(owner, { ...grant, to: bob.peer });
		const ended = await mintCapability(owner, { ...grant, expires: Date.now() - 1 });
		const other = privateRoomId("work", owner.publicKey);
		for (const [options, ErrorClass] of [
			[{ room }, CapabilityError],
			[{ capability: ended }, CapabilityTimeError],
			[{ capability: bobs }, CapabilityHolderError],
			[{ room: other, capability: await invite("ask") }, CapabilityRoomError],
			[{ capability: "rubbish" }, MalformedMessageError],
		] as const) {
			await expect(connect({ relay: relay.url, ...options })).rejects.toThrow(ErrorClass);
		}
	});

	test("lets those lend who may lend and those ask who may ask", async () => {
		const guest = await join({ capability: await invite("ask") });
		await expect(serving(guest)).rejects.toThrow(CapabilityActionError);
		expect(guest.members).toEqual([]);
		const helper = await join({ capability: await invite("lend") });
		await serving(helper);
		const other = await join({ capability: await invite("lend") });
		await complete(other);
		await expect(other.generate(question).summary).rejects.toThrow(CapabilityActionError);
		await complete(guest);
		expect((await guest.generate(question).summary).tokens).toHaveLength(question.maxTokens);
	});

	test("serves no stranger who goes around the directory: no stage, and no weights", async () => {
		const inside = await join({
			capability: await invite("ask", "lend"),
			cacheDir: path.join(folder, "inside"),
		});
		await serving(inside);
		await complete(inside);
		const identity = await createIdentity();
		const { relays } = (await (await fetch(`${relay.url}/tabmesh.json`)).json()) as { relays: string[] };
		const peer = await createPeer({ identity, relays, agent: "stranger/1" });
		open.push({ close: () => peer.stop() });
		const ask = (capability?: string) =>
			generate({
				peer,
				signer: createEnvelopeSigner(identity),
				directory: inside.directory,
				room,
				model: published,
				promptTokens: question.promptTokens,
				maxTokens: 2,
				patienceMs: 0,
				...(capability === undefined ? {} : { capability }),
			}).summary;
		await expect(ask()).rejects.toThrow(CapabilityError);
		const stolen = await presentCapability(await invite("ask"), await createIdentity());
		await expect(ask(stolen)).rejects.toThrow(CapabilityHolderError);
		const shown = await presentCapability(await invite("ask"), identity);
		expect((await ask(shown)).tokens).toHaveLength(2);

		const outside = await join({ cacheDir: path.join(folder, "outside") });
		await serving(outside);
		const [tensor] = published.manifest.tensors;
		const digest = tensor!.chunks[0]!;
		const fetchFrom = async (holder: string): Promise<Uint8Array> => {
			const files = createR1fs({
				store: await openBlockStore({ budgetBytes: 0 }),
				peer,
				providers: {
					async *find() {
						yield { peer: holder };
					},
					provide: async () => {},
				},
			});
			const blocks = files.openBlocks(published.id, { patienceMs: 1_000 });
			try {
				const size = Math.min(limits.chunkBytes, tensor!.bytes);
				return await blocks.read({ digest, size, offset: 0 });
			} finally {
				blocks.close();
				await files.close();
			}
		};
		await expect(fetchFrom(inside.peer)).rejects.toThrow(FileNotFoundError);
		// It is the room, and nothing else: the same blocks lie with a lender of the public one.
		expect((await fetchFrom(outside.peer)).byteLength).toBeGreaterThan(0);
	});
});
