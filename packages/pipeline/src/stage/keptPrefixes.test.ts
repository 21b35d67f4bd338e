import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { generate } from "../ask/generate.ts";
import { FixtureDirectory } from "../fixtures.ts";
import { Experience } from "../plan/experience.ts";
import { spanOf } from "../plan/modelSizes.ts";
import {
	oneProcess,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "../testSwarm.ts";

const maxTokens = 8;
const someTokens = (count: number, seed: number) =>
	Array.from({ length: count }, (_, i) => 259 + ((i * 31 + seed * 17) % 250));
/** Positions of which links tell. */
const whole = (positions: number) => 16 * Math.floor(positions / 16);

describe("streams that begin alike", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 1024 });
		swarm = await TestSwarm.start(model);
		asker = await swarm.peer();
		for (const from of [0, 2, 4]) await swarm.lender(from, from + 2);
	}, 60_000);
	afterAll(() => swarm?.stop());
	beforeEach(() => {
		for (const { server } of swarm.lenders) {
			server.paused = true;
			server.paused = false;
		}
	});

	const written = new Map<string, Promise<number[]>>();
	const byOneProcess = (prompt: readonly number[], count: number) => {
		const key = `${count} ${prompt.join()}`;
		const known = written.get(key) ?? oneProcess(model, prompt, count);
		written.set(key, known);
		return known;
	};

	const idle = (lenders: readonly TestLender[]) =>
		until(() => lenders.every(({ server }) => server.streams === 0));

	/** Asks, and says how many positions each lender computed for the answer, which is what one process writes. */
	const ask = async (
		prompt: readonly number[],
		{ who = asker, lenders = swarm.lenders }: { who?: TestPeer; lenders?: readonly TestLender[] } = {},
	) => {
		const before = lenders.map(({ server }) => server.tokensServed);
		const directory = new FixtureDirectory(lenders.map(({ member }) => member));
		// Drafts are positions, too, and how many there are depends on the hour.
		const init = { ...swarm.ask(who, prompt, { maxTokens, speculation: false }), directory };
		const { tokens } = await generate(init).summary;
		await idle(lenders);
		expect(tokens).toEqual(await byOneProcess(prompt, maxTokens));
		return lenders.map(({ server }, i) => server.tokensServed - before[i]!);
	};
	/** Positions that are computed of a prompt without its first `shared` ones, and of the answer. */
	const all = (prompt: readonly number[], shared = 0) => prompt.length + maxTokens - 1 - shared;
	const answered = async (prompt: readonly number[]) => [
		...prompt,
		...(await byOneProcess(prompt, maxTokens)),
	];

	it("compute a conversation's earlier turns once", async () => {
		let prompt = someTokens(100, 1);
		expect(await ask(prompt)).toEqual([107, 107, 107]);
		for (let turn = 2; turn < 5; turn++) {
			const shared = whole(prompt.length + maxTokens - 1);
			prompt = [...(await answered(prompt)), ...someTokens(20, turn)];
			const computed = all(prompt, shared);
			expect(await ask(prompt)).toEqual([computed, computed, computed]);
		}
	});

	it("compute the same instructions once, whether the stream before runs or has ended", async () => {
		const instructions = someTokens(200, 1);
		const first = [...instructions, ...someTokens(30, 2)];
		const running = generate(swarm.ask(asker, first, { maxTokens: 700, speculation: false }));
		const iterator = running[Symbol.asyncIterator]();
		await iterator.next();
		const second = [...instructions, ...someTokens(30, 3)];
		const during = generate(swarm.ask(asker, second, { maxTokens }));
		const expected = await oneProcess(model, second, maxTokens);
		expect((await during.summary).tokens).toEqual(expected);
		const { tokens } = await running.summary;
		expect(tokens).toEqual(await oneProcess(model, first, 700));
		await idle(swarm.lenders);
		const third = [...instructions, ...someTokens(30, 4)];
		const computed = all(third, whole(200));
		expect(await ask(third)).toEqual([computed, computed, computed]);
		// Nothing was taken from the others: they go on.
		const more = [...first, ...tokens, ...someTokens(10, 5)];
		expect(await ask(more)).toEqual(swarm.lenders.map(() => all(more, whole(first.length + 699))));
	});

	it("take what a cancelled answer left", async () => {
		const prompt = someTokens(64, 6);
		const cancelled = generate(swarm.ask(asker, prompt, { maxTokens: 500, speculation: false }));
		for await (const { position } of cancelled) if (position === 90) break;
		const { tokens } = await cancelled.summary;
		await idle(swarm.lenders);
		const more = [...prompt, ...tokens];
		const shared = whole(more.length - 1);
		expect(await ask(more)).toEqual(swarm.lenders.map(() => all(more, shared)));
	});

	it("of different askers share nothing", async () => {
		const prompt = someTokens(100, 7);
		await ask(prompt);
		const other = await swarm.peer();
		expect(await ask(prompt, { who: other })).toEqual([107, 107, 107]);
	});

	it("share nothing behind another stage, whose word would be believed for what it did not compute", async () => {
		const prompt = someTokens(100, 8);
		await ask(prompt);
		const other = await swarm.lender(0, 2);
		swarm.lenders.splice(-1);
		const lenders = [other, ...swarm.lenders.slice(1)];
		expect(await ask(prompt, { lenders })).toEqual([107, 107, 107]);
		await other.server.close();
	});

	it("go on behind a stage that has nothing of them: it is sent what the one before has kept", async () => {
		const prompt = someTokens(100, 9);
		await ask(prompt);
		const other = await swarm.lender(2, 4);
		swarm.lenders.splice(-1);
		const lenders = [swarm.lenders[0]!, other, swarm.lenders[2]!];
		const more = [...(await answered(prompt)), ...someTokens(5, 1)];
		const computed = all(more, whole(107));
		expect(await ask(more, { lenders })).toEqual([computed, all(more), all(more)]);
		await other.server.close();
	});

	it("survive the loss of a stage, which had its beginning from an earlier one", async () => {
		const prompt = someTokens(100, 10);
		await ask(prompt);
		const more = [...(await answered(prompt)), ...someTokens(5, 2)];
		const other = await swarm.peer();
		const { tokens: undisturbed } = await generate(
			swarm.ask(other, more, { maxTokens: 40, speculation: false }),
		).summary;
		await idle(swarm.lenders);
		const spare = await swarm.lender(2, 4);
		const [first, victim, last] = swarm.lenders.splice(0) as [TestLender, TestLender, TestLender];
		const directory = new FixtureDirectory([first, victim, last].map(({ member }) => member));
		const generation = generate({
			...swarm.ask(asker, more, { maxTokens: 40, speculation: false }),
			directory,
		});
		let count = 0;
		for await (const _ of generation) {
			if (++count !== 10) continue;
			directory.members = [first, spare, last].map(({ member }) => member);
			void victim.peer.stop();
		}
		const { tokens, replays } = await generation.summary;
		expect(tokens).toEqual(undisturbed);
		expect(replays).toMatchObject([{ lost: [victim.peer.id], spares: [spare.peer.id] }]);
		swarm.lenders.push(first, spare, last);
		await victim.server.close();
		await victim.engine.close();
		// Behind the spare the last stage's own positions are no longer what that one would have sent.
		await idle(swarm.lenders);
		expect(first.server.keptBytes).toBeGreaterThan(0);
		expect(spare.server.keptBytes).toBeGreaterThan(0);
		const next = [...more, ...tokens, ...someTokens(5, 3)];
		const shared = whole(more.length + 39);
		expect(await ask(next)).toEqual([all(next, shared), all(next, shared), all(next)]);
	});

	it("go to the same stages again, unless others are much quicker", async () => {
		const [one, other] = [await swarm.lender(0, 6), await swarm.lender(0, 6)];
		swarm.lenders.splice(-2);
		const experience = new Experience();
		const times = (factor: number) => {
			const lends = { ...other.member.lends!, bytesPerMs: factor * one.member.lends!.bytesPerMs };
			return new FixtureDirectory([one.member, { ...other.member, lends }]);
		};
		let prompt = someTokens(60, 15);
		const askAt = async (factor: number) => {
			const init = { ...swarm.ask(asker, prompt, { maxTokens, experience }), directory: times(factor) };
			const { stages, tokens } = await generate(init).summary;
			await idle([one, other]);
			prompt = [...prompt, ...tokens];
			return stages.map(({ peer }) => peer);
		};
		expect(await askAt(0.5)).toEqual([one.peer.id]);
		expect(await askAt(1.4)).toEqual([one.peer.id]);
		expect(await askAt(3)).toEqual([other.peer.id]);
		expect(await askAt(0.9)).toEqual([other.peer.id]);
		prompt = someTokens(60, 16);
		expect(await askAt(0.9)).toEqual([one.peer.id]);
		for (const { server } of [one, other]) await server.close();
	});

	it("give their memory to whoever needs it", async () => {
		const { weightBytes, keyValueBytesPerToken } = await swarm.lenders[1]!.server.spans.hold(
			model.model,
			spanOf(2, 4, 6),
		);
		const tight = await swarm.lender(2, 4, { memoryBytes: weightBytes + keyValueBytesPerToken * 300 });
		swarm.lenders.splice(-1);
		const lenders = [swarm.lenders[0]!, tight, swarm.lenders[2]!];
		const prompt = someTokens(200, 11);
		await ask(prompt, { lenders });
		expect(tight.server.keptBytes).toBe(whole(207) * keyValueBytesPerToken);
		const shares = [...prompt.slice(0, 100), ...someTokens(150, 12)];
		// There is no room for a copy: the one before is taken over.
		expect((await ask(shares, { lenders }))[1]).toBe(all(shares, whole(100)));
		expect(tight.server.keptBytes).toBe(whole(257) * keyValueBytesPerToken);
		const other = await swarm.peer();
		expect((await ask(prompt, { lenders, who: other }))[1]).toBe(207);
		expect(tight.server.keptBytes).toBe(whole(207) * keyValueBytesPerToken);
		await tight.server.close();
		expect(await tight.engine.usedBytes()).toBe(0);
	});

	it("are forgotten after a while, when a lender pauses, and when he gives the layers up", async () => {
		const brief = await swarm.lender(0, 6, { keepMs: 300 });
		const paused = await swarm.lender(0, 6);
		const moved = await swarm.lender(0, 6);
		const closed = await swarm.lender(0, 6);
		swarm.lenders.splice(-4);
		const prompt = someTokens(40, 13);
		for (const lender of [brief, paused, moved, closed]) {
			const loaded = await lender.engine.usedBytes();
			await ask(prompt, { lenders: [lender] });
			if (lender !== brief) expect(lender.server.keptBytes).toBeGreaterThan(0);
			if (lender === paused) {
				const directory = new FixtureDirectory([lender.member]);
				const generation = generate({ ...swarm.ask(asker, someTokens(40, 14), { maxTokens }), directory });
				for await (const _ of generation) lender.server.paused = true;
				await idle([lender]);
			}
			if (lender === moved) lender.server.spans.drop(model.model.id, spanOf(0, 6, 6));
			if (lender === closed) await lender.server.close();
			await until(() => lender.server.keptBytes === 0);
			const left = lender === brief || lender === paused ? loaded : 0;
			await until(async () => (await lender.engine.usedBytes()) === left);
			await lender.server.close();
		}
	});

	it("of one asker who asks for much leave another's where they are", async () => {
		const [lender] = [await swarm.lender(0, 6)];
		swarm.lenders.splice(-1);
		const lenders = [lender];
		const other = await swarm.peer();
		const prompt = someTokens(40, 14);
		await ask(prompt, { lenders, who: other });
		for (let i = 0; i < 70; i++) {
			await generate({
				...swarm.ask(asker, someTokens(20, 20 + i), { maxTokens: 1 }),
				directory: new FixtureDirectory([lender.member]),
			}).summary;
		}
		expect(await ask(prompt, { lenders, who: other })).toEqual([all(prompt, 32)]);
		await lender.server.close();
	});
});
