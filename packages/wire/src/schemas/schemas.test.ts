import fc from "fast-check";
import type * as v from "valibot";
import { expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../cbor.ts";
import * as errors from "../errors/index.ts";
import { MalformedMessageError, TabmeshError, UnsupportedVersionError } from "../errors/index.ts";
import { fromWireError, toWireError, wireErrorSchema } from "../errors/remote.ts";
import { encodeTensor } from "../tensor.ts";
import { announcementSchema } from "./announcement.ts";
import { capabilitySchema } from "./capability.ts";
import { signedDelegationSchema, signedRevocationSchema } from "./delegation.ts";
import { envelopeSchema } from "./envelope.ts";
import { decodeFrame, encodeFrame, type RingFrame } from "./frame.ts";
import { gateSchema } from "./gate.ts";
import { helloSchema, negotiate } from "./hello.ts";
import { manifestSchema, originSchema } from "./manifest.ts";
import { routeSchema } from "./route.ts";
import { prekeySchema, sealedSchema } from "./sealed.ts";
import { ringAcceptSchema, ringOpenSchema, stageRequestSchema, stageResponseSchema } from "./stage.ts";
import { walletRecordSchema } from "./walletRecord.ts";

const runs = Number(process.env.FUZZ_RUNS ?? 10_000);
const model = `bafy${"a".repeat(55)}`;
const peer = (n: number) => `12D3KooW${"123456789ABCDEFGHJKLMNPQRSTUVWXYZ"[n]!.repeat(44)}`;
const span = (from: number, to: number, embed = false, head = false) => ({ from, to, embed, head });
const zeros = (length: number) => new Uint8Array(length);

/** One valid message of every schema that crosses the network. */
const examples: Record<string, [v.GenericSchema, unknown]> = {
	delegation: [
		signedDelegationSchema,
		{
			delegation: {
				wallet: zeros(20),
				peer: zeros(32),
				scopes: ["ask", "lend"],
				chainId: 31337,
				notBefore: 1_700_000_000,
				expiry: 1_700_100_000,
				nonce: zeros(32),
			},
			contract: false,
			signature: zeros(65),
		},
	],
	revocation: [
		signedRevocationSchema,
		{
			revocation: { wallet: zeros(20), chainId: 1, nonce: zeros(32) },
			contract: true,
			signature: zeros(100),
		},
	],
	capability: [
		capabilitySchema,
		[
			1,
			"family",
			[
				[["ask", "lend"], null, 1_700_000_000_000, zeros(32), zeros(64)],
				[null, 1, null, zeros(32), zeros(64)],
			],
			null,
		],
	],
	prekey: [prekeySchema, { key: zeros(32), expires: 1_700_000_000_000 }],
	sealed: [sealedSchema, [zeros(32), zeros(32), zeros(40)]],
	walletRecord: [
		walletRecordSchema,
		{
			version: 1,
			address: zeros(20),
			guard: { by: "passphrase", n: 131_072, r: 8, p: 1, salt: zeros(16) },
			iv: zeros(12),
			box: zeros(90),
		},
	],
	announcement: [
		announcementSchema,
		{
			rooms: ["public"],
			majors: [1, 1],
			kind: "page",
			joined: 1_700_000_000_000,
			lends: {
				numericsClass: "ort1.30/wasm/x64/f32/f32",
				memoryBytes: 1e9,
				freeBytes: 5e8,
				bytesPerMs: 1e6,
				models: [model],
				spans: [{ model, ...span(0, 3, true), ready: true, msPerToken: 1.5 }],
				streams: 0,
				links: [[peer(2), 35, false]],
			},
		},
	],
	envelope: [envelopeSchema, ["route", zeros(32), 1, 2, zeros(3), zeros(64)]],
	gate: [
		gateSchema,
		{
			model,
			positions: 400,
			formats: [
				{ weights: "f32", agreed: 400 },
				{ weights: "q8", agreed: 397 },
			],
			largestResidual: 187.25,
		},
	],
	hello: [helloSchema, { majors: [1, 1], minor: 0, features: [], agent: "tabmesh/0.1" }],
	route: [
		routeSchema,
		{
			stream: zeros(16),
			generation: 0,
			room: "public",
			model,
			hops: [
				{ peer: peer(1), span: span(0, 3, true) },
				{ peer: peer(2), span: span(3, 6, false, true) },
			],
			expires: 1_700_000_000_000,
		},
	],
	open: [
		stageRequestSchema,
		{
			type: "open",
			route: zeros(10),
			maxPositions: 256,
			generation: {
				sampling: { temperature: 0.8, topK: 40, topP: 0.95, minP: 0, repetitionPenalty: 1.1, seed: 7 },
				maxTokens: 64,
				stopTokens: [2],
			},
		},
	],
	"open with all that was added": [
		stageRequestSchema,
		{
			type: "open",
			route: zeros(10),
			maxPositions: 256,
			apart: zeros(16),
			generation: {
				sampling: {
					temperature: 0.8,
					topK: 40,
					topP: 0.95,
					minP: 0,
					repetitionPenalty: 1.1,
					seed: 7,
					presencePenalty: 0.5,
					frequencyPenalty: -1.5,
					logitBias: [[17, -100]],
				},
				maxTokens: 64,
				stopTokens: [2],
				written: [17],
				logprobs: 20,
			},
		},
	],
	"open for a mean": [
		stageRequestSchema,
		{ type: "open", route: zeros(10), maxPositions: 256, embed: { from: 1 } },
	],
	prompt: [stageRequestSchema, { type: "prompt", position: 0, tokens: [1, 2, 3], last: true }],
	ping: [stageRequestSchema, { type: "ping", nonce: 1 }],
	tokens: [
		stageResponseSchema,
		{ type: "tokens", position: 3, tokens: [17, 4], chain: zeros(8), drafted: 3, finish: "stop" },
	],
	"tokens with probabilities": [
		stageResponseSchema,
		{
			type: "tokens",
			position: 3,
			tokens: [17],
			chain: zeros(8),
			drafted: 0,
			logprobs: [{ logprob: -0.25, top: [[17, -0.25]] }],
		},
	],
	embedding: [stageResponseSchema, { type: "embedding", position: 3, chain: zeros(8), mean: zeros(64) }],
	progress: [stageResponseSchema, { type: "progress", position: 3, chain: zeros(8), msPerToken: 1.25 }],
	error: [stageResponseSchema, { type: "error", error: toWireError(new MalformedMessageError("x")) }],
	reroute: [stageRequestSchema, { type: "reroute", route: zeros(10), keep: 12 }],
	ready: [stageResponseSchema, { type: "ready", numericsClass: "ort1/cpu", generation: 1, position: 12 }],
	broken: [
		stageResponseSchema,
		{ type: "broken", generation: 1, peer: peer(1), error: toWireError(new MalformedMessageError("x")) },
	],
	pong: [stageResponseSchema, { type: "pong", nonce: 1, received: 13, computed: 12 }],
	ringOpen: [ringOpenSchema, { stream: zeros(16), generation: 1 }],
	ringAccept: [ringAcceptSchema, { position: 12 }],
	manifest: [
		manifestSchema,
		{
			format: "tabmesh-model/1",
			config: {
				architecture: "llama",
				layers: 1,
				hiddenSize: 8,
				feedForwardSize: 16,
				heads: 2,
				keyValueHeads: 1,
				headSize: 4,
				vocabularySize: 32,
				contextLength: 64,
				normEpsilon: 1e-5,
				rope: { layout: "interleaved", theta: 10_000 },
				tiedHead: true,
			},
			boundary: "f16",
			tokenizer: { bos: 1, eos: [2] },
			tensors: [
				{ name: "model.embed_tokens.weight", type: "F32", shape: [32, 8], bytes: 1024, chunks: [zeros(32)] },
			],
			parts: ["embed", "layer.0", "head"].map((name) => ({ name, tensors: ["model.embed_tokens.weight"] })),
		},
	],
	origin: [
		originSchema,
		{ model, baseUrl: "https://example.org/", files: ["model.bin"], ranges: [[[0, 28, 1024]]] },
	],
};

for (const [name, [schema, value]] of Object.entries(examples)) {
	test(`a valid ${name} passes its schema, and nothing foreign rides along`, () => {
		expect(decodeCbor(schema, encodeCbor(value), 1 << 20)).toEqual(value);
		if (!Array.isArray(value)) {
			expect(() => decodeCbor(schema, encodeCbor({ ...(value as object), zzz: 1 }), 1 << 20)).toThrow(
				MalformedMessageError,
			);
		}
	});

	test(`a ${name} with bytes changed, cut or added is refused or still valid, never a crash`, () => {
		const bytes = encodeCbor(value);
		fc.assert(
			fc.property(
				fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), {
					minLength: 1,
					maxLength: 4,
				}),
				fc.nat(bytes.length),
				(changes, length) => {
					const mutated = bytes.slice(0, length > bytes.length / 2 ? bytes.length : length);
					for (const [at, to] of changes) if (at < mutated.length) mutated[at] = to;
					try {
						decodeCbor(schema, mutated, 1 << 20);
					} catch (error) {
						expect(error).toBeInstanceOf(MalformedMessageError);
					}
				},
			),
			{ numRuns: runs },
		);
	});
}

test("a route with a gap, an overlap, a peer twice or an embedding in the middle is refused", () => {
	const [schema, route] = examples.route as [v.GenericSchema, Record<string, unknown>];
	const broken = [
		[span(0, 3, true), span(4, 6)],
		[span(0, 3, true), span(2, 6)],
		[span(0, 3), span(3, 6, true)],
		[span(0, 3, true, true), span(3, 6)],
		[span(3, 3), span(3, 6)],
	].map((spans) => spans.map((s, i) => ({ peer: peer(i), span: s })));
	broken.push([span(0, 3, true), span(3, 6)].map((s) => ({ peer: peer(1), span: s })));
	for (const hops of broken) {
		expect(() => decodeCbor(schema, encodeCbor({ ...route, hops }), 1 << 16)).toThrow(MalformedMessageError);
	}
});

const hiddenFrame: RingFrame = {
	kind: "hidden",
	stream: zeros(16),
	generation: 1,
	position: 5,
	rollback: 0,
	chain: zeros(8),
	last: true,
	links: [],
	...encodeTensor({ rows: 2, columns: 4, data: new Float32Array(8).fill(0.5) }, "f16"),
};

const tokens: RingFrame = {
	kind: "tokens",
	stream: zeros(16),
	generation: 1,
	position: 6,
	rollback: 2,
	chain: zeros(8),
	tokens: [31_999, 3],
};

test("frames arrive as they were sent", () => {
	const drafts: RingFrame = { ...hiddenFrame, links: [zeros(8)] };
	for (const frame of [hiddenFrame, drafts, tokens]) expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
});

test("frames with drafts that do not fit their rows, or more than a lap verifies, are refused", () => {
	const links = (count: number) => Array.from({ length: count }, () => zeros(8));
	const many = encodeTensor({ rows: 18, columns: 1, data: new Float32Array(18) }, "f16");
	const bad: RingFrame[] = [
		{ ...hiddenFrame, links: links(2) },
		{ ...hiddenFrame, last: false, links: links(1) },
		{ ...hiddenFrame, ...many, links: links(17) },
		{ ...tokens, tokens: [] },
		{ ...tokens, tokens: new Array<number>(18).fill(1) },
	];
	for (const frame of bad) expect(() => decodeFrame(encodeFrame(frame))).toThrow(MalformedMessageError);
	const most = encodeTensor({ rows: 17, columns: 1, data: new Float32Array(17) }, "f16");
	const fitting: RingFrame = { ...hiddenFrame, ...most, links: links(16) };
	expect(decodeFrame(encodeFrame(fitting))).toEqual(fitting);
});

test("arbitrary and mutated frames are a typed error or a frame, never a crash", () => {
	const good = encodeFrame(hiddenFrame);
	const mutated = fc
		.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 5 })
		.map((changes) => {
			const bytes = good.slice();
			for (const [at, to] of changes) bytes[at] = to;
			return bytes;
		});
	fc.assert(
		fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated), (bytes) => {
			try {
				decodeFrame(bytes);
			} catch (error) {
				expect(error).toBeInstanceOf(TabmeshError);
			}
		}),
		{ numRuns: runs },
	);
});

test("every error class keeps its code, sentence and details across the wire, and its stack at home", () => {
	const codes = new Set<string>();
	for (const ErrorClass of Object.values(errors)) {
		const error = new ErrorClass("It broke.", {
			details: { bytes: 3, where: "here" },
			cause: new Error("secret path"),
		});
		expect(codes.has(error.code)).toBe(false);
		codes.add(error.code);
		const back = fromWireError(decodeCbor(wireErrorSchema, encodeCbor(toWireError(error)), 4096));
		expect(back).toBeInstanceOf(ErrorClass);
		expect([back.shortMessage, back.details]).toEqual(["It broke.", { bytes: 3, where: "here" }]);
		expect(JSON.stringify(toWireError(error))).not.toContain("secret");
	}
	expect(toWireError(new Error("/home/somebody/key")).message).not.toContain("somebody");
});

test("hellos agree on the newest common major, the lower minor and the shared features", () => {
	const hello = (majors: [number, number], minor: number, features: string[] = []) => ({
		majors,
		minor,
		features,
		agent: "t",
	});
	expect(negotiate(hello([1, 2], 3, ["a", "b"]), hello([1, 2], 5, ["b", "c"]))).toEqual({
		major: 2,
		minor: 3,
		features: ["b"],
	});
	expect(negotiate(hello([1, 2], 3), hello([2, 3], 9))).toEqual({ major: 2, minor: 0, features: [] });
	expect(() => negotiate(hello([1, 1], 0), hello([2, 3], 0))).toThrow(UnsupportedVersionError);
});

test("agreement does not depend on who asks", () => {
	const majors = fc
		.tuple(fc.nat(5), fc.nat(5))
		.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as [number, number]);
	const hello = fc.record({
		majors,
		minor: fc.nat(9),
		features: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
		agent: fc.constant("t"),
	});
	fc.assert(
		fc.property(hello, hello, (a, b) => {
			const outcome = (x: typeof a, y: typeof a) => {
				try {
					const { major, minor, features } = negotiate(x, y);
					return { major, minor, features: features.toSorted() };
				} catch {
					return "none";
				}
			};
			expect(outcome(a, b)).toEqual(outcome(b, a));
		}),
	);
});
