import { createEngine } from "@tabmesh/inference";
import {
	decodeCbor,
	decodeFrame,
	limits,
	OutOfMemoryBudgetError,
	routeSchema,
	stageRequestSchema,
} from "@tabmesh/wire";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { generate } from "./ask/generate.ts";
import { OwnEnds } from "./ask/ownEnds.ts";
import { Experience } from "./plan/experience.ts";
import { ringProtocol, stageProtocol } from "./protocols.ts";
import { greedy } from "./sampling/sampling.ts";
import {
	oneProcess,
	overheard,
	random,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "./testSwarm.ts";
import { LINK_BYTES, nextLink } from "./tokenChain.ts";

const prompt = [1, ...Array.from({ length: 40 }, (_, i) => 260 + ((i * 37) % 240))];
const maxTokens = 24;
const draw = random(20_261_122);

interface Heard {
	readonly to: string;
	readonly protocol: string;
	readonly message: Uint8Array;
}

describe("a private answer", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	let ends: OwnEnds;
	let expected: readonly number[];
	/** Tokens that are drafted, by the position of the first. */
	let drafts: readonly number[] = [];
	let heard: Heard[] = [];
	const hear = (to: string, protocol: string, message: Uint8Array) => heard.push({ to, protocol, message });
	const gone: TestLender[] = [];

	const openEnds = async (memoryBytes = 1e9) =>
		OwnEnds.load({
			engine: await createEngine({ memoryBytes }),
			source: model.source,
			model: model.model,
			drafter: () => ({
				draft: (tokens, wanted) => {
					const at = tokens.length - prompt.length;
					return drafts.slice(at, at + wanted());
				},
			}),
		});
	const ask = (more: Parameters<TestSwarm["ask"]>[2] = {}) =>
		swarm.ask(asker, prompt, { maxTokens, ends, speculation: false, ...more });
	const kill = (victim: TestLender) => {
		swarm.lenders.splice(swarm.lenders.indexOf(victim), 1);
		gone.push(victim);
		return victim.peer.stop();
	};
	const lenderOf = (peer: string) => swarm.lenders.find((each) => each.peer.id === peer)!;

	beforeAll(async () => {
		model = await testModel({ layers: 6, context: 1024 });
		swarm = await TestSwarm.start(model);
		const { peer, signer } = await swarm.peer();
		asker = { peer: overheard(peer, hear), signer };
		await swarm.lender(0, 4, { overheard: hear });
		await swarm.lender(4, 6, { overheard: hear });
		ends = await openEnds();
		expected = await oneProcess(model, prompt, maxTokens);
	}, 60_000);
	afterAll(async () => {
		await swarm?.stop();
		await ends?.engine.close();
	});
	beforeEach(() => {
		heard = [];
		drafts = [];
	});
	afterEach(async () => {
		for (const { server, engine } of gone.splice(0)) {
			await server.close();
			await engine.close();
		}
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		expect(swarm.lenders.map(({ server }) => server.historyBytes)).toEqual(swarm.lenders.map(() => 0));
		await until(() => ends.streams === 0);
	}, 30_000);

	it("is what one process writes, token for token, both ends at the asker", async () => {
		const { tokens, stages, receipts } = await generate(ask()).summary;
		expect(tokens).toEqual(expected);
		const [first, second] = swarm.lenders.map(({ peer }) => peer.id);
		expect(stages.map(({ peer, span }) => [peer, span.from, span.to, span.embed, span.head])).toEqual([
			[asker.peer.id, 0, 2, true, false],
			[first, 2, 4, false, false],
			[second, 4, 6, false, false],
			[asker.peer.id, 6, 6, false, true],
		]);
		// The others are owed for all that they computed, as ever.
		expect(receipts.map(({ receipt: { peer, positions } }) => [peer, positions]).sort()).toEqual(
			[
				[first, prompt.length + maxTokens - 1],
				[second, prompt.length + maxTokens - 1],
			].sort(),
		);
	}, 60_000);

	it("is drawn as one process draws it, with a seed and a repetition penalty", async () => {
		const sampling = { ...greedy, temperature: 0.9, topK: 100, topP: 0.95, seed: 11, repetitionPenalty: 1.2 };
		const { tokens } = await generate(ask({ sampling })).summary;
		expect(tokens).toEqual(await oneProcess(model, prompt, maxTokens, sampling));
		expect(tokens).not.toEqual(expected);
	}, 60_000);

	it("ends at a stop token, which only the asker knows", async () => {
		const stop = expected[9]!;
		const { tokens, finishReason } = await generate(ask({ stopTokens: [stop] })).summary;
		expect(finishReason).toBe("stop");
		expect(tokens).toEqual(expected.slice(0, expected.indexOf(stop) + 1));
	}, 60_000);

	it("is held to a form as it is in the open", async () => {
		const form = { constraint: { schema: JSON.stringify({ type: "boolean" }) }, stopTokens: [2] };
		const open = swarm.ask(asker, prompt, { maxTokens, speculation: false, ...form });
		const { tokens, finishReason } = await generate(open).summary;
		expect(await generate(ask(form)).summary).toMatchObject({ tokens, finishReason });
		expect(tokens.length).toBeLessThan(maxTokens);
	}, 60_000);

	describe("seen by the stages", () => {
		const vocabulary = () => model.model.manifest.config.vocabularySize;
		/** The tokens behind a link that lead to the next, found by trying all of them, with every link that was seen as the one before. */
		const foundByTrying = (sent: readonly Heard[]): number[] => {
			const links = new Map<number, Uint8Array[]>([[0, [new Uint8Array(LINK_BYTES)]]]);
			const see = (position: number, link: Uint8Array) =>
				links.set(position, [...(links.get(position) ?? []), link.slice()]);
			for (const { protocol, message } of sent) {
				if (protocol === ringProtocol.id) {
					if (message.byteLength < 100) continue;
					const frame = decodeFrame(message);
					const rows = frame.kind === "hidden" ? frame.header[1] : frame.tokens.length;
					see(frame.position + rows, frame.chain);
					if (frame.kind === "hidden")
						for (const [i, link] of frame.links.entries()) see(frame.position + 1 + i, link);
				} else {
					const request = decodeCbor(stageRequestSchema, message, limits.controlBytes);
					const told = request.type === "open" || request.type === "close" ? request.links : undefined;
					for (let i = 0; told && i * LINK_BYTES < told.byteLength; i++)
						see(16 * (i + 1), told.subarray(i * LINK_BYTES, (i + 1) * LINK_BYTES));
				}
			}
			const found: number[] = [];
			for (const [position, seen] of links) {
				const next = (links.get(position + 1) ?? []).map((link) => link.join());
				for (const before of seen) {
					for (let token = 0; token < vocabulary(); token++) {
						if (next.includes(nextLink(before, position, token).join())) found.push(token);
					}
				}
			}
			return found;
		};

		it("is told by nothing: no token, no link that trying the vocabulary turns into one, not how it is chosen", async () => {
			// In the open: what trying finds out, from the links alone.
			await generate(swarm.ask(asker, prompt, { maxTokens, speculation: false })).summary;
			const open = heard.filter(({ protocol }) => protocol === ringProtocol.id);
			expect(foundByTrying(open)).toEqual(expect.arrayContaining(expected.slice(0, -1)));

			heard = [];
			drafts = [...expected.slice(0, 5), 7, ...expected.slice(6)];
			const sampling = { ...greedy, temperature: 0.7, seed: 123_456_789 };
			const { tokens } = await generate(ask({ sampling, stopTokens: [300], speculation: true })).summary;
			expect(tokens.length).toBeGreaterThan(1);
			const reached = new Set(heard.map(({ to }) => to));
			for (const { peer } of swarm.lenders) expect(reached).toContain(peer.id);
			expect(foundByTrying(heard)).toEqual([]);
			const requests = heard
				.filter(({ protocol }) => protocol === stageProtocol.id)
				.map(({ message }) => decodeCbor(stageRequestSchema, message, limits.controlBytes));
			expect(requests.filter(({ type }) => type === "open")).toHaveLength(2);
			for (const request of requests) {
				expect(request.type).not.toBe("prompt");
				expect(request).not.toHaveProperty("generation");
				expect(request).not.toHaveProperty("speculation");
			}
			for (const { protocol, message } of heard) {
				if (protocol !== ringProtocol.id || message.byteLength < 100) continue;
				expect(decodeFrame(message).kind).toBe("hidden");
			}
		}, 60_000);

		it("has other links for every asker, though the text is the same", async () => {
			const linksOf = async (own: OwnEnds) => {
				heard = [];
				await generate(ask({ ends: own, maxTokens: 2 })).summary;
				return heard.flatMap(({ protocol, message }) =>
					protocol === ringProtocol.id && message.byteLength > 100 ? [decodeFrame(message).chain.join()] : [],
				);
			};
			const others = await openEnds();
			const [mine, yours] = [await linksOf(ends), await linksOf(others)];
			await others.engine.close();
			expect(mine.length).toBeGreaterThan(0);
			expect(mine.filter((link) => yours.includes(link))).toEqual([]);
		}, 60_000);
	});

	it("comes in fewer laps where drafts are right, the same to the token", async () => {
		const wide = swarm.lenders.splice(0);
		await swarm.lender(0, 4, { distanceMs: 30 });
		await swarm.lender(4, 6, { distanceMs: 30 });
		try {
			drafts = expected.map((token, i) => (i % 7 === 3 ? 7 : token));
			const { tokens, laps } = await generate(ask({ speculation: true })).summary;
			expect(tokens).toEqual(expected);
			expect(laps.accepted).toBeGreaterThan(0);
			expect(laps.count + laps.accepted).toBe(maxTokens);
		} finally {
			for (const each of swarm.lenders.splice(0, 2, ...wide)) gone.push(each);
		}
	}, 60_000);

	it.each([
		["the first", [0]],
		["the last", [1]],
		["both", [0, 1]],
	])(
		"goes on with the same text when %s of the other stages is lost",
		async (_which, places) => {
			const spans = [
				[0, 4],
				[4, 6],
			] as const;
			for (const place of places) await swarm.lender(spans[place]![0], spans[place]![1]);
			const at = 2 + Math.floor(draw() * (maxTokens - 12));
			let route: readonly string[] = [];
			const generation = generate({
				...ask(),
				onStages: (stages) => {
					route = stages.slice(1, -1).map(({ peer }) => peer);
				},
			});
			let count = 0;
			for await (const _ of generation) {
				if (++count === at) for (const place of places) void kill(lenderOf(route[place]!));
			}
			const { tokens, replays } = await generation.summary;
			expect(tokens).toEqual(expected);
			expect(replays.length).toBeGreaterThan(0);
			expect(replays.every(({ numericsChanged }) => !numericsChanged)).toBe(true);
		},
		60_000,
	);

	it("frees everything when it is cancelled, here and there", async () => {
		const before = await ends.engine.usedBytes();
		const generation = generate(ask({ maxTokens: 500 }));
		let count = 0;
		for await (const _ of generation) if (++count === 3) generation.cancel();
		expect((await generation.summary).finishReason).toBe("cancelled");
		await until(() => ends.streams === 0);
		ends.prefixes.clear();
		await until(async () => (await ends.engine.usedBytes()) <= before);
	}, 60_000);

	it("goes on from what an earlier one left on every stage, the asker's own among them", async () => {
		const experience = new Experience();
		const first = await generate(ask({ experience })).summary;
		const turn = [...prompt, ...first.tokens.slice(0, -1), 270, 271, 272];
		const computed = swarm.lenders.map(({ server }) => server.tokensServed);
		const second = await generate({ ...ask({ experience, maxTokens: 4 }), promptTokens: turn }).summary;
		expect(second.tokens).toEqual(await oneProcess(model, turn, 4));
		const kept = 16 * Math.floor((prompt.length + maxTokens - 1) / 16);
		await until(() => swarm.lenders.every(({ server }) => server.streams === 0));
		swarm.lenders.forEach(({ server }, i) => {
			expect(server.tokensServed - computed[i]!).toBe(turn.length + 3 - kept);
		});
	}, 60_000);

	it("is gone on with after the page was reloaded", async () => {
		const generation = generate(ask());
		let count = 0;
		let left: ReturnType<typeof generation.detach>;
		for await (const _ of generation) if (++count === 8) left = generation.detach();
		await until(() => ends.streams === 0);
		// The next page has an engine of its own, and another key.
		const next = await openEnds();
		const { tokens } = await generate(ask({ ends: next, resume: JSON.parse(JSON.stringify(left)) })).summary;
		expect(tokens).toEqual(expected);
		await until(() => next.streams === 0);
		await next.engine.close();
	}, 60_000);

	it("is refused with a word to the person where this device has too little memory", async () => {
		const opening = openEnds(1000);
		await expect(opening).rejects.toThrow(OutOfMemoryBudgetError);
		await expect(opening).rejects.toThrow(/too little memory to keep its own part of the model/);
	}, 60_000);

	it("has no ends but the asker's own, or stages refuse it", async () => {
		const hops = (await generate(ask({ maxTokens: 1 })).summary).stages.map(({ peer, span }) => ({
			peer,
			span,
		}));
		const stranger = await swarm.peer();
		const foreign = hops.map((hop) =>
			hop.peer === asker.peer.id ? { ...hop, peer: stranger.peer.id } : hop,
		);
		const base = {
			stream: crypto.getRandomValues(new Uint8Array(16)),
			generation: 0,
			room: "public",
			model: model.model.id,
			expires: Date.now() + 60_000,
		};
		const { openRoute, sealRoute } = await import("./route.ts");
		const sealed = await sealRoute(asker.signer, { ...base, hops: foreign });
		const self = swarm.lenders[0]!.peer.id;
		await expect(openRoute(sealed, { remote: asker.peer.id, self, room: "public" })).rejects.toThrow(
			"The ends of a private route are not the asker's own.",
		);
		const twice = [hops[0]!, hops[1]!, { ...hops[2]!, peer: hops[1]!.peer }, hops[3]!];
		expect(() => routeSchema["~standard"].validate({ ...base, hops: twice })).not.toThrow();
		expect(await routeSchema["~standard"].validate({ ...base, hops: twice })).toHaveProperty("issues");
	}, 60_000);
});
