import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type PublishedModel, publishModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { type Relay, startRelay } from "@tabmesh/relay";
import {
	EmptyPromptError,
	InsecureOriginError,
	InvalidParameterError,
	MalformedMessageError,
	ModelNotFoundError,
	NoRouteError,
	PeerUnreachableError,
	PromptTooLongError,
} from "@tabmesh/wire";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connect, type Lender, type Tabmesh } from "./index.ts";

const megabyte = 1024 * 1024;
let relay: Relay;
let minStages = 1;
let published: PublishedModel;
/** What the site answers for weights; tests break it. */
let tamper = (bytes: Uint8Array): Uint8Array => bytes;
/** Weights that the site gave out, in bytes. */
let served = 0;
let originGone = false;
let folder: string;
const open: Tabmesh[] = [];

/** A site in memory: manifest, origins and model files by range, as any static server gives them. */
async function startSite(): Promise<void> {
	const source = await openSeededModel({ seed: 7, layers: 4 });
	published = await publishModel(source);
	const handle = async (request: Request): Promise<Response> => {
		const name = new URL(request.url).pathname.split("/").at(-1)!;
		if (name === "manifest.cbor") return new Response(published.manifestBytes);
		if (name === "origins.json") return Response.json([published.origin]);
		const file = source.files.find((file) => file.name === name);
		const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
		if (!file || !range || originGone) return new Response(null, { status: 404 });
		const [from, to] = [Number(range[1]), Number(range[2])];
		const bytes = tamper(await file.read(from, to - from + 1));
		served += bytes.byteLength;
		return new Response(bytes.slice(), {
			status: 206,
			headers: { "content-range": `bytes ${from}-${to}/${file.bytes}` },
		});
	};
	relay = await startRelay({
		port: 0,
		site: () => ({
			room: "public",
			models: [
				{
					id: published.id,
					name: "seeded",
					manifest: "/models/manifest.cbor",
					origins: "/models/origins.json",
				},
			],
			minStages,
		}),
		extraRoutes: { "/models": handle },
	});
}

/** @param cache - name of a folder that keeps weights; without it nothing is kept */
async function join(cache?: string): Promise<Tabmesh> {
	const mesh = await connect({
		relay: relay.url,
		...(cache === undefined ? {} : { cacheDir: path.join(folder, cache) }),
	});
	open.push(mesh);
	return mesh;
}

async function until(mesh: Tabmesh, holds: () => boolean): Promise<void> {
	while (!holds()) await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
}

async function reaches(lender: Lender, phase: Lender["view"]["phase"]): Promise<void> {
	while (lender.view.phase !== phase) {
		if (lender.view.phase === "failed") throw lender.view.error;
		await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	}
}

const question = { promptTokens: [1, 5, 9], maxTokens: 12, temperature: 0 } as const;

beforeAll(async () => {
	await startSite();
	folder = await mkdtemp(path.join(tmpdir(), "tabmesh-client-"));
});
beforeEach(() => {
	minStages = 1;
	originGone = false;
	tamper = (bytes) => bytes;
	return async () => {
		for (const mesh of open.splice(0)) await mesh.close();
	};
});
afterAll(async () => {
	await relay.stop();
	await rm(folder, { recursive: true, force: true });
});

describe("a network of lenders and askers", () => {
	test("lenders share the layers out as the site wishes, an asker gets the text that one lender would write, and leaving is clean", async () => {
		const alone = await join();
		const single = alone.lend({ memoryBytes: 64 * megabyte });
		await reaches(single, "serving");
		expect(single.view.span).toEqual({ from: 0, to: 4, embed: true, head: true });
		const asker = await join();
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		const expected = (await asker.generate(question).summary).tokens;
		expect(expected).toHaveLength(question.maxTokens);
		await single.leave();
		expect(single.view).toMatchObject({ phase: "left", usedBytes: 0, streams: 0 });
		await until(asker, () => asker.models[0]?.coverage.complete === false);

		minStages = 2;
		const [a, b] = [await join(), await join()];
		const lenders = [a.lend({ memoryBytes: 64 * megabyte }), b.lend({ memoryBytes: 64 * megabyte })];
		await Promise.all(lenders.map((lender) => reaches(lender, "serving")));
		const wide = await join();
		await until(wide, () => wide.models[0]?.coverage.complete === true);
		const states = new Set<string>();
		const answer = wide.generate({
			...question,
			onStages: (stages) => stages.map(({ state }) => states.add(state)),
		});
		let text = "";
		for await (const piece of answer) text += piece.text;
		const summary = await answer.summary;
		expect(summary.tokens).toEqual(expected);
		expect(summary.text).toBe(text);
		expect(summary.finishReason).toBe("length");
		const [first, last] = summary.stages.map(({ span }) => span);
		expect(first).toMatchObject({ from: 0, embed: true, head: false });
		expect(last).toEqual({ from: first!.to, to: 4, embed: false, head: true });
		expect(states).toContain("ready");
		for (const lender of lenders) {
			while (lender.view.tokensServed === 0)
				await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
		}
	});

	test("one tab that lends everything answers itself", async () => {
		const mesh = await join();
		const lender = mesh.lend({ memoryBytes: 64 * megabyte });
		await reaches(lender, "serving");
		const { tokens, stages } = await mesh.generate(question).summary;
		expect(tokens).toHaveLength(question.maxTokens);
		expect(stages.map(({ peer }) => peer)).toEqual([mesh.peer]);
		expect(mesh.connections.every(({ path }) => path === "socket")).toBe(true);
	});

	test("a tab that lends a part of the model asks a ring that it is a stage of", async () => {
		minStages = 2;
		const [a, b] = [await join(), await join()];
		const lenders = [a.lend({ memoryBytes: 64 * megabyte }), b.lend({ memoryBytes: 64 * megabyte })];
		await Promise.all(lenders.map((lender) => reaches(lender, "serving")));
		await until(a, () => a.models[0]?.coverage.complete === true);
		const { tokens, stages } = await a.generate(question).summary;
		expect(tokens).toHaveLength(question.maxTokens);
		expect(stages.map(({ peer }) => peer).sort()).toEqual([a.peer, b.peer].sort());
	});

	test("an answer in private is the same, its ends in the asking tab, and a reload goes on with it in private", async () => {
		const lender = await join();
		await reaches(lender.lend({ memoryBytes: 64 * megabyte }), "serving");
		const asker = await join();
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		const asked = { prompt: "tab mesh", temperature: 0.8, seed: 3, maxTokens: 16 };
		const thin = await asker.generate(asked).summary;
		expect(asker.private.view.phase).toBe("off");
		const own = await asker.generate({ ...asked, private: true }).summary;
		expect(own.text).toBe(thin.text);
		expect(own.stages.map(({ peer }) => peer)).toEqual([asker.peer, lender.peer, asker.peer]);
		expect(asker.private.view.phase).toBe("ready");

		const left = asker.generate({ ...asked, private: true });
		let pieces = 0;
		let detached: string | undefined;
		for await (const _ of left) if (++pieces === 4) detached = left.detach();
		const again = await asker.resume(detached!).summary;
		expect(again.text).toBe(thin.text);
		expect(again.stages[0]!.peer).toBe(asker.peer);
		await asker.private.free();
		expect(asker.private.view).toMatchObject({ phase: "off", usedBytes: 0 });
	});

	test("a paused lender takes no new answers and serves again when it goes on", async () => {
		const [mesh, asker] = [await join(), await join()];
		const lender = mesh.lend({ memoryBytes: 64 * megabyte });
		await reaches(lender, "serving");
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		await lender.pause();
		expect(lender.view.phase).toBe("paused");
		await until(asker, () => asker.models[0]?.coverage.complete === false);
		await expect(asker.generate(question).summary).rejects.toThrow(NoRouteError);
		await lender.resume();
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		expect((await asker.generate(question).summary).tokens).toHaveLength(question.maxTokens);
	});

	test("a lender with too little memory waits, and says how much the swarm lacks", async () => {
		const mesh = await join();
		const lender = mesh.lend({ memoryBytes: 1000 });
		await reaches(lender, "waiting");
		await until(mesh, () => mesh.models[0] !== undefined);
		expect(mesh.models[0]!.coverage).toMatchObject({ complete: false, loading: 0 });
		expect(mesh.models[0]!.coverage.missingBytes).toBeGreaterThan(0);
	});

	test("wrong weights are refused, reported, and never served", async () => {
		tamper = (bytes) => bytes.map((byte, i) => (i === 17 ? byte ^ 1 : byte));
		const mesh = await join();
		const notices: string[] = [];
		mesh.addEventListener("notice", ({ detail }) => notices.push(detail.code));
		const lender = mesh.lend({ memoryBytes: 64 * megabyte });
		await expect(reaches(lender, "serving")).rejects.toMatchObject({ code: "ShardIntegrity" });
		expect(notices).toContain("ShardIntegrity");
		await until(mesh, () => mesh.members.every((member) => member.lends === undefined));
	});

	test("a second visit fetches nothing, and a newcomer gets from the first device what the web does not give any more", async () => {
		const everything = published.manifest.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
		for (const visit of [1, 2]) {
			served = 0;
			const mesh = await join("first");
			await reaches(mesh.lend({ memoryBytes: 64 * megabyte }), "serving");
			// The tokenizer comes last: others may ask for it.
			while (visit === 1 && served < everything) await new Promise((resolve) => setTimeout(resolve, 10));
			await mesh.close();
			expect(served).toBe(visit === 1 ? everything : 0);
		}
		const first = await join("first");
		await reaches(first.lend({ memoryBytes: 64 * megabyte }), "serving");
		originGone = true;
		const late = await join("late");
		await until(late, () => late.models[0]?.coverage.complete === true);
		await reaches(late.lend({ memoryBytes: 64 * megabyte }), "serving");
		expect(late.connections.map(({ peer, path }) => [peer, path])).toContainEqual([first.peer, "direct"]);
		const { tokens } = await late.generate(question).summary;
		await first.close();
		const { stages, tokens: alone } = await late.generate(question).summary;
		expect(alone).toEqual(tokens);
		expect(stages.map(({ peer }) => peer)).toEqual([late.peer]);
	});

	test("who only asks gives no weights away, and what nobody gives is a typed error", async () => {
		const asker = await join("asker");
		originGone = true;
		const late = await join();
		const lender = late.lend({ memoryBytes: 64 * megabyte });
		await expect(reaches(lender, "serving")).rejects.toMatchObject({ code: "ModelSource" });
		await asker.close();
	}, 60_000);

	test("an asker who stops listening stops the work, and cancelling keeps what came", async () => {
		const [mesh, asker] = [await join(), await join()];
		const lender = mesh.lend({ memoryBytes: 64 * megabyte });
		await reaches(lender, "serving");
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		const answer = asker.generate({ promptTokens: [1], maxTokens: 200, temperature: 0 });
		for await (const _ of answer) break;
		const summary = await answer.summary;
		expect(summary.finishReason).toBe("cancelled");
		expect(summary.tokens.length).toBeGreaterThan(0);
		while (lender.view.streams > 0)
			await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
	});

	test("an answer that was left goes on with the same text after its asker came back, also under another key", async () => {
		const mesh = await join();
		const lender = mesh.lend({ memoryBytes: 64 * megabyte });
		await reaches(lender, "serving");
		// Drafts would be counted, too.
		const plain = { temperature: 1, seed: 7, speculation: false };
		const options = { promptTokens: [1], maxTokens: 100, stop: ["never written"], ...plain };
		const keyFile = path.join(folder, "asker.key");
		const come = async (more: { keyFile?: string }): Promise<Tabmesh> => {
			const asker = await connect({ relay: relay.url, ...more });
			open.push(asker);
			await until(asker, () => asker.models[0]?.coverage.complete === true);
			return asker;
		};
		const first = await come({ keyFile });
		const { tokens: undisturbed, text } = await first.generate(options).summary;
		expect(first.generate(options).detach()).toBeUndefined();
		const answer = first.generate(options);
		let left: string | undefined;
		let count = 0;
		for await (const _ of answer) if (++count === 60) left = answer.detach();
		expect((await answer.summary).finishReason).toBe("cancelled");
		expect(answer.detach()).toBeUndefined();
		await first.close();
		const again = await come({ keyFile });
		const resumed = again.resume(left!);
		let shown = "";
		for await (const piece of resumed) shown += piece.text;
		expect(await resumed.summary).toMatchObject({ tokens: undisturbed, text, finishReason: "length" });
		expect(shown).toBe(text);
		// From where it was, not from the beginning: two hundred tokens in all, and not 60 more.
		while (lender.view.streams > 0) await new Promise((resolve) => setTimeout(resolve, 10));
		expect(lender.view.tokensServed).toBeLessThan(240);
		const stranger = await come({});
		expect((await stranger.resume(left!).summary).tokens).toEqual(undisturbed);
		for (const wrong of ["", "{}", "null", left!.replace('"generation":', '"generation":-1')]) {
			expect(() => again.resume(wrong)).toThrow(InvalidParameterError);
		}
	});

	test("a lender that leaves hands its answers over first, and serves them for a moment where nobody takes them", async () => {
		const [first, second, asker] = [await join(), await join(), await join()];
		const lender = first.lend({ memoryBytes: 64 * megabyte });
		await reaches(lender, "serving");
		await until(asker, () => asker.models[0]?.coverage.complete === true);
		const ask = (maxTokens: number) => asker.generate({ promptTokens: [1], maxTokens, temperature: 0 });
		const { tokens: undisturbed } = await ask(100).summary;
		const other = second.lend({ memoryBytes: 64 * megabyte });
		await reaches(other, "serving");
		await until(asker, () => asker.members.filter(({ lends }) => lends?.spans[0]?.ready).length === 2);
		for (const leaving of [first, second]) {
			const answer = ask(100);
			let count = 0;
			for await (const _ of answer) if (++count === 5) void leaving.close();
			expect((await answer.summary).tokens).toEqual(undisturbed);
			await leaving.close();
			await until(asker, () => asker.members.every(({ peer }) => peer !== leaving.peer));
		}
	});
});

describe("what cannot be asked", () => {
	test.each([
		["an empty list of tokens", { promptTokens: [] }, EmptyPromptError],
		["an empty text", { prompt: "" }, EmptyPromptError],
		["a prompt longer than the context", { promptTokens: new Array(100_000).fill(1) }, PromptTooLongError],
		["a token that does not exist", { promptTokens: [1, 10_000_000] }, InvalidParameterError],
		["a temperature below zero", { promptTokens: [1], temperature: -1 }, InvalidParameterError],
		["two kinds of prompt", { promptTokens: [1], prompt: "x" }, InvalidParameterError],
		["no prompt at all", {}, InvalidParameterError],
		["an empty stop string", { promptTokens: [1], stop: [""] }, InvalidParameterError],
		["another model", { promptTokens: [1], model: "gpt" }, ModelNotFoundError],
	])("%s is a typed error", async (_, options, ErrorClass) => {
		const mesh = await join();
		const answer = mesh.generate(options);
		await expect(answer.summary).rejects.toThrow(ErrorClass);
		await expect(answer[Symbol.asyncIterator]().next()).rejects.toThrow(ErrorClass);
	});

	test("a relay that is not there, not a relay, or not reached safely is a typed error", async () => {
		await expect(connect({ relay: "http://127.0.0.1:9" })).rejects.toThrow(PeerUnreachableError);
		await expect(connect({ relay: "not an address" })).rejects.toThrow(PeerUnreachableError);
		await expect(connect({ relay: "http://relay.example.org" })).rejects.toThrow(InsecureOriginError);
		await expect(connect({})).rejects.toThrow(InvalidParameterError);
		const other = await startRelay({ port: 0, site: () => ({}) as never });
		await expect(connect({ relay: other.url })).rejects.toThrow(MalformedMessageError);
		await other.stop();
	});
});
