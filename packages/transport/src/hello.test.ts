import { streamPair } from "@libp2p/utils";
import {
	encodeCbor,
	type Hello,
	MalformedMessageError,
	StreamResetError,
	TabmeshError,
	UnsupportedVersionError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Acquaintance, helloProtocol } from "./hello.ts";
import { CreditedStream } from "./messageStream.ts";
import type { Offence } from "./peer.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const ours: Hello = { majors: [1, 1], minor: 3, features: ["a", "b"], agent: "ours/1" };

async function ends(): Promise<{ near: CreditedStream; far: CreditedStream; offences: Offence[] }> {
	const offences: Offence[] = [];
	const [near, far] = (await streamPair()).map(
		(stream) =>
			new CreditedStream({
				stream,
				remote: "somebody",
				protocol: helloProtocol,
				onOffence: (offence) => offences.push(offence),
				onClosed: () => {},
			}),
	);
	return { near: near!, far: far!, offences };
}

describe("two hellos", () => {
	test("agree on what both sides have, and measure their round trip", async () => {
		const { near, far } = await ends();
		const a = new Acquaintance(near, ours);
		const b = new Acquaintance(far, { majors: [1, 2], minor: 9, features: ["b", "c"], agent: "theirs/2" });
		expect(await a.agreement).toEqual({ major: 1, minor: 0, features: ["b"] });
		expect(await b.agreement).toEqual({ major: 1, minor: 0, features: ["b"] });
		const ms = await a.ping(1000);
		expect(ms).toBeGreaterThan(0);
		expect(a.rttMs).toBe(ms);
	});

	test("that share no version end the stream on both sides with an UnsupportedVersionError", async () => {
		const { near, far } = await ends();
		const a = new Acquaintance(near, ours);
		const b = new Acquaintance(far, { ...ours, majors: [7, 8] });
		await expect(a.agreement).rejects.toBeInstanceOf(UnsupportedVersionError);
		await expect(b.agreement).rejects.toBeInstanceOf(UnsupportedVersionError);
		expect(await near.closed).toBeInstanceOf(UnsupportedVersionError);
	});

	test("never come from somebody who leaves, and that is told", async () => {
		const { near, far } = await ends();
		const a = new Acquaintance(near, ours);
		await far.close();
		await expect(a.agreement).rejects.toBeInstanceOf(MalformedMessageError);
	});
});

describe("somebody who has said hello", () => {
	async function met() {
		const { near, far } = await ends();
		const acquaintance = new Acquaintance(near, ours);
		await far.send(encodeCbor(ours));
		await acquaintance.agreement;
		return { acquaintance, near, far };
	}

	test("and then pings without end is cut off", async () => {
		const { near, far } = await met();
		void (async () => {
			for await (const _ of far);
		})().catch(() => {});
		for (let i = 0; i < 200; i++) await far.send(new Uint8Array([0, 0, 0, 0, i])).catch(() => {});
		expect(await near.closed).toMatchObject({ code: "Flood" });
	});

	test("and leaves ends what waits for its answer", async () => {
		const { acquaintance, far } = await met();
		const ping = acquaintance.ping(10_000);
		far.abort(new StreamResetError("gone"));
		await expect(ping).rejects.toBeInstanceOf(TabmeshError);
	});

	test("and does not answer is told apart from one who does", async () => {
		const { acquaintance } = await met();
		await expect(acquaintance.ping(30)).rejects.toMatchObject({ code: "Timeout" });
	});
});

test("garbage in the place of a hello or a ping ends that stream with a typed error", async () => {
	await fc.assert(
		fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 64 }), async (greets, bytes) => {
			fc.pre(!(greets && bytes.byteLength === 5 && bytes[0]! < 2));
			const { near, far } = await ends();
			const acquaintance = new Acquaintance(near, ours);
			acquaintance.agreement.catch(() => {});
			if (greets) await far.send(encodeCbor(ours));
			await far.send(bytes);
			expect(await near.closed).toBeInstanceOf(MalformedMessageError);
		}),
		{ numRuns: Math.min(300, fuzzRuns) },
	);
}, 60_000);
