import {
	EmptyPromptError,
	InvalidParameterError,
	NoRouteError,
	PromptTooLongError,
	RouteRefusedError,
	StageBusyError,
	StageLostError,
} from "@tabmesh/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "./ask/generate.ts";
import { FixtureDirectory } from "./fixtures.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { greedy } from "./sampling/sampling.ts";
import type { StageStatus } from "./stage/stageLink.ts";
import { oneProcess, type TestModel, type TestPeer, TestSwarm, testModel, until } from "./testSwarm.ts";

const prompt = [1, 300, 301, 302, 303, 304, 305];

describe("a ring of three stages over WebRTC", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	const memory: number[] = [];

	const usedBytes = () =>
		Promise.all(
			swarm.lenders.map(async ({ engine, server }) => (await engine.usedBytes()) - server.keptBytes),
		);
	const everythingIsFreed = async () => {
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		expect(await usedBytes()).toEqual(memory);
	};

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 1024 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		await swarm.lender(0, 2);
		await swarm.lender(2, 4);
		await swarm.lender(4, 6);
		memory.push(...(await usedBytes()));
	}, 60_000);
	afterAll(() => swarm?.stop());

	it("writes what one process writes, token for token, and frees everything", async () => {
		const expected = await oneProcess(model, prompt, 24);
		const generation = generate(swarm.ask(asker, prompt, { maxTokens: 24 }));
		const seen: number[] = [];
		for await (const { token, position } of generation) {
			expect(position).toBe(prompt.length + seen.length);
			seen.push(token);
		}
		expect(seen).toEqual(expected);
		const summary = await generation.summary;
		expect(summary).toMatchObject({ tokens: expected, finishReason: "length", promptTokens: prompt });
		expect(summary.stages.map(({ state, span }) => [state, span.from, span.to])).toEqual([
			["ready", 0, 2],
			["ready", 2, 4],
			["ready", 4, 6],
		]);
		for (const { msPerToken } of summary.stages) expect(msPerToken).toBeGreaterThan(0);
		await everythingIsFreed();
	}, 60_000);

	it("draws what one process draws with the same seed and settings", async () => {
		const sampling = { ...greedy, temperature: 0.9, topK: 100, topP: 0.95, seed: 11, repetitionPenalty: 1.2 };
		const expected = await oneProcess(model, prompt, 24, sampling);
		const { tokens } = await generate(swarm.ask(asker, prompt, { maxTokens: 24, sampling })).summary;
		expect(tokens).toEqual(expected);
		expect(tokens).not.toEqual(await oneProcess(model, prompt, 24));
	}, 60_000);

	it("takes a long prompt in chunks", async () => {
		const long = Array.from({ length: 700 }, (_, i) => 259 + ((i * 31) % 250));
		const expected = await oneProcess(model, long, 8);
		const { tokens } = await generate(swarm.ask(asker, long, { maxTokens: 8 })).summary;
		expect(tokens).toEqual(expected);
	}, 60_000);

	it("writes several answers at once, each as if it were alone", async () => {
		const prompts = Array.from({ length: 6 }, (_, i) => [1, 270 + i, 280 + i, 290]);
		const answers = await Promise.all(
			prompts.map((own) => generate(swarm.ask(asker, own, { maxTokens: 30 })).summary),
		);
		for (const [i, own] of prompts.entries()) {
			expect(answers[i]!.tokens).toEqual(await oneProcess(model, own, 30));
		}
		await everythingIsFreed();
	}, 60_000);

	it("ends at a stop token, and at the end of the context with `length`", async () => {
		const [, second, third] = await oneProcess(model, prompt, 3);
		const stopped = await generate(swarm.ask(asker, prompt, { stopTokens: [third!] })).summary;
		expect(stopped.finishReason).toBe("stop");
		expect(stopped.tokens.at(-1)).toBe(third);
		expect(stopped.tokens).toContain(second);
		const full = Array.from({ length: 1020 }, (_, i) => 259 + (i % 250));
		const clipped = await generate(swarm.ask(asker, full, { maxTokens: 50 })).summary;
		expect(clipped.finishReason).toBe("length");
		expect(clipped.tokens).toHaveLength(4);
	}, 60_000);

	it("tells lenders what they served", async () => {
		const [first] = swarm.lenders;
		const before = first!.server.tokensServed;
		let changes = 0;
		first!.server.addEventListener("change", () => changes++);
		await generate(swarm.ask(asker, prompt, { maxTokens: 10 })).summary;
		// The last token is not computed any more.
		expect(first!.server.tokensServed - before).toBe(prompt.length + 9);
		expect(first!.server.msPerToken).toBeGreaterThan(0);
		expect(changes).toBeGreaterThan(0);
	}, 60_000);

	it.each(["cancel", "abort", "break"])(
		"frees every stage on %s in the middle of an answer",
		async (how) => {
			const abort = new AbortController();
			const generation = generate(
				swarm.ask(asker, prompt, { maxTokens: 1000, stopTokens: [], signal: abort.signal }),
			);
			let count = 0;
			for await (const _ of generation) {
				if (++count < 5) continue;
				if (how === "cancel") generation.cancel();
				else if (how === "abort") abort.abort();
				else break;
			}
			const summary = await generation.summary;
			expect(summary.finishReason).toBe("cancelled");
			expect(summary.tokens.length).toBeLessThan(900);
			await everythingIsFreed();
		},
		60_000,
	);

	it("frees every stage when cancelled before it began", async () => {
		const generation = generate(swarm.ask(asker, prompt));
		generation.cancel();
		expect((await generation.summary).tokens).toEqual([]);
		await everythingIsFreed();
	}, 60_000);

	it("refuses prompts that cannot be served, in words", async () => {
		const fails = (tokens: number[], more = {}) => generate(swarm.ask(asker, tokens, more)).summary;
		await expect(fails([])).rejects.toThrow(EmptyPromptError);
		const long = new Array<number>(1100).fill(5);
		await expect(fails(long)).rejects.toThrow(PromptTooLongError);
		await expect(fails(long)).rejects.toMatchObject({
			details: { promptTokens: 1100, maxPromptTokens: 1023, contextLength: 1024 },
		});
		await expect(fails([1, 512])).rejects.toThrow(InvalidParameterError);
		await expect(fails([1], { maxTokens: 0 })).rejects.toThrow(InvalidParameterError);
		await expect(fails([1], { sampling: { temperature: -1 } })).rejects.toThrow(InvalidParameterError);
		await expect(fails([1], { minStages: 9 })).rejects.toThrow(NoRouteError);
	});

	it("cuts spans for more stages than there are, loading them on demand, and keeps them for the next answer", async () => {
		const whole = await swarm.lender(0, 6);
		const other = await swarm.lender(0, 6);
		const members = [whole.member, other.member];
		const seen: StageStatus["state"][] = [];
		const ask = () =>
			generate({
				...swarm.ask(asker, prompt, { maxTokens: 12, minStages: 2 }),
				directory: new FixtureDirectory(members),
				onStages: (stages) => seen.push(...stages.map(({ state }) => state)),
			}).summary;
		const { tokens, stages } = await ask();
		expect(tokens).toEqual(await oneProcess(model, prompt, 12));
		expect(stages).toHaveLength(2);
		expect(seen).toContain("preparing");
		seen.length = 0;
		await ask();
		expect(seen).not.toContain("preparing");
		swarm.lenders.splice(-2);
		await Promise.all([whole.server.close(), other.server.close()]);
	}, 60_000);

	it("goes around a busy stage where another holds the same layers", async () => {
		const busy = await swarm.lender(0, 6);
		const spare = await swarm.lender(0, 6);
		swarm.lenders.splice(-2);
		busy.server.paused = true;
		const members = [{ ...busy.member, lends: { ...busy.member.lends!, bytesPerMs: 1e6 } }, spare.member];
		const init = { ...swarm.ask(asker, prompt, { maxTokens: 5 }), directory: new FixtureDirectory(members) };
		const { stages, tokens } = await generate(init).summary;
		expect(stages.map(({ peer }) => peer)).toEqual([spare.peer.id]);
		expect(tokens).toEqual(await oneProcess(model, prompt, 5));
		const directory = new FixtureDirectory(members.slice(0, 1));
		const alone = generate({ ...init, directory, patienceMs: 0 });
		await expect(alone.summary).rejects.toThrow(StageBusyError);
		await expect(alone.summary).rejects.toMatchObject({ details: { peer: busy.peer.id } });
		await Promise.all([busy.server.close(), spare.server.close()]);
	}, 60_000);

	it("waits for a peer that refuses, goes on as soon as the swarm shows that it can, and stops waiting when told to", async () => {
		const moving = await swarm.lender(0, 6);
		swarm.lenders.splice(-1);
		const { spans } = moving.server;
		// It gave its layers up and announced that too late.
		spans.drop(model.model.id, spanOf(0, 6, 6));
		const directory = new FixtureDirectory([moving.member]);
		const init = { ...swarm.ask(asker, prompt, { maxTokens: 5, patienceMs: 60_000 }), directory };
		const waits: unknown[] = [];
		const waiting = generate({ ...init, onWait: (wait) => waits.push(wait) });
		const cancelled = generate(init);
		const refused = generate({ ...init, patienceMs: 300 });
		await expect(refused.summary).rejects.toThrow(/does not hold the layers.* within 0.3 s/);
		await expect(refused.summary).rejects.toThrow(RouteRefusedError);
		cancelled.cancel();
		expect((await cancelled.summary).finishReason).toBe("cancelled");
		directory.members = [];
		await spans.hold(model.model, spanOf(0, 6, 6));
		directory.members = [moving.member];
		expect((await waiting.summary).tokens).toEqual(await oneProcess(model, prompt, 5));
		expect(waits[0]).toEqual({ busy: false, retryAfterMs: undefined });
		await moving.server.close();
	}, 60_000);

	it("leaves memory for another asker, however many streams one opens", async () => {
		const { weightBytes, keyValueBytesPerToken } = await swarm.lenders[1]!.server.spans.hold(
			model.model,
			spanOf(2, 4, 6),
		);
		// Room for about five streams of 500 positions.
		const tight = await swarm.lender(2, 4, { memoryBytes: weightBytes + keyValueBytesPerToken * 2600 });
		swarm.lenders.splice(-1);
		const directory = new FixtureDirectory([
			swarm.lenders[0]!.member,
			tight.member,
			swarm.lenders[2]!.member,
		]);
		const ask = (who: TestPeer, maxTokens = 490) =>
			generate({ ...swarm.ask(who, prompt, { maxTokens, patienceMs: 0 }), directory });
		const running = [ask(asker), ask(asker)];
		for (const answer of running) await answer[Symbol.asyncIterator]().next();
		const refused = await ask(asker).summary.catch((error: unknown) => error);
		expect(refused).toBeInstanceOf(StageBusyError);
		expect((refused as StageBusyError).message).toMatch(/for other askers, for about \d+ seconds? more\./);
		expect((await ask(await swarm.peer()).summary).tokens).toHaveLength(490);
		// Only what it has at once is counted.
		running[0]!.cancel();
		await running[0]!.summary;
		await until(() => tight.server.streams === 1);
		expect((await ask(asker, 5).summary).tokens).toHaveLength(5);
		running[1]!.cancel();
		await tight.server.close();
	}, 60_000);

	it("serves no more streams than its memory has room for", async () => {
		const { weightBytes } = await swarm.lenders[1]!.server.spans.hold(model.model, spanOf(2, 4, 6));
		// Room for the weights and about one stream of 500 positions.
		const tight = await swarm.lender(2, 4, { memoryBytes: weightBytes + 2 * 2 * 2 * 16 * 4 * 700 });
		swarm.lenders.splice(-1);
		const members = [swarm.lenders[0]!.member, tight.member, swarm.lenders[2]!.member];
		const ask = (maxTokens: number, who = asker) =>
			generate({
				...swarm.ask(who, prompt, { maxTokens, patienceMs: 0 }),
				directory: new FixtureDirectory(members),
			});
		const first = ask(500);
		const second = ask(500);
		const results = await Promise.allSettled([first.summary, second.summary]);
		expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
		// Busy for as long as the one that is served may take; asked at the same moment, its pace is not known.
		const third = ask(500);
		let refusedWith: unknown;
		for await (const { position } of third) {
			if (position !== prompt.length + 20) continue;
			const other = await swarm.peer();
			refusedWith = await ask(500, other).summary.catch((error: unknown) => error);
			const patient = generate({
				...swarm.ask(other, prompt, { maxTokens: 5, patienceMs: 60_000 }),
				directory: new FixtureDirectory(members),
			});
			third.cancel();
			expect((await patient.summary).tokens).toHaveLength(5);
		}
		expect(refusedWith).toBeInstanceOf(StageBusyError);
		const { message, details } = refusedWith as StageBusyError;
		expect(message).toMatch(/no memory left.*, for about \d+ seconds? more\./);
		expect(details.retryAfterMs).toBeGreaterThan(0);
		const refused = results.find(({ status }) => status === "rejected") as PromiseRejectedResult;
		expect(refused.reason).toBeInstanceOf(StageBusyError);
		await tight.server.close();
		await everythingIsFreed();
	}, 60_000);

	it("says so when a stage leaves in the middle of an answer and nobody takes its place, and frees the others", async () => {
		const leaving = await swarm.lender(2, 4);
		swarm.lenders.splice(-1);
		const members = [swarm.lenders[0]!.member, leaving.member, swarm.lenders[2]!.member];
		const generation = generate({
			...swarm.ask(asker, prompt, { maxTokens: 1000, patienceMs: 500 }),
			directory: new FixtureDirectory(members),
		});
		let count = 0;
		const iterate = (async () => {
			for await (const _ of generation) if (++count === 5) void leaving.peer.stop();
		})();
		await expect(iterate).rejects.toThrow(StageLostError);
		await expect(generation.summary).rejects.toMatchObject({ details: { peer: leaving.peer.id } });
		expect(count).toBeGreaterThanOrEqual(5);
		await everythingIsFreed();
	}, 60_000);
});
