import { createEnvelopeSigner, createIdentity } from "@tabmesh/dauth";
import type { MessageStream } from "@tabmesh/transport";
import {
	decodeCbor,
	decodeFrame,
	encodeCbor,
	encodeFrame,
	encodeTensor,
	fromWireError,
	type Hop,
	InvalidSignatureError,
	InvalidTensorError,
	limits,
	MalformedMessageError,
	ProtocolViolationError,
	type RingFrame,
	RouteRefusedError,
	RouteViolationError,
	ringAcceptSchema,
	StageBusyError,
	StageLostError,
	type StageRequest,
	type StageResponse,
	stageRequestSchema,
	stageResponseSchema,
	TabmeshError,
	TokenChainError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "./ask/generate.ts";
import { FixtureDirectory } from "./fixtures.ts";
import { spanOf } from "./plan/modelSizes.ts";
import { ringProtocol, stageProtocol } from "./protocols.ts";
import { openRoute, sealRoute } from "./route.ts";
import { greedy } from "./sampling/sampling.ts";
import {
	oneProcess,
	type TestLender,
	type TestModel,
	type TestPeer,
	TestSwarm,
	testModel,
	until,
} from "./testSwarm.ts";
import { FIRST_LINK, nextLink } from "./tokenChain.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const prompt = [1, 300, 301, 302];
const streamId = () => crypto.getRandomValues(new Uint8Array(16));

/** The messages of a stream until one of them is an error or the stream ends. */
async function untilError(control: MessageStream): Promise<TabmeshError> {
	for await (const message of control) {
		const response = decodeCbor(stageResponseSchema, message, limits.controlBytes);
		if (response.type !== "error" && response.type !== "broken") continue;
		// A stage that complains of a neighbour keeps what it has until the asker lets go of it.
		await control.close();
		return fromWireError(response.error);
	}
	throw new Error("The stream ended without an error.");
}

async function next(control: MessageStream): Promise<StageResponse> {
	for await (const message of control) {
		const response = decodeCbor(stageResponseSchema, message, limits.controlBytes);
		if (response.type !== "preparing") return response;
	}
	throw new Error("The stream ended.");
}

async function nextTokens(control: MessageStream): Promise<StageResponse & { type: "tokens" }> {
	const response = await next(control);
	if (response.type !== "tokens") throw new Error(`Tokens were due, not ${response.type}.`);
	return response;
}

/** Accepts ring links and swallows what they bring. */
function takeLinks({ peer }: TestPeer): void {
	peer.serve(ringProtocol, async (ring) => {
		let opened = false;
		for await (const _ of ring) {
			if (!opened) await ring.send(encodeCbor({ position: 0 }));
			opened = true;
		}
	});
}

describe("a stage among strangers", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let victim: TestLender;
	let stranger: TestPeer;
	let hiddenSize: number;

	beforeAll(async () => {
		model = await testModel({ layers: 4, context: 512 });
		hiddenSize = model.model.manifest.config.hiddenSize;
		swarm = await TestSwarm.start(model);
		victim = await swarm.lender(2, 4, { leaseMs: 300 });
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** Each attack comes from a new stranger: the last one may be banned by now. */
	const newStranger = async () => {
		stranger = await swarm.peer();
		takeLinks(stranger);
		await stranger.peer.ping(victim.peer.id);
	};

	/** The stranger as asker and first stage, the victim as second and last. */
	const ours = (): Hop[] => [
		{ peer: stranger.peer.id, span: spanOf(0, 2, 4) },
		{ peer: victim.peer.id, span: spanOf(2, 4, 4) },
	];

	interface Overrides {
		stream?: Uint8Array<ArrayBuffer>;
		generation?: number;
		hops?: Hop[];
		expires?: number;
		model?: string;
		room?: string;
	}

	const routeOf = (overrides: Overrides = {}, signer = stranger.signer) =>
		sealRoute(signer, {
			stream: streamId(),
			generation: 0,
			room: "public",
			model: model.model.id,
			hops: ours(),
			expires: Date.now() + 60_000,
			...overrides,
		}) as Promise<Uint8Array<ArrayBuffer>>;

	const openWith = async (route: Uint8Array<ArrayBuffer>, more: Partial<StageRequest> = {}) => {
		const control = await stranger.peer.open(victim.peer.id, stageProtocol);
		await control.send(
			encodeCbor({
				type: "open",
				route,
				maxPositions: 100,
				generation: { sampling: greedy, maxTokens: 50, stopTokens: [] },
				...more,
			}),
		);
		return control;
	};

	const openRing = async (stream: Uint8Array, generation = 0) => {
		const ring = await stranger.peer.open(victim.peer.id, ringProtocol);
		await ring.send(encodeCbor({ stream, generation }));
		return ring;
	};

	/** A stream at the victim that waits for our frames. */
	const openStream = async (generation = 0) => {
		const stream = streamId();
		const control = await openWith(await routeOf({ stream, generation }));
		const ring = await openRing(stream, generation);
		const accepted = await ring[Symbol.asyncIterator]().next();
		expect(decodeCbor(ringAcceptSchema, accepted.value, 100)).toEqual({ position: 0 });
		expect((await next(control)).type).toBe("ready");
		return { stream, control, ring };
	};

	const frame = (
		stream: Uint8Array,
		changes: Partial<Record<keyof RingFrame | "links" | "values" | "dtype" | "columns", unknown>> = {},
	) => {
		const { values, dtype, columns, ...rest } = changes;
		const data =
			(values as Float32Array | undefined) ??
			new Float32Array(((columns as number) ?? hiddenSize) * 2).fill(0.5);
		const tensor = encodeTensor(
			{
				rows: data.length / ((columns as number) ?? hiddenSize),
				columns: (columns as number) ?? hiddenSize,
				data,
			},
			(dtype as "f16" | "f32") ?? model.model.manifest.boundary,
		);
		return encodeFrame({
			kind: "hidden",
			stream,
			generation: 0,
			position: 0,
			rollback: 0,
			chain: FIRST_LINK,
			last: true,
			links: [],
			...tensor,
			...rest,
		} as RingFrame);
	};

	const allFreed = async () => {
		await until(() => victim.server.streams === 0);
	};

	describe("refuses to open", () => {
		beforeAll(newStranger, 60_000);

		it.each<[string, () => Promise<Uint8Array<ArrayBuffer>>, new (message: string) => TabmeshError]>([
			["a model that it does not serve", () => routeOf({ model: `b${"a".repeat(58)}` }), RouteRefusedError],
			["another room", () => routeOf({ room: "elsewhere" }), RouteRefusedError],
			[
				"layers that it does not hold",
				() =>
					routeOf({
						hops: [
							{ peer: stranger.peer.id, span: spanOf(0, 1, 4) },
							{ peer: victim.peer.id, span: spanOf(1, 4, 4) },
						],
					}),
				RouteRefusedError,
			],
			[
				"a route that it is not on",
				() => routeOf({ hops: [{ peer: stranger.peer.id, span: spanOf(0, 4, 4) }] }),
				RouteRefusedError,
			],
			["a route that has expired", () => routeOf({ expires: Date.now() - 1 }), TabmeshError],
			["a route that somebody else signed", () => routeOf({}, victim.signer), RouteViolationError],
			[
				"a route whose signature is wrong",
				async () => {
					const route = await routeOf();
					route[route.length - 1]! ^= 1;
					return route;
				},
				InvalidSignatureError,
			],
			["what is no route", async () => new Uint8Array([1, 2, 3]), TabmeshError],
		])("%s", async (_what, route, ErrorClass) => {
			const error = await untilError(await openWith(await route()));
			expect(error).toBeInstanceOf(ErrorClass);
			await allFreed();
		});

		it("a mean beside an answer, of no position, of a stream that goes on, and neither of both", async () => {
			const generation = undefined as never;
			for (const more of [
				{ embed: { from: 0 } },
				{ generation, embed: { from: 100 } },
				{ generation, embed: { from: 0 }, keep: 3 },
				{ generation },
			]) {
				const error = await untilError(await openWith(await routeOf(), more));
				expect(error).toBeInstanceOf(ProtocolViolationError);
				await allFreed();
				await newStranger();
			}
		});

		it("more streams of one asker than its share", async () => {
			const controls: MessageStream[] = [];
			for (let i = 0; i < 8; i++) {
				const control = await openWith(await routeOf());
				expect((await next(control)).type).toBe("ready");
				controls.push(control);
			}
			expect(await untilError(await openWith(await routeOf()))).toBeInstanceOf(StageBusyError);
			for (const control of controls) await control.close();
			await allFreed();
		});

		it("a thousand streams of one asker, and writes another's answer as ever", async () => {
			const before = (await victim.engine.usedBytes()) - victim.server.keptBytes;
			await swarm.lender(0, 2);
			const honest = await swarm.peer();
			const expected = await oneProcess(model, prompt, 60);
			const opened = new Set<MessageStream>();
			const flood = Array.from({ length: 1000 }, async (_, i) => {
				await new Promise((resolve) => setTimeout(resolve, i));
				try {
					const control = await openWith(await routeOf());
					const answer = await next(control);
					if (answer.type === "ready") opened.add(control);
				} catch {
					// Refused, and soon not even connected any more.
				}
				expect(victim.server.streams).toBeLessThanOrEqual(8 + 1);
			});
			const { tokens } = await generate(swarm.ask(honest, prompt, { maxTokens: 60 })).summary;
			expect(tokens).toEqual(expected);
			await Promise.all(flood);
			expect(opened.size).toBeLessThanOrEqual(8);
			expect(victim.peer.score(stranger.peer.id)).toBeLessThan(0);
			await allFreed();
			expect(await victim.engine.usedBytes()).toBe(before + victim.server.keptBytes);
			await swarm.lenders.splice(-1)[0]!.server.close();
			await newStranger();
		}, 60_000);

		it("a stream twice, and takes a newer generation of it", async () => {
			const stream = streamId();
			const first = await openWith(await routeOf({ stream }));
			expect((await next(first)).type).toBe("ready");
			expect(await untilError(await openWith(await routeOf({ stream })))).toBeInstanceOf(RouteViolationError);
			const second = await openWith(await routeOf({ stream, generation: 1 }));
			expect(await untilError(first)).toBeInstanceOf(StageLostError);
			expect((await next(second)).type).toBe("ready");
			await second.close();
			await allFreed();
		});
	});

	describe("ends the stream of who sends", () => {
		let honest: TestPeer;
		let expected: number[];

		beforeAll(async () => {
			await swarm.lender(0, 2);
			honest = await swarm.peer();
			expected = await oneProcess(model, prompt, 100);
		}, 60_000);

		it.each<
			[
				string,
				(stream: Uint8Array) => Uint8Array | readonly Uint8Array[],
				new (message: string) => TabmeshError,
			]
		>([
			[
				"NaN",
				(stream) => frame(stream, { values: new Float32Array(hiddenSize * 2).fill(Number.NaN) }),
				InvalidTensorError,
			],
			[
				"infinity",
				(stream) => frame(stream, { values: new Float32Array(hiddenSize * 2).fill(1e30), dtype: "f16" }),
				InvalidTensorError,
			],
			["another width than the model's", (stream) => frame(stream, { columns: 7 }), InvalidTensorError],
			["less than its header says", (stream) => frame(stream).subarray(0, -2), InvalidTensorError],
			["a position ahead", (stream) => frame(stream, { position: 5 }), RouteViolationError],
			["a rollback of what never was", (stream) => frame(stream, { rollback: 3 }), RouteViolationError],
			["a generation ahead", (stream) => frame(stream, { generation: 1 }), RouteViolationError],
			["a frame again", (stream) => [frame(stream), frame(stream)], RouteViolationError],
			["empty messages without end", () => new Array(20_000).fill(new Uint8Array(0)), ProtocolViolationError],
			["another stream's frame", () => frame(streamId()), RouteViolationError],
			[
				"a token to a stage that is not the first",
				(stream) =>
					encodeFrame({
						kind: "tokens",
						stream,
						generation: 0,
						position: 0,
						rollback: 0,
						chain: FIRST_LINK,
						tokens: [5],
					}),
				RouteViolationError,
			],
			[
				"more drafts than a lap verifies",
				(stream) =>
					frame(stream, {
						values: new Float32Array(hiddenSize * 18).fill(0.5),
						links: new Array(17).fill(FIRST_LINK),
					}),
				MalformedMessageError,
			],
			[
				"other links than it has drafts",
				(stream) => frame(stream, { links: [FIRST_LINK, FIRST_LINK] }),
				MalformedMessageError,
			],
			["garbage", () => new Uint8Array(100).fill(7), TabmeshError],
		])("%s, and nobody else's", async (_what, bad, ErrorClass) => {
			await newStranger();
			const running = generate(swarm.ask(honest, prompt, { maxTokens: 100 }));
			const { stream, control, ring } = await openStream();
			const sent = untilError(control);
			for (const message of [bad(stream)].flat()) {
				const { promise: over, resolve } = Promise.withResolvers<void>();
				sent.then(() => resolve(), resolve);
				await Promise.race([ring.send(message).catch(() => {}), over]);
			}
			expect(await sent).toBeInstanceOf(ErrorClass);
			expect(victim.peer.score(stranger.peer.id)).toBeLessThan(0);
			expect((await running.summary).tokens).toEqual(expected);
			await allFreed();
		});
	});

	describe("lives with what may happen to honest peers", () => {
		beforeAll(newStranger, 60_000);

		it("drops frames of an older generation without a word", async () => {
			const { stream, control, ring } = await openStream(3);
			await ring.send(frame(stream, { generation: 2, position: 77 }));
			await ring.send(frame(stream, { generation: 3 }));
			const token = await next(control);
			expect(token).toMatchObject({ type: "tokens", position: 2 });
			expect(victim.peer.score(stranger.peer.id)).toBe(0);
			await control.send(encodeCbor({ type: "close" }));
			await allFreed();
		});

		it("drops no more of them than may be on their way", async () => {
			const { stream, control, ring } = await openStream(3);
			const error = untilError(control);
			for (let i = 0; i < 100; i++) await ring.send(frame(stream, { generation: 2 })).catch(() => {});
			expect(await error).toBeInstanceOf(RouteViolationError);
			expect(victim.peer.score(stranger.peer.id)).toBeLessThan(0);
			await allFreed();
			await newStranger();
		});

		it("holds a link that comes before the stream it is for", async () => {
			const stream = streamId();
			const ring = await openRing(stream);
			const control = await openWith(await routeOf({ stream }));
			const { value } = await ring[Symbol.asyncIterator]().next();
			expect(decodeCbor(ringAcceptSchema, value, 100)).toEqual({ position: 0 });
			expect((await next(control)).type).toBe("ready");
			await control.close();
			await allFreed();
		});

		it("goes back over drafts that were rejected, and computes the same from there", async () => {
			const { stream, control, ring } = await openStream();
			const values = (seed: number, rows: number) =>
				Float32Array.from({ length: hiddenSize * rows }, (_, i) => Math.sin(i * seed));
			await ring.send(frame(stream, { values: values(1, 2) }));
			const first = await nextTokens(control);
			// The row behind the newest token is a draft that nothing samples.
			const drafted = new Uint8Array(8).fill(9);
			await ring.send(
				frame(stream, { position: 2, values: values(2, 2), chain: drafted, links: [first.chain] }),
			);
			const second = await nextTokens(control);
			expect(second).toMatchObject({ position: 3, drafted: 1 });
			expect(second.tokens).toHaveLength(1);
			const behind = { position: 3, values: values(3, 1), chain: second.chain };
			await ring.send(frame(stream, { ...behind, rollback: 1 }));
			const third = await nextTokens(control);
			expect(third).toMatchObject({ position: 4, drafted: 0 });
			await control.close();

			const plain = await openStream();
			await plain.ring.send(frame(plain.stream, { values: values(1, 2) }));
			expect(await nextTokens(plain.control)).toEqual(first);
			const alone = values(2, 2).slice(0, hiddenSize);
			await plain.ring.send(frame(plain.stream, { position: 2, values: alone, chain: first.chain }));
			expect(await nextTokens(plain.control)).toEqual({ ...second, drafted: 0 });
			await plain.ring.send(frame(plain.stream, behind));
			expect(await nextTokens(plain.control)).toEqual(third);
			await plain.control.close();
			await allFreed();
		});

		it("takes empty messages for what they are: they keep a line awake", async () => {
			const { stream, control, ring } = await openStream();
			await ring.send(new Uint8Array(0));
			await ring.send(frame(stream));
			expect((await next(control)).type).toBe("tokens");
			await control.close();
			await allFreed();
		});

		it("keeps a stream whose asker is gone for its lease, and frees it then", async () => {
			await openStream();
			const gone = performance.now();
			await stranger.peer.stop();
			await allFreed();
			expect(performance.now() - gone).toBeGreaterThan(250);
			expect(victim.server.historyBytes).toBe(0);
		});
	});

	describe("turns links away", () => {
		beforeAll(newStranger, 60_000);

		it("for streams that nobody opened", async () => {
			const impatient = await swarm.lender(2, 4, { ringHoldMs: 200 });
			swarm.lenders.splice(-1);
			const ring = await stranger.peer.open(impatient.peer.id, ringProtocol);
			await ring.send(encodeCbor({ stream: streamId(), generation: 0 }));
			// The reset may overtake the words.
			await expect(ring[Symbol.asyncIterator]().next()).rejects.toThrow(TabmeshError);
		});

		it("from peers that are not the predecessor, whose stream goes on", async () => {
			const { stream, control, ring } = await openStream();
			const intruder = await swarm.peer();
			const link = await intruder.peer.open(victim.peer.id, ringProtocol);
			await link.send(encodeCbor({ stream, generation: 0 }));
			await expect(link[Symbol.asyncIterator]().next()).rejects.toThrow(TabmeshError);
			expect(victim.peer.score(intruder.peer.id)).toBeLessThan(0);
			await ring.send(frame(stream));
			expect((await next(control)).type).toBe("tokens");
			await control.close();
			await allFreed();
		});
	});

	it("answers pings at once, and ends a stream whose asker sends what no schema allows", async () => {
		await newStranger();
		const { control } = await openStream();
		await control.send(encodeCbor({ type: "ping", nonce: 7 }));
		expect(await next(control)).toEqual({ type: "pong", nonce: 7, received: 0, computed: 0 });
		await control.send(new Uint8Array([0xff]));
		expect((await untilError(control)).code).toBe("MalformedMessage");
		await allFreed();
	});

	it("ends the stream of an asker who pings without end, and holds it against him", async () => {
		await newStranger();
		const { control } = await openStream();
		const error = untilError(control);
		const ping = encodeCbor({ type: "ping", nonce: 7 });
		for (let i = 0; i < 20_000; i++) await control.send(ping).catch(() => {});
		expect(await error).toBeInstanceOf(ProtocolViolationError);
		expect(victim.peer.score(stranger.peer.id)).toBeLessThan(0);
		await allFreed();
	});
});

describe("an asker among strangers", () => {
	let model: TestModel;
	let swarm: TestSwarm;
	let asker: TestPeer;
	let liar: TestPeer;

	beforeAll(async () => {
		model = await testModel({ layers: 4, context: 512 });
		swarm = await TestSwarm.start(model);
		await swarm.lender(0, 2);
		asker = await swarm.peer();
	}, 60_000);
	afterAll(() => swarm?.stop());

	/** A last stage that computes nothing; `say` decides what it tells. */
	const lie = async (
		say: (
			control: MessageStream,
			turn: { position: number; chain: Uint8Array; send(...tokens: number[]): Promise<void> },
		) => Promise<void>,
		{ ready = 0, accepts = 0, pong }: { ready?: number; accepts?: number; pong?: [number, number] } = {},
	) => {
		liar = await swarm.peer();
		let control: MessageStream | undefined;
		let successor: Promise<MessageStream> | undefined;
		liar.peer.serve(stageProtocol, async (stream) => {
			for await (const message of stream) {
				const request = decodeCbor(stageRequestSchema, message, limits.controlBytes);
				if (request.type === "ping" && pong) {
					const [received, computed] = pong;
					await stream.send(encodeCbor({ type: "pong", nonce: request.nonce, received, computed }));
				}
				if (request.type !== "open") continue;
				control = stream;
				const { route } = await openRoute(request.route, {
					remote: stream.remote,
					self: liar.peer.id,
					room: "public",
				});
				successor = (async () => {
					const ring = await liar.peer.open(route.hops[0]!.peer, ringProtocol);
					await ring.send(encodeCbor({ stream: route.stream, generation: 0 }));
					await ring[Symbol.asyncIterator]().next();
					return ring;
				})();
				await successor;
				await stream.send(
					encodeCbor({
						type: "ready",
						numericsClass: "lie",
						generation: 0,
						position: ready,
					} satisfies StageResponse),
				);
			}
		});
		liar.peer.serve(ringProtocol, async (ring) => {
			const iterator = ring[Symbol.asyncIterator]();
			await iterator.next();
			await ring.send(encodeCbor({ position: accepts }));
			for (;;) {
				const { value, done } = await iterator.next();
				if (done) return;
				if (value.byteLength === 0) continue;
				const got = decodeFrame(value);
				if (got.kind !== "hidden" || !got.last) continue;
				const position = got.position + got.header[1];
				await say(control!, {
					position,
					chain: got.chain,
					send: async (...tokens) => {
						const { stream, generation } = got;
						const chain = tokens.reduce(
							(link, token, i) => nextLink(link, position + i, token),
							got.chain as Uint8Array,
						);
						await (await successor!).send(
							encodeFrame({
								kind: "tokens",
								stream,
								generation,
								position,
								rollback: got.links.length,
								chain,
								tokens,
							}),
						);
					},
				});
			}
		});
		const span = spanOf(2, 4, 4);
		return generate({
			...swarm.ask(asker, prompt, { maxTokens: 100, patienceMs: 0 }),
			directory: new FixtureDirectory([swarm.lenders[0]!.member, swarm.memberOf(liar.peer.id, span)]),
		});
	};

	it("catches a last stage that tells the first stage other tokens than it tells us", async () => {
		let told: Uint8Array<ArrayBuffer> | undefined;
		const generation = await lie(async (control, { position, chain, send }) => {
			await send(300 + (position % 7));
			const token = 400;
			told = nextLink(told ?? chain, position, token);
			await control.send(
				encodeCbor({
					type: "tokens",
					position,
					tokens: [token],
					chain: told,
					drafted: 0,
				} satisfies StageResponse),
			);
		});
		await expect(generation.summary).rejects.toThrow(TokenChainError);
		await expect(generation.summary).rejects.toMatchObject({ details: { peer: liar.peer.id } });
		expect(asker.peer.score(liar.peer.id)).toBeLessThan(0);
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);

	it.each([
		["has computed more than came in", [prompt.length, prompt.length + 1]],
		["has more than the stream will ever have", [10_000, 0]],
	] as const)(
		"loses a stage that claims that it %s",
		async (_what, pong) => {
			const generation = await lie(async () => {}, { pong: [...pong] });
			await expect(generation.summary).rejects.toMatchObject({
				code: "ProtocolViolation",
				details: { peer: liar.peer.id },
			});
			expect(asker.peer.score(liar.peer.id)).toBeLessThan(0);
			await until(() => swarm.lenders[0]!.server.streams === 0);
		},
		60_000,
	);

	it("loses a stage that floods its asker", async () => {
		const generation = await lie(async (control, { chain }) => {
			const progress = encodeCbor({ type: "progress", position: 0, chain: chain.fill(0), msPerToken: 1 });
			for (let i = 0; i < 20_000; i++) await control.send(progress).catch(() => {});
		});
		await expect(generation.summary).rejects.toMatchObject({
			code: "ProtocolViolation",
			details: { peer: liar.peer.id },
		});
		expect(asker.peer.score(liar.peer.id)).toBeLessThan(0);
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);

	it("notices a stage that falls silent", async () => {
		const generation = await lie(async () => {});
		await expect(generation.summary).rejects.toThrow(StageLostError);
		await expect(generation.summary).rejects.toMatchObject({ details: { peer: liar.peer.id } });
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);

	it("refuses a stage that claims to have all of a stream that begins", async () => {
		const generation = await lie(async () => {}, { ready: prompt.length });
		await expect(generation.summary).rejects.toMatchObject({
			code: "ProtocolViolation",
			details: { peer: liar.peer.id },
		});
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);

	it("gives a stage up that takes a link with more positions than the stream will ever have", async () => {
		const generation = await lie(async () => {}, { accepts: 10_000 });
		await expect(generation.summary).rejects.toMatchObject({ details: { peer: liar.peer.id } });
		await until(() => swarm.lenders[0]!.server.streams === 0);
		expect(swarm.lenders[0]!.peer.score(liar.peer.id)).toBeLessThan(0);
	}, 60_000);

	it.each([
		["drafts accepted that nobody sent", [300, 301], "ProtocolViolation"],
		["a token outside the vocabulary", [512], "InvalidParameter"],
	])(
		"loses a last stage that tells the first stage of %s",
		async (_what, tokens, code) => {
			const generation = await lie(async (_control, { send }) => send(...tokens));
			await expect(generation.summary).rejects.toMatchObject({ code, details: { peer: liar.peer.id } });
			expect(swarm.lenders[0]!.peer.score(liar.peer.id)).toBeLessThan(0);
			await until(() => swarm.lenders[0]!.server.streams === 0);
		},
		60_000,
	);

	it("refuses more tokens than were drafted", async () => {
		const generation = await lie(async (control, { position, chain }) => {
			const tokens = [300, 301];
			const told = tokens.reduce((link, token, i) => nextLink(link, position + i, token), chain);
			const message: StageResponse = {
				type: "tokens",
				position,
				tokens,
				drafted: 0,
				chain: told as Uint8Array<ArrayBuffer>,
			};
			await control.send(encodeCbor(message));
		});
		await expect(generation.summary).rejects.toThrow(ProtocolViolationError);
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);

	it("refuses tokens that are not due", async () => {
		const generation = await lie(async (control, { position, chain }) => {
			const token = 300;
			const message: StageResponse = {
				type: "tokens",
				position: position + 1,
				tokens: [token],
				drafted: 0,
				chain: nextLink(chain, position + 1, token),
			};
			await control.send(encodeCbor(message));
		});
		await expect(generation.summary).rejects.toMatchObject({ code: "ProtocolViolation" });
		await until(() => swarm.lenders[0]!.server.streams === 0);
	}, 60_000);
});

describe("bytes from strangers", () => {
	it("become a route that holds, or a typed error", async () => {
		const identity = await createIdentity();
		const route = await sealRoute(createEnvelopeSigner(identity), {
			stream: streamId(),
			generation: 0,
			room: "public",
			model: `b${"a".repeat(58)}`,
			hops: [{ peer: identity.peer, span: spanOf(0, 2, 2) }],
			expires: Date.now() + 1e6,
		});
		const options = { remote: identity.peer, self: identity.peer, room: "public" };
		expect((await openRoute(route, options)).place).toBe(0);
		const mutated = fc
			.array(fc.tuple(fc.nat(route.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
			.map((changes) => {
				const bytes = route.slice();
				for (const [at, value] of changes) bytes[at] = value;
				return bytes;
			});
		await fc.assert(
			fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated), async (bytes) => {
				try {
					await openRoute(bytes, options);
					// Only the mutation that changes nothing.
					expect(bytes).toEqual(route);
				} catch (error) {
					expect(error).toBeInstanceOf(TabmeshError);
				}
			}),
			{ numRuns: fuzzRuns },
		);
	});
});
