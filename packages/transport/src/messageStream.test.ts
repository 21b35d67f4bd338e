import type { Stream } from "@libp2p/interface";
import { streamPair } from "@libp2p/utils";
import {
	FloodError,
	MalformedMessageError,
	MessageTooLargeError,
	ProtocolViolationError,
	StageBusyError,
	StreamResetError,
	TabmeshError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, frameKind } from "./framing.ts";
import { CreditedStream, windowOf } from "./messageStream.ts";
import type { Offence, StreamProtocol } from "./peer.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const protocol: StreamProtocol = {
	id: "/tabmesh/test/1",
	maxMessageBytes: 8 * 1024,
	windowBytes: 32 * 1024,
};

interface End {
	stream: CreditedStream;
	offences: Offence[];
}

function wrap(stream: Stream, rules = protocol): End {
	const offences: Offence[] = [];
	return {
		offences,
		stream: new CreditedStream({
			stream,
			remote: "somebody",
			protocol: rules,
			onOffence: (offence) => offences.push(offence),
			onClosed: () => {},
		}),
	};
}

/** Two ends of one stream. */
async function pair(rules = protocol): Promise<[CreditedStream, CreditedStream]> {
	const [near, far] = await streamPair();
	return [wrap(near, rules).stream, wrap(far, rules).stream];
}

/** One end, and the bare stream of somebody who follows no rules. */
async function hostilePair(): Promise<[End, Stream]> {
	const [near, far] = await streamPair();
	far.addEventListener("message", () => {});
	return [wrap(near), far];
}

async function readAll(stream: CreditedStream): Promise<Uint8Array[]> {
	const messages: Uint8Array[] = [];
	for await (const message of stream) messages.push(message);
	return messages;
}

const pause = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a message stream", () => {
	test("delivers messages whole and in order, both ways at once", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.uint8Array({ maxLength: 8 * 1024 }), { maxLength: 30 }),
				fc.array(fc.uint8Array({ maxLength: 8 * 1024 }), { maxLength: 30 }),
				fc.constantFrom<"latency" | "bulk">("latency", "bulk"),
				async (there, back, carriage) => {
					const [near, far] = await pair({ ...protocol, carriage });
					const speak = async (stream: CreditedStream, messages: Uint8Array[]) => {
						for (const message of messages) await stream.send(message);
						await stream.close();
					};
					const [heardFar, heardNear] = await Promise.all([
						readAll(far),
						readAll(near),
						speak(near, there),
						speak(far, back),
					]);
					expect(heardFar).toEqual(there);
					expect(heardNear).toEqual(back);
					expect(await Promise.all([near.closed, far.closed])).toEqual([undefined, undefined]);
				},
			),
			{ numRuns: 60 },
		);
	});

	test("stops a sender whose receiver does not read, and lets it go on when it does", async () => {
		const [near, far] = await pair();
		let sent = 0;
		const sending = (async () => {
			for (let i = 0; i < 100; i++) {
				await near.send(new Uint8Array(4096));
				sent++;
			}
			await near.close();
		})();
		await pause(100);
		expect(sent).toBeLessThanOrEqual(windowOf(protocol) / 4096);
		expect(sent).toBeGreaterThan(0);
		expect(await readAll(far)).toHaveLength(100);
		await sending;
	});

	test("does not lock up on longest messages one after the other", async () => {
		const [near, far] = await pair({ ...protocol, windowBytes: 1 });
		const sending = (async () => {
			for (let i = 0; i < 20; i++) await near.send(new Uint8Array(protocol.maxMessageBytes));
			await near.close();
		})();
		expect(await readAll(far)).toHaveLength(20);
		await sending;
	});

	test("counts empty messages, too", async () => {
		const [near] = await pair();
		let sent = 0;
		for (let i = 0; i < 5000; i++) void near.send(new Uint8Array(0)).then(() => sent++);
		await pause(100);
		expect(sent).toBeLessThanOrEqual(windowOf(protocol) / 64);
	});

	test("does not send what is too long, and stays open", async () => {
		const [near, far] = await pair();
		await expect(near.send(new Uint8Array(protocol.maxMessageBytes + 1))).rejects.toBeInstanceOf(
			MessageTooLargeError,
		);
		await near.send(new Uint8Array(1));
		await near.close();
		expect(await readAll(far)).toHaveLength(1);
	});

	test("lets a waiting send be cancelled without losing its place or its credit", async () => {
		const [near, far] = await pair();
		const waiting: Promise<void>[] = [];
		for (let i = 0; i < 8; i++) waiting.push(near.send(new Uint8Array(8 * 1024).fill(i)));
		const controller = new AbortController();
		const cancelled = near.send(new Uint8Array(100).fill(99), { signal: controller.signal });
		const after = near.send(new Uint8Array(1).fill(100));
		controller.abort(new Error("changed my mind"));
		await expect(cancelled).rejects.toThrow("changed my mind");
		const closing = near.close();
		const heard = await readAll(far);
		await Promise.all([...waiting, after, closing]);
		expect(heard.map((message) => message[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 100]);
	});

	test("can be read in several loops", async () => {
		const [near, far] = await pair();
		for (const byte of [1, 2, 3]) await near.send(new Uint8Array([byte]));
		await near.close();
		for await (const message of far) {
			expect(message[0]).toBe(1);
			break;
		}
		expect(await readAll(far)).toHaveLength(2);
	});

	test("sends nothing after its close", async () => {
		const [near] = await pair();
		await near.close();
		await near.close();
		await expect(near.send(new Uint8Array(1))).rejects.toBeInstanceOf(StreamResetError);
	});

	test("finishes: what still comes is thrown away, and the sender is not blocked by it", async () => {
		const [near, far] = await pair();
		await far.finish();
		for (let i = 0; i < 50; i++) await near.send(new Uint8Array(4096));
		await near.close();
		expect(await Promise.all([near.closed, far.closed])).toEqual([undefined, undefined]);
	});
});

describe("an abort", () => {
	test("gives the other side its typed error, after the messages before it", async () => {
		const [near, far] = await pair();
		await near.send(new Uint8Array([7]));
		near.abort(new StageBusyError("No memory left.", { details: { freeBytes: 5 } }));
		const heard: number[] = [];
		await expect(
			(async () => {
				for await (const message of far) heard.push(message[0]!);
			})(),
		).rejects.toMatchObject({ code: "StageBusy", details: { freeBytes: 5 } });
		expect(heard).toEqual([7]);
		expect(await far.closed).toBeInstanceOf(StageBusyError);
		await expect(near.send(new Uint8Array(1))).rejects.toBeInstanceOf(StageBusyError);
	});

	test("tells nothing of an error that is not ours", async () => {
		const [near, far] = await pair();
		near.abort(new Error("/home/somebody/secret"));
		const reason = (await far.closed) as TabmeshError;
		expect(reason).toBeInstanceOf(TabmeshError);
		expect(JSON.stringify([reason.message, reason.details])).not.toContain("secret");
	});

	test("ends everything that waits on either side", async () => {
		const [near, far] = await pair();
		const sends: Promise<unknown>[] = [];
		for (let i = 0; i < 20; i++) sends.push(near.send(new Uint8Array(8 * 1024)).catch((error) => error));
		const read = near[Symbol.asyncIterator]().next();
		far.abort(new StageBusyError("busy"));
		await expect(read).rejects.toBeInstanceOf(StageBusyError);
		expect((await Promise.all(sends)).at(-1)).toBeInstanceOf(StageBusyError);
	});
});

describe("somebody who follows no rules", () => {
	const frame = (kind: number, length: number, body?: Uint8Array) => encodeFrame(kind, length, body);

	test("and sends beyond its credit is cut off and reported for flooding", async () => {
		const [{ stream, offences }, far] = await hostilePair();
		const message = frame(frameKind.message, 8192, new Uint8Array(8192));
		for (let i = 0; i < 10 && far.status === "open"; i++) far.send(message.slice());
		expect(await stream.closed).toBeInstanceOf(FloodError);
		expect(offences).toEqual(["flood"]);
	});

	test("and grants credit that was never used is cut off", async () => {
		const [{ stream, offences }, far] = await hostilePair();
		far.send(frame(frameKind.credit, 1));
		expect(await stream.closed).toBeInstanceOf(ProtocolViolationError);
		expect(offences).toEqual(["violation"]);
	});

	test("and speaks on after the end is cut off", async () => {
		for (const late of [frame(frameKind.end, 0), frame(frameKind.message, 0)]) {
			const [{ stream, offences }, far] = await hostilePair();
			far.send(frame(frameKind.end, 0));
			far.send(late);
			expect(await stream.closed).toBeInstanceOf(ProtocolViolationError);
			expect(offences).toEqual(["violation"]);
		}
	});

	test("and announces a message that is too long is cut off before it is sent", async () => {
		const [{ stream, offences }, far] = await hostilePair();
		far.send(frame(frameKind.message, protocol.maxMessageBytes + 1));
		expect(await stream.closed).toBeInstanceOf(MessageTooLargeError);
		expect(offences).toEqual(["malformed"]);
	});

	test("and gives up with an error that cannot be read is reported", async () => {
		const [{ stream, offences }, far] = await hostilePair();
		far.send(frame(frameKind.error, 3, new Uint8Array([1, 2, 3])));
		expect(await stream.closed).toBeInstanceOf(MalformedMessageError);
		expect(offences).toEqual(["malformed"]);
	});

	test("and hangs up in the middle of a message leaves a StreamResetError, and no offence", async () => {
		const [{ stream, offences }, far] = await hostilePair();
		far.send(frame(frameKind.message, 100, new Uint8Array(50)));
		await far.close();
		expect(await stream.closed).toBeInstanceOf(StreamResetError);
		expect(offences).toEqual([]);
	});

	test("and sends garbage does no harm beyond its own stream", async () => {
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
				const [{ stream }, far] = await hostilePair();
				far.send(bytes);
				await pause(2);
				stream.abort(new Error("done"));
				const reason = await stream.closed;
				expect(reason).toBeInstanceOf(Error);
			}),
			{ numRuns: Math.min(300, fuzzRuns) },
		);
	});
});
