import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "./ask/generate.ts";
import { Experience } from "./plan/experience.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { around, oneProcess, type TestLender, type TestPeer, TestSwarm, testModel } from "./testSwarm.ts";

const prompt = [1, 300, 301, 302];
/** So many that an answer tells how quick its stages are. */
const maxTokens = 20;
const layers = 6;

describe("a swarm with lenders that promise too much", () => {
	let swarm: TestSwarm;
	let asker: TestPeer;
	let honest: TestLender;
	let expected: number[];

	/** What a lender says of itself, whatever is true. */
	const say = (lender: TestLender, bytesPerMs: number, memoryBytes = 1e9): void => {
		const { lends } = lender.member;
		lender.member = {
			...lender.member,
			lends: { ...lends!, bytesPerMs, memoryBytes, freeBytes: memoryBytes },
		};
	};

	beforeAll(async () => {
		const model = await testModel({ layers });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		honest = await swarm.lender(0, layers);
		say(honest, 1e6);
		expected = await oneProcess(model, prompt, maxTokens);
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** Asks again and again, and tells who served each answer. */
	async function ask(experience: Experience, times: number): Promise<string[]> {
		const peers: string[] = [];
		for (let i = 0; i < times; i++) {
			const { stages, tokens } = await generate(
				swarm.ask(asker, prompt, { maxTokens, experience, speculation: false }),
			).summary;
			expect(tokens).toEqual(expected);
			peers.push(stages[0]!.peer);
		}
		return peers;
	}

	it("goes on by others where one announces layers that its memory does not hold, and avoids it from then on", async () => {
		const boaster = await swarm.lender(0, layers);
		boaster.server.spans.drop(swarm.model.model.id, spanOf(0, layers, layers));
		say(boaster, 1e9, 1e15);
		const experience = new Experience();
		expect(await ask(experience, 1)).toEqual([honest.peer.id]);
		const once = experience.extraMs(boaster.peer.id, performance.now());
		expect(once).toBeGreaterThan(0);
		expect(await ask(experience, 4)).toEqual(new Array(4).fill(honest.peer.id));
		// It doubles with each refusal: most of the answers did not ask it any more.
		expect(experience.extraMs(boaster.peer.id, performance.now())).toBeLessThan(4.5 * once);
		swarm.lenders.splice(swarm.lenders.indexOf(boaster), 1);
		await boaster.server.close();
		await boaster.engine.close();
	}, 60_000);

	it("turns from one that lies about its speed to an honest one within a few answers", async () => {
		const slow = 60;
		const liar = await swarm.lender(0, layers, {
			around: (engine) =>
				around(engine, async (results) => {
					await new Promise((resolve) => setTimeout(resolve, slow));
					return results;
				}),
		});
		say(liar, 1e9);
		const experience = new Experience();
		const peers = await ask(experience, 6);
		expect(peers[0]).toBe(liar.peer.id);
		expect(peers.slice(3)).toEqual(new Array(3).fill(honest.peer.id));
		expect(experience.extraMs(liar.peer.id, performance.now())).toBeGreaterThan(
			experience.extraMs(honest.peer.id, performance.now()),
		);
	}, 60_000);
});
