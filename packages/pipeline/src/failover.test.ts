import { type HiddenFrame, StageLostError } from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type GenerateInit, generate } from "./ask/generate.ts";
import type { Replay } from "./ask/streamRun.ts";
import { FixtureDirectory } from "./fixtures.ts";
import { Experience } from "./plan/experience.ts";
import { greedy } from "./sampling/sampling.ts";
import {
	around,
	random,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "./testSwarm.ts";

const prompt = [1, ...Array.from({ length: 40 }, (_, i) => 260 + ((i * 37) % 240))];
const maxTokens = 60;

const draw = random(20_261_121);

describe("an answer over three stages", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	let undisturbed: readonly number[];
	const cuts = [0, 2, 4, 6];
	const gone: TestLender[] = [];

	const lender = (place: number, options: Parameters<TestSwarm["lender"]>[2] = {}) =>
		swarm.lender(cuts[place]!, cuts[place + 1]!, options);

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 512 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		await lender(0);
		await lender(1);
		await lender(2);
		undisturbed = (await generate(swarm.ask(asker, prompt, { maxTokens })).summary).tokens;
		expect(undisturbed).toHaveLength(maxTokens);
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** Takes a lender out of the swarm, as a closed tab does. */
	const kill = (victim: TestLender) => {
		swarm.lenders.splice(swarm.lenders.indexOf(victim), 1);
		gone.push(victim);
		return victim.peer.stop();
	};
	afterEach(async () => {
		for (const { server, engine } of gone.splice(0)) {
			await server.close();
			await engine.close();
		}
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		expect(swarm.lenders.map(({ server }) => server.historyBytes)).toEqual(swarm.lenders.map(() => 0));
	}, 60_000);

	/** Asks, and does `disturb` when the answer has `at` tokens. */
	const disturbed = async (
		at: number,
		disturb: (stages: readonly string[]) => unknown,
		more: Partial<GenerateInit> = {},
	) => {
		let stages: readonly string[] = [];
		const replays: Replay[] = [];
		// A lap for each token, so that the answer does not end before the loss is noticed.
		const plain = { maxTokens, speculation: false };
		const generation = generate({
			...swarm.ask(asker, prompt, { ...plain, onReplay: (replay) => replays.push(replay), ...more }),
			onStages: (views) => {
				stages = views.map(({ peer }) => peer);
			},
		});
		let count = 0;
		for await (const _ of generation) if (++count === at) void disturb([...stages]);
		const summary = await generation.summary;
		expect(summary.replays).toEqual(replays);
		return { ...summary, replays };
	};
	const lenderOf = (peer: string) => swarm.lenders.find((each) => each.peer.id === peer)!;

	it.each([
		["the first stage", [0]],
		["the middle stage", [1]],
		["the last stage", [2]],
		["the first two stages", [0, 1]],
		["the last two stages", [1, 2]],
		["the first and the last stage", [2, 0]],
		["all three stages", [0, 1, 2]],
	])("loses %s at any token and writes the same text", async (_what, places) => {
		for (const place of places) await lender(place);
		const at = 1 + Math.floor(draw() * (maxTokens - 10));
		let lost: string[] = [];
		const { tokens, replays } = await disturbed(at, (stages) => {
			lost = places.map((place) => stages[place]!);
			for (const peer of lost) void kill(lenderOf(peer));
		});
		expect(tokens).toEqual(undisturbed);
		const all = replays.flatMap((replay) => replay.lost);
		// On a busy machine one more may be given up, silent for too long.
		expect(all).toEqual(expect.arrayContaining(lost));
		for (const replay of replays) expect(replay).toMatchObject({ numericsChanged: false });
	});

	it("loses one stage after the other, spares among them", async () => {
		for (const place of [0, 1, 2, 1]) await lender(place);
		let count = 0;
		let stages: readonly string[] = [];
		const generation = generate({
			...swarm.ask(asker, prompt, { maxTokens }),
			onStages: (views) => {
				stages = views.map(({ peer }) => peer);
			},
		});
		for await (const _ of generation) {
			const place = { 8: 1, 20: 1, 32: 0, 44: 2 }[++count];
			if (place !== undefined) void kill(lenderOf(stages[place]!));
		}
		const { tokens, replays } = await generation.summary;
		expect(tokens).toEqual(undisturbed);
		expect(replays.length).toBeGreaterThan(1);
	});

	it("draws the same tokens with a seed and a repetition penalty, whoever draws them", async () => {
		await lender(2);
		const sampling = { ...greedy, temperature: 0.9, topK: 50, seed: 5, repetitionPenalty: 1.3 };
		const { tokens: expected } = await generate(swarm.ask(asker, prompt, { maxTokens, sampling })).summary;
		const { tokens } = await disturbed(20, (stages) => void kill(lenderOf(stages[2]!)), { sampling });
		expect(tokens).toEqual(expected);
	});

	it("loses a stage in the middle of the prompt", async () => {
		await lender(1);
		const long = Array.from({ length: 400 }, (_, i) => 259 + ((i * 31) % 250));
		const { tokens: expected } = await generate(swarm.ask(asker, long, { maxTokens: 10 })).summary;
		let killed = false;
		const { tokens, replays } = await generate({
			...swarm.ask(asker, long, { maxTokens: 10 }),
			onStages: (views) => {
				if (killed || !views.every(({ state }) => state === "ready")) return;
				killed = true;
				setTimeout(() => void kill(lenderOf(views[1]!.peer)), 20);
			},
		}).summary;
		expect(tokens).toEqual(expected);
		expect(replays).toHaveLength(1);
	});

	it.each([
		["holds all layers and loads the part", [0, 6]],
		["holds all layers, where two are lost", [0, 6]],
	])("takes a spare that %s", async (what, [from, to]) => {
		const spare = await swarm.lender(from!, to!);
		const places = what.includes("two") ? [0, 1] : [1];
		// The spare alone would be the shortest route.
		const only = swarm.lenders.filter((each) => each !== spare).map(({ member }) => member);
		const directory = new FixtureDirectory(only);
		const { tokens, replays } = await disturbed(
			15,
			(stages) => {
				directory.members = swarm.lenders.map(({ member }) => member);
				for (const place of places) void kill(lenderOf(stages[place]!));
			},
			{ directory },
		);
		expect(tokens).toEqual(undisturbed);
		expect(replays.map(({ spares }) => spares)).toEqual([[spare.peer.id]]);
		await kill(spare);
		for (const place of places) await lender(place);
	});

	it("goes on where a stage computes no more, though it answers", async () => {
		await kill(swarm.lenders.find(({ member }) => member.lends!.spans[0]!.from === 2)!);
		let stalls = false;
		const stalling = await lender(1, {
			around: (engine) =>
				around(engine, (results) => (stalls ? new Promise(() => {}) : Promise.resolve(results))),
		});
		const directory = new FixtureDirectory(swarm.lenders.map(({ member }) => member));
		const spare = await lender(1);
		const { tokens, replays } = await disturbed(
			20,
			() => {
				stalls = true;
				directory.members = swarm.lenders.map(({ member }) => member);
			},
			{ directory },
		);
		expect(tokens).toEqual(undisturbed);
		expect(replays).toMatchObject([{ lost: [stalling.peer.id], spares: [spare.peer.id] }]);
		expect(asker.peer.score(stalling.peer.id)).toBeLessThan(0);
		await kill(stalling);
	});

	it.each<[string, (frame: HiddenFrame) => readonly HiddenFrame[]]>([
		["NaN", (frame) => [{ ...frame, bytes: frame.bytes.map(() => 0xff) }]],
		["another shape", (frame) => [{ ...frame, header: ["f16", 1, 7], bytes: frame.bytes.slice(0, 14) }]],
		["positions ahead of its stream", (frame) => [{ ...frame, position: frame.position + 1 }]],
		["what it sent before", (frame) => [frame, frame]],
		["a generation that the asker never signed", (frame) => [{ ...frame, generation: 99 }]],
	])("goes on where a stage sends %s, and holds it against that stage", async (_what, tamper) => {
		await kill(swarm.lenders.find(({ member }) => member.lends!.spans[0]!.from === 2)!);
		let nonsense = false;
		const bad = await lender(1, {
			tampering: (frame) => (nonsense && frame.kind === "hidden" ? tamper(frame) : [frame]),
		});
		const directory = new FixtureDirectory(swarm.lenders.map(({ member }) => member));
		const spare = await lender(1);
		let after: string | undefined;
		const { tokens, replays } = await disturbed(
			20,
			(stages) => {
				after = stages[2];
				nonsense = true;
				directory.members = swarm.lenders.map(({ member }) => member);
			},
			{ directory },
		);
		expect(tokens).toEqual(undisturbed);
		expect(replays).toMatchObject([{ lost: [bad.peer.id], spares: [spare.peer.id] }]);
		expect(lenderOf(after!).peer.score(bad.peer.id)).toBeLessThan(0);
		await kill(bad);
	});

	it("takes no spare that an earlier answer has lost, although the directory shows it still", async () => {
		const ghost = swarm.lenders.find(({ member }) => member.lends!.spans[0]!.from === 2)!;
		const second = await lender(1);
		const third = await lender(1);
		// By what they announce the one that is gone is the better spare.
		const { lends } = third.member;
		third.member = { ...third.member, lends: { ...lends!, numericsClass: "ort1/webgpu/apple/f32/f32" } };
		const directory = new FixtureDirectory(
			swarm.lenders.filter((each) => each !== second && each !== third).map(({ member }) => member),
		);
		const experience = new Experience();
		const all = [...swarm.lenders.map(({ member }) => member)];
		const lose = (victim: TestLender) => () => {
			void kill(victim);
			directory.members = all;
		};
		const { replays: first } = await disturbed(20, lose(ghost), { directory, experience });
		expect(first).toMatchObject([{ lost: [ghost.peer.id], spares: [second.peer.id] }]);
		directory.members = all.filter(({ peer }) => peer !== third.peer.id);
		const { tokens, replays } = await disturbed(20, lose(second), { directory, experience });
		expect(tokens).toEqual(undisturbed);
		expect(replays).toMatchObject([{ lost: [second.peer.id], spares: [third.peer.id] }]);
	});

	it("waits for somebody to take the lost layers where nobody holds them, and gives up in time", async () => {
		const lost = swarm.lenders.find(({ member }) => member.lends!.spans[0]!.from === 2)!;
		const directory = new FixtureDirectory(swarm.lenders.map(({ member }) => member));
		const { tokens, replays } = await disturbed(
			10,
			async () => {
				await kill(lost);
				const taker = await lender(1);
				directory.members = swarm.lenders.map(({ member }) => member);
				expect(taker.server.streams).toBeLessThanOrEqual(1);
			},
			{ directory },
		);
		expect(tokens).toEqual(undisturbed);
		expect(replays).toHaveLength(1);
		const victim = swarm.lenders.find(({ member }) => member.lends!.spans[0]!.from === 2)!;
		const hopeless = disturbed(10, () => void kill(victim), { patienceMs: 300 });
		await expect(hopeless).rejects.toThrow(StageLostError);
		await expect(hopeless).rejects.toMatchObject({ details: { peer: victim.peer.id } });
		await lender(1);
	});

	it("is handed over by a stage that leaves, before it goes", async () => {
		await lender(1);
		let left: TestLender | undefined;
		let waited: Promise<void> | undefined;
		const { tokens, replays } = await disturbed(20, (stages) => {
			left = lenderOf(stages[1]!);
			waited = left.server.leave();
		});
		await waited;
		expect(left!.server.streams).toBe(0);
		expect(tokens).toEqual(undisturbed);
		expect(replays).toMatchObject([{ lost: [left!.peer.id] }]);
		await kill(left!);
	});

	it("goes on where clocks jump, and where a stage is lost after that", async () => {
		const spare = await lender(1);
		// What lies below, relays' reservations for instance, has clocks of its own.
		for (const { peer } of [asker, ...swarm.lenders]) if (peer !== spare.peer) await peer.ping(spare.peer.id);
		const hour = 3_600_000;
		const jumps = new Map([
			[10, hour],
			[20, -2 * hour],
			[30, hour],
		]);
		vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
		try {
			let stages: readonly string[] = [];
			const generation = generate({
				...swarm.ask(asker, prompt, { maxTokens }),
				onStages: (views) => {
					stages = views.map(({ peer }) => peer);
				},
			});
			let count = 0;
			for await (const _ of generation) {
				const jump = jumps.get(++count);
				if (jump !== undefined) vi.setSystemTime(Date.now() + jump);
				if (count === 40) void kill(lenderOf(stages[1]!));
			}
			const { tokens, replays } = await generation.summary;
			expect(tokens).toEqual(undisturbed);
			expect(replays).toHaveLength(1);
		} finally {
			vi.useRealTimers();
		}
	});

	it("goes on after its asker came back, and nothing was computed meanwhile", async () => {
		const generation = generate(swarm.ask(asker, prompt, { maxTokens }));
		let count = 0;
		for await (const _ of generation) if (++count === 20) break;
		// Leaving the loop cancels; another is detached.
		await generation.summary;
		// Drafts would be computed, too.
		const plain = { maxTokens, speculation: false };
		const first = generate(swarm.ask(asker, prompt, plain));
		let resume: ReturnType<typeof first.detach>;
		count = 0;
		for await (const _ of first) if (++count === 20) resume = first.detach();
		expect((await first.summary).finishReason).toBe("cancelled");
		expect(resume!.tokens.length).toBeGreaterThanOrEqual(20);
		expect(resume!.tokens.length).toBeLessThan(maxTokens);
		const served = () => swarm.lenders.map(({ server }) => server.tokensServed);
		await until(() => swarm.lenders.filter(({ server }) => server.streams === 1).length === 3);
		await new Promise((resolve) => setTimeout(resolve, 300));
		const before = served();
		const kept = JSON.parse(JSON.stringify(resume)) as typeof resume;
		const second = generate({ ...swarm.ask(asker, prompt, plain), resume: kept! });
		const { tokens, replays } = await second.summary;
		expect(tokens).toEqual(undisturbed);
		expect(replays).toEqual([]);
		// From where it was, not from the beginning.
		const computed = served().map((total, i) => total - before[i]!);
		expect(Math.max(...computed)).toBeLessThan(maxTokens - resume!.tokens.length + 5);
	});
});
