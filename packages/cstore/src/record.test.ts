import { sha256 } from "@noble/hashes/sha2.js";
import { createIdentity } from "@tabmesh/dauth";
import {
	cstoreRequestSchema,
	cstoreResponseSchema,
	decodeCbor,
	encodeCbor,
	InvalidParameterError,
	InvalidSignatureError,
	KeySpaceError,
	limits,
	MalformedMessageError,
	TabmeshError,
	ValueTooLargeError,
} from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HybridClock, stampOf, timeOf } from "./hybridClock.ts";
import { parseKey, parseOwnKey } from "./keySpace.ts";
import { type Intent, layOut, placeTag, readEnvelope, sealPayload, toRecord } from "./record.ts";
import { decodeValue, encodeValue } from "./value.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const identity = await createIdentity();
const other = await createIdentity();
const tag = placeTag("public");
const stamp = stampOf(1_800_000_000_000);
const intent = (key: string, value: unknown, field?: string): Intent => ({
	place: parseKey(key),
	field,
	value: value === undefined ? undefined : encodeValue(value),
});

async function sealed(writes: readonly Intent[]) {
	const out = layOut(writes);
	return { envelope: await sealPayload(identity, stamp, [tag, out.writes]), values: out.values };
}

describe("a record", () => {
	test("comes back from the wire as it was written, its large values beside it", async () => {
		const large = new Uint8Array(40_000).fill(7);
		const { envelope, values } = await sealed([
			intent("public/small", { a: [1, "two", null] }),
			intent("public/large", large),
			intent(`peer/${identity.peer}/gone`, undefined),
		]);
		expect(envelope.byteLength).toBeLessThan(1000);
		const read = readEnvelope(envelope, tag);
		await read.verify();
		const record = toRecord(read, values, "public");
		expect(record.author).toBe(identity.peer);
		expect(record.writes.map(({ key, value }) => [key, value && decodeValue(value)])).toEqual([
			["public/small", { a: [1, "two", null] }],
			["public/large", large],
			[`peer/${identity.peer}/gone`, undefined],
		]);
	});

	test("of the smallest kind costs 150 bytes on the wire, signature included", async () => {
		const { envelope } = await sealed([intent(`peer/${identity.peer}/a`, 1)]);
		expect(envelope.byteLength).toBeLessThanOrEqual(150);
	});

	test("always fits into an envelope, however long its names and many its values", async () => {
		const name = (i: number) => `public/${String(i).padEnd(limits.cstoreNameLength, "x")}`;
		const full = Array.from({ length: limits.cstoreWrites }, (_, i) =>
			intent(name(i), new Uint8Array(300), "f".repeat(limits.cstoreNameLength)),
		);
		const { envelope, values } = await sealed(full);
		expect(envelope.byteLength).toBeLessThan(limits.envelopeBytes);
		expect(toRecord(readEnvelope(envelope, tag), values, "public").writes).toHaveLength(full.length);
	});

	test("changed in any bit, or under another author's key, is refused", async () => {
		const { envelope } = await sealed([intent("public/k", "v")]);
		for (let bit = 0; bit < envelope.length * 8; bit += 5) {
			const forged = envelope.slice();
			forged[bit >> 3]! ^= 1 << (bit & 7);
			await expect((async () => readEnvelope(forged, tag).verify())()).rejects.toBeInstanceOf(TabmeshError);
		}
		const stolen = await sealPayload({ ...identity, publicKey: other.publicKey }, stamp, [
			tag,
			[[2, "k", encodeValue("v")]],
		]);
		await expect(readEnvelope(stolen, tag).verify()).rejects.toBeInstanceOf(InvalidSignatureError);
	});

	test("of one room is worth nothing in another", async () => {
		const { envelope } = await sealed([intent("public/k", "v")]);
		expect(() => readEnvelope(envelope, placeTag("elsewhere"))).toThrow(/another/);
	});

	test("with other values than were signed, too few or too many, is refused", async () => {
		const { envelope, values } = await sealed([intent("public/large", new Uint8Array(9_000))]);
		const read = readEnvelope(envelope, tag);
		const changed = values[0]!.slice();
		changed[500]! ^= 1;
		for (const wrong of [[], [changed], [...values, values[0]!], [values[0]!.subarray(1)]]) {
			expect(() => toRecord(read, wrong, "public")).toThrow(MalformedMessageError);
		}
	});

	test("that names a key twice, or holds what is no CBOR, is refused", async () => {
		const seal = async (writes: unknown[]) =>
			readEnvelope(await sealPayload(identity, stamp, [tag, writes]), tag);
		const value = encodeValue(1);
		const deep = new Uint8Array(5_000).fill(0x81);
		for (const writes of [
			[
				[2, "k", value],
				[2, "k", null],
			],
			[[2, "k", new Uint8Array([0xff])]],
			[[2, "k", new Uint8Array(0)]],
			[[2, "k", deep]],
		]) {
			const read = await seal(writes);
			expect(() => toRecord(read, [], "public")).toThrow(MalformedMessageError);
		}
		const beside = new Uint8Array(60_000).fill(0x81);
		const read = await seal([[2, "k", [sha256(beside), beside.byteLength]]]);
		expect(() => toRecord(read, [beside], "public")).toThrow(MalformedMessageError);
		// A fourth space, another peer's, cannot even be said.
		await expect(seal([[3, "k", value]])).rejects.toBeInstanceOf(MalformedMessageError);
		await expect(seal([[0, "", value]])).rejects.toBeInstanceOf(MalformedMessageError);
	});
});

describe("keys", () => {
	test("belong to a space, and only one's own can be written", () => {
		expect(parseKey(`peer/${identity.peer}/a/b`)).toEqual({ space: 0, owner: identity.peer, name: "a/b" });
		expect(parseOwnKey(`peer/${identity.peer}/a`, identity.peer, "r").space).toBe(0);
		for (const key of [
			"",
			"public",
			"public/",
			"peer/x/y",
			"room//x",
			"private/x",
			"public/ü",
			"public/a b",
		]) {
			expect(() => parseKey(key), key).toThrow(KeySpaceError);
		}
		expect(() => parseKey(`public/${"x".repeat(129)}`)).toThrow(KeySpaceError);
		expect(() => parseOwnKey(`peer/${other.peer}/a`, identity.peer, "r")).toThrow(KeySpaceError);
		expect(() => parseOwnKey("room/elsewhere/a", identity.peer, "r")).toThrow(KeySpaceError);
		expect(() => parseOwnKey("public/@capability", identity.peer, "r")).toThrow(KeySpaceError);
	});
});

describe("values", () => {
	test("come back as they were, or are refused with what to do instead", () => {
		fc.assert(
			fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
				let bytes: Uint8Array;
				try {
					bytes = encodeValue(value);
				} catch (error) {
					// A key named __proto__, or an integer beyond 2^53.
					expect(error).toBeInstanceOf(InvalidParameterError);
					return;
				}
				expect(decodeValue(bytes)).toEqual(JSON.parse(JSON.stringify(value)));
			}),
			{ numRuns: 500 },
		);
		expect(() => encodeValue(new Uint8Array(65_536))).toThrow(ValueTooLargeError);
		for (const value of [undefined, Number.NaN, () => {}, 10n ** 30n, Symbol("x")]) {
			expect(() => encodeValue(value)).toThrow(InvalidParameterError);
		}
	});
});

test("stamps rise within a burst, after what was seen, and when the clock stands still or goes back", () => {
	let now = 1000;
	const clock = new HybridClock(() => now);
	const first = clock.tick();
	expect(timeOf(first)).toBe(1000);
	expect(clock.tick()).toBeGreaterThan(first);
	clock.observe(stampOf(5000) + 3);
	const after = clock.tick();
	expect(after).toBe(stampOf(5000) + 4);
	now = 10;
	expect(clock.tick()).toBeGreaterThan(after);
	now = 6000;
	expect(clock.tick()).toBe(stampOf(6000));
});

test("garbage from the network is refused with a typed error", async () => {
	const { envelope, values } = await sealed([
		intent("public/k", "v"),
		intent("public/l", new Uint8Array(9_000)),
	]);
	const keep = encodeCbor({ type: "keep", record: [envelope, values] });
	const garbage = fc.oneof(
		fc.uint8Array({ maxLength: 300 }),
		fc.nat({ max: envelope.length - 1 }).map((length) => envelope.subarray(0, length)),
		fc
			.tuple(fc.nat({ max: keep.length - 1 }), fc.integer({ min: 1, max: 255 }))
			.map(([at, change]) => keep.map((byte, i) => (i === at ? byte ^ change : byte))),
		fc
			.tuple(fc.nat({ max: envelope.length - 1 }), fc.integer({ min: 1, max: 255 }))
			.map(([at, change]) => envelope.map((byte, i) => (i === at ? byte ^ change : byte))),
	);
	await fc.assert(
		fc.asyncProperty(garbage, async (bytes) => {
			const attempts = [
				async () => readEnvelope(bytes, tag).verify(),
				async () => {
					const request = decodeCbor(cstoreRequestSchema, bytes, limits.cstoreMessageBytes);
					if (request.type !== "keep") throw new MalformedMessageError("other");
					const read = readEnvelope(request.record[0], tag);
					toRecord(read, request.record[1], "public");
					await read.verify();
				},
				async () => decodeCbor(cstoreResponseSchema, bytes, limits.cstoreMessageBytes),
			];
			for (const attempt of attempts) {
				const error = await attempt().catch((reason) => reason);
				expect(error).toBeInstanceOf(TabmeshError);
			}
		}),
		{ numRuns: fuzzRuns },
	);
});
