import {
	type EnvelopeDomain,
	EnvelopeTimeError,
	encodeCbor,
	InvalidSignatureError,
	limits,
	MalformedMessageError,
	MessageTooLargeError,
	ProtocolViolationError,
	ReplayedEnvelopeError,
	TabmeshError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEnvelopeSigner, createEnvelopeVerifier, createIdentity } from "./index.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const payload = new TextEncoder().encode("what the author says");
const identity = await createIdentity();
const other = await createIdentity();

describe("an envelope", () => {
	test("opens to its author, time and payload, whatever the payload and domain", async () => {
		const signer = createEnvelopeSigner(identity);
		const verifier = createEnvelopeVerifier();
		const domains = fc.constantFrom<EnvelopeDomain>("route", "receipt", "origin", "gate");
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ maxLength: 8192 }), domains, async (said, domain) => {
				const opened = await verifier.open(await signer.seal(domain, said), domain);
				expect(opened.author).toBe(identity.peer);
				expect(opened.payload).toEqual(said);
				expect(Math.abs(opened.time - Date.now())).toBeLessThan(60_000);
			}),
			{ numRuns: 50 },
		);
	});

	test("with any single bit changed is refused", async () => {
		const bytes = await createEnvelopeSigner(identity).seal("receipt", payload);
		for (let bit = 0; bit < bytes.length * 8; bit += 3) {
			const forged = bytes.slice();
			forged[bit >> 3]! ^= 1 << (bit & 7);
			await expect(createEnvelopeVerifier().open(forged, "receipt")).rejects.toBeInstanceOf(TabmeshError);
		}
	});

	test("of one author under another author's key is refused", async () => {
		const stolen = { ...identity, publicKey: other.publicKey };
		const bytes = await createEnvelopeSigner(stolen).seal("receipt", payload);
		await expect(createEnvelopeVerifier().open(bytes, "receipt")).rejects.toBeInstanceOf(
			InvalidSignatureError,
		);
	});

	test("for one domain is worth nothing in another, and neither is its signature", async () => {
		const bytes = await createEnvelopeSigner(identity).seal("receipt", payload);
		await expect(createEnvelopeVerifier().open(bytes, "route")).rejects.toBeInstanceOf(
			ProtocolViolationError,
		);
		const relabelled = bytes.slice();
		const label = new TextEncoder().encode("receipt");
		expect([...relabelled.subarray(2, 2 + label.length)]).toEqual([...label]);
		const route = encodeCbor("route");
		const moved = new Uint8Array([0x86, ...route, ...relabelled.subarray(2 + label.length)]);
		await expect(createEnvelopeVerifier().open(moved, "route")).rejects.toBeInstanceOf(InvalidSignatureError);
	});

	test("is taken once, and never after a newer one of the same author and domain", async () => {
		const signer = createEnvelopeSigner(identity);
		const verifier = createEnvelopeVerifier();
		const first = await signer.seal("receipt", payload);
		const second = await signer.seal("receipt", payload);
		const elsewhere = await signer.seal("route", payload);
		await verifier.open(second, "receipt");
		await expect(verifier.open(second, "receipt")).rejects.toBeInstanceOf(ReplayedEnvelopeError);
		await expect(verifier.open(first, "receipt")).rejects.toBeInstanceOf(ReplayedEnvelopeError);
		await verifier.open(elsewhere, "route");
	});

	test("that arrives twice at the same moment is taken once", async () => {
		const bytes = await createEnvelopeSigner(identity).seal("receipt", payload);
		const verifier = createEnvelopeVerifier();
		const results = await Promise.allSettled(
			Array.from({ length: 8 }, () => verifier.open(bytes, "receipt")),
		);
		expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
	});

	test("that is too old or from the future is refused with both clocks told", async () => {
		let clock = 1_800_000_000_000;
		const signer = createEnvelopeSigner(identity, { now: () => clock });
		const bytes = await signer.seal("receipt", payload);
		const at = (now: number) =>
			createEnvelopeVerifier({ maxAgeMs: 1000, maxAheadMs: 500, now: () => now }).open(bytes, "receipt");
		await at(clock + 1000);
		await at(clock - 500);
		await expect(at(clock + 1001)).rejects.toBeInstanceOf(EnvelopeTimeError);
		await expect(at(clock - 501)).rejects.toMatchObject({ details: { time: clock, clock: clock - 501 } });
		clock += 1;
	});

	test("longer than the limit is neither made nor read", async () => {
		const long = new Uint8Array(limits.envelopeBytes);
		await expect(createEnvelopeSigner(identity).seal("route", long)).rejects.toBeInstanceOf(
			MessageTooLargeError,
		);
		await expect(
			createEnvelopeVerifier().open(new Uint8Array(limits.envelopeBytes + 1), "route"),
		).rejects.toBeInstanceOf(MessageTooLargeError);
	});
});

describe("sequence numbers", () => {
	test("rise within a burst, across a restart, and when the clock stands still", async () => {
		const clock = 1_800_000_000_000;
		const verifier = createEnvelopeVerifier({ now: () => clock });
		let last = 0;
		const take = async (signer: ReturnType<typeof createEnvelopeSigner>) => {
			const { sequence } = await verifier.open(await signer.seal("receipt", payload), "receipt");
			expect(sequence).toBeGreaterThan(last);
			last = sequence;
		};
		const before = createEnvelopeSigner(identity, { now: () => clock });
		for (let i = 0; i < 20; i++) await take(before);
		const after = createEnvelopeSigner(identity, { now: () => clock + 1 });
		for (let i = 0; i < 20; i++) await take(after);
		expect(Number.isSafeInteger(last)).toBe(true);
	});
});

describe("the memory of a verifier", () => {
	test("is bounded, and what it forgets is still not taken twice", async () => {
		let clock = 1_800_000_000_000;
		const verifier = createEnvelopeVerifier({ capacity: 10, now: () => clock });
		const authors = await Promise.all(Array.from({ length: 40 }, () => createIdentity()));
		const taken: Uint8Array[] = [];
		for (const author of authors) {
			clock += 10;
			const bytes = await createEnvelopeSigner(author, { now: () => clock }).seal("receipt", payload);
			await verifier.open(bytes, "receipt");
			taken.push(bytes);
		}
		for (const bytes of taken) {
			await expect(verifier.open(bytes, "receipt")).rejects.toBeInstanceOf(ReplayedEnvelopeError);
		}
		clock += 10;
		const news = await createEnvelopeSigner(authors[0]!, { now: () => clock }).seal("receipt", payload);
		await verifier.open(news, "receipt");
	});
});

test("envelopes may come in any order where the verifier says so, each once, with a bounded memory", async () => {
	let clock = 1_800_000_000_000;
	const signer = createEnvelopeSigner(identity, { now: () => clock });
	const sent: Uint8Array[] = [];
	for (let i = 0; i < 40; i++) {
		clock += 10;
		sent.push(await signer.seal("receipt", payload));
	}
	const mailbox = createEnvelopeVerifier({ order: "any", now: () => clock });
	for (const bytes of sent.toReversed()) await mailbox.open(bytes, "receipt");
	const small = createEnvelopeVerifier({ order: "any", capacity: 10, now: () => clock });
	for (const bytes of sent) await small.open(bytes, "receipt");
	for (const bytes of sent) {
		await expect(mailbox.open(bytes, "receipt")).rejects.toBeInstanceOf(ReplayedEnvelopeError);
		await expect(small.open(bytes, "receipt")).rejects.toBeInstanceOf(ReplayedEnvelopeError);
	}
});

test("garbage is refused with a typed error and costs no signature check", async () => {
	const verifier = createEnvelopeVerifier();
	const genuine = await createEnvelopeSigner(identity).seal("receipt", payload);
	const cut = fc.nat({ max: genuine.length - 1 }).map((length) => genuine.subarray(0, length));
	const tail = fc
		.uint8Array({ minLength: 1, maxLength: 16 })
		.map((more) => new Uint8Array([...genuine, ...more]));
	await fc.assert(
		fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 512 }), cut, tail), async (bytes) => {
			await expect(verifier.open(bytes, "receipt")).rejects.toBeInstanceOf(MalformedMessageError);
		}),
		{ numRuns: fuzzRuns },
	);
});
