import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, type TokenGeneration } from "./ask/generate.ts";
import { type TestPeer, TestSwarm, testModel, until } from "./testSwarm.ts";

const leaseMs = 400;
/** What is promised, from the moment at which nobody has a right to the stream any more. */
const promiseMs = 5_000;
const prompt = [1, ...Array.from({ length: 30 }, (_, i) => 260 + i)];

describe("the memory that a stream takes of its stages", () => {
	let swarm: TestSwarm;
	let asker: TestPeer;
	/** Bytes of each engine before there was a stream: the weights. */
	let before: readonly number[];

	/** Without streams that have ended and are kept for others, as long as nobody needs the room. */
	const used = () =>
		Promise.all(
			swarm.lenders.map(async ({ engine, server }) => (await engine.usedBytes()) - server.keptBytes),
		);
	const history = () => swarm.lenders.map(({ server }) => server.historyBytes);
	const streams = () => swarm.lenders.map(({ server }) => server.streams);

	beforeAll(async () => {
		swarm = await TestSwarm.start(await testModel({ layers: 6, context: 512 }));
		asker = await swarm.peer();
		await swarm.lender(0, 3, { leaseMs });
		await swarm.lender(3, 6, { leaseMs });
		before = await used();
	}, 60_000);
	afterAll(() => swarm?.stop());

	it.each<[what: string, end: (generation: TokenGeneration) => unknown, waitMs: number]>([
		["after it ended", () => {}, 0],
		["after it was cancelled", (generation) => generation.cancel(), 0],
		["after its asker was away for longer than its lease", (generation) => generation.detach(), leaseMs],
	])("is free again %s", async (_what, end, waitMs) => {
		const generation = generate(swarm.ask(asker, prompt, { maxTokens: 60 }));
		let ended = 0;
		let count = 0;
		for await (const _ of generation) {
			if (++count !== 20) continue;
			expect(streams()).toEqual([1, 1]);
			expect(history()[0]).toBeGreaterThan(0);
			const now = await used();
			for (const [place, bytes] of before.entries()) expect(now[place]).toBeGreaterThan(bytes);
			end(generation);
			ended = performance.now();
		}
		await generation.summary;
		if (count >= 60) ended = performance.now();
		await until(() => streams().every((each) => each === 0));
		expect(history()).toEqual([0, 0]);
		await until(async () => (await used()).every((bytes, place) => bytes === before[place]));
		expect(performance.now() - ended - waitMs).toBeLessThan(promiseMs);
		// Not before the lease was over.
		expect(performance.now() - ended).toBeGreaterThan(waitMs);
	});
});
