import { MalformedMessageError, MessageTooLargeError, TabmeshError } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, FrameDecoder, type FrameHandler, frameKind, longestErrorBytes } from "./framing.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const maxMessageBytes = 1 << 20;

type Frame = ["message", Uint8Array] | ["credit", number] | ["end"] | ["error", Uint8Array];

function collector(frames: Frame[]): FrameHandler {
	return {
		onMessageStart() {},
		onMessage: (message) => frames.push(["message", message]),
		onCredit: (bytes) => frames.push(["credit", bytes]),
		onEnd: () => frames.push(["end"]),
		onError: (body) => frames.push(["error", body]),
	};
}

function encode(frame: Frame): Uint8Array {
	if (frame[0] === "credit") return encodeFrame(frameKind.credit, frame[1]);
	if (frame[0] === "end") return encodeFrame(frameKind.end, 0);
	return encodeFrame(frameKind[frame[0]], frame[1].byteLength, frame[1]);
}

function concat(parts: Uint8Array[]): Uint8Array {
	return new Uint8Array(parts.flatMap((part) => [...part]));
}

const frameArbitrary: fc.Arbitrary<Frame> = fc.oneof(
	fc.uint8Array({ maxLength: 400 }).map((body): Frame => ["message", body]),
	fc.nat({ max: 2 ** 30 }).map((bytes): Frame => ["credit", bytes]),
	fc.constant<Frame>(["end"]),
	fc.uint8Array({ maxLength: 300 }).map((body): Frame => ["error", body]),
);

/** Cuts bytes at the given places, and hands the pieces to a decoder. */
function pushInPieces(decoder: FrameDecoder, bytes: Uint8Array, cuts: readonly number[]): void {
	const places = [...new Set(cuts.map((cut) => cut % (bytes.byteLength + 1)))].sort((a, b) => a - b);
	let from = 0;
	for (const to of [...places, bytes.byteLength]) {
		decoder.push(bytes.subarray(from, to));
		from = to;
	}
}

describe("frames", () => {
	test("come out whole and in order, however their bytes are cut", () => {
		fc.assert(
			fc.property(fc.array(frameArbitrary, { maxLength: 20 }), fc.array(fc.nat()), (frames, cuts) => {
				const found: Frame[] = [];
				pushInPieces(new FrameDecoder(collector(found), maxMessageBytes), concat(frames.map(encode)), cuts);
				expect(found).toEqual(frames);
			}),
			{ numRuns: 1000 },
		);
	});

	test("longer than what is set aside at first come out whole, too", () => {
		const message = new Uint8Array(maxMessageBytes).map((_, i) => i * 7);
		const found: Frame[] = [];
		const bytes = encodeFrame(frameKind.message, message.byteLength, message);
		const cuts = Array.from({ length: 300 }, (_, i) => i * 4093);
		pushInPieces(new FrameDecoder(collector(found), maxMessageBytes), bytes, cuts);
		expect(found).toHaveLength(1);
		expect(Buffer.compare(found[0]![1] as Uint8Array, message)).toBe(0);
	});

	test("give every message a buffer of its own, so that one can be transferred without the others", () => {
		const found: Frame[] = [];
		const decoder = new FrameDecoder(collector(found), maxMessageBytes);
		decoder.push(concat([encode(["message", new Uint8Array(8)]), encode(["message", new Uint8Array(9)])]));
		const [first, second] = found.map(([, body]) => body as Uint8Array);
		expect(first!.buffer.byteLength).toBe(8);
		expect(second!.buffer.byteLength).toBe(9);
	});

	test("that are too long are refused when they are announced", () => {
		const push = (kind: number, length: number) =>
			new FrameDecoder(collector([]), maxMessageBytes).push(encodeFrame(kind, length));
		push(frameKind.message, maxMessageBytes);
		expect(() => push(frameKind.message, maxMessageBytes + 1)).toThrow(MessageTooLargeError);
		expect(() => push(frameKind.error, longestErrorBytes + 1)).toThrow(MessageTooLargeError);
	});

	test("whose header does not end, or is not the shortest, are refused", () => {
		const push = (...bytes: number[]) =>
			new FrameDecoder(collector([]), maxMessageBytes).push(new Uint8Array(bytes));
		expect(() => push(0x80, 0x80, 0x80, 0x80, 0x80)).toThrow(MalformedMessageError);
		expect(() => push(0x80, 0x00)).toThrow(MalformedMessageError);
		expect(() => push(0x06)).toThrow(MalformedMessageError);
	});

	test("made of garbage are refused with a typed error or are frames; nothing else happens", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 256 }), fc.array(fc.nat(), { maxLength: 4 }), (bytes, cuts) => {
				const found: Frame[] = [];
				try {
					pushInPieces(new FrameDecoder(collector(found), 64), bytes, cuts);
				} catch (error) {
					expect(error).toBeInstanceOf(TabmeshError);
				}
				for (const [kind, body] of found) {
					if (kind === "message") expect((body as Uint8Array).byteLength).toBeLessThanOrEqual(64);
				}
			}),
			{ numRuns: fuzzRuns },
		);
	});
});
