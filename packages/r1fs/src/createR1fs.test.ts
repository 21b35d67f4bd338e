import { createCipheriv, createHash } from "node:crypto";
import * as dagPb from "@ipld/dag-pb";
import { createEnvelopeVerifier, createIdentity } from "@tabmesh/dauth";
import { createPrekeys, createSealer, openPrekey } from "@tabmesh/dauth/sealed";
import {
	DecryptionError,
	FileFormatError,
	FileNotFoundError,
	InvalidCidError,
	InvalidParameterError,
	TabmeshError,
} from "@tabmesh/wire";
import { UnixFS } from "ipfs-unixfs";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import { describe, expect, test } from "vitest";
import { createR1fs, openBlockStore, type R1fs } from "./index.ts";

const MiB = 1024 * 1024;

/** The bytes that kubo's tests of IPIP-499 use: the ChaCha20 keystream of the seed's SHA-256. */
function seededBytes(bytes: number, seed: string): Uint8Array {
	const key = createHash("sha256").update(seed).digest();
	return new Uint8Array(createCipheriv("chacha20", key, Buffer.alloc(16)).update(Buffer.alloc(bytes)));
}

/** Compares as memory does: the test runner's own equality takes seconds for megabytes. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
	expect(Buffer.compare(actual, expected)).toBe(0);
}

async function room(): Promise<R1fs> {
	return createR1fs({ store: await openBlockStore() });
}

describe("a CID", () => {
	// From kubo, test/cli/cid_profiles_test.go (profile unixfs-v1-2025).
	test.each([
		[
			"hello world",
			new TextEncoder().encode("hello world"),
			"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
		],
		[
			"exactly one leaf",
			seededBytes(MiB, "chunk-v1-seed"),
			"bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta",
		],
		[
			"one byte more",
			seededBytes(MiB + 1, "chunk-v1-seed"),
			"bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
		],
	])("is the one that kubo computes: %s", async (_, bytes, cid) => {
		const files = await room();
		expect((await files.add(bytes)).cid).toBe(cid);
		expectSame(await files.get(cid).bytes(), bytes);
		expect(await files.get(cid).size()).toBe(bytes.byteLength);
	});

	test("of a file of several leaves is what the specification says, written out by hand", async () => {
		const bytes = seededBytes(3 * MiB + 5, "by hand");
		const varint = (n: number): number[] =>
			n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))];
		const sizes = [MiB, MiB, MiB, 5];
		const links = sizes.flatMap((size, i) => {
			const digest = createHash("sha256")
				.update(bytes.subarray(i * MiB, i * MiB + size))
				.digest();
			const hash = [0x01, 0x55, 0x12, 0x20, ...digest];
			const link = [0x0a, ...varint(hash.length), ...hash, 0x12, 0, 0x18, ...varint(size)];
			return [0x12, ...varint(link.length), ...link];
		});
		const data = [
			0x08,
			2,
			0x18,
			...varint(bytes.length),
			...sizes.flatMap((size) => [0x20, ...varint(size)]),
		];
		const node = new Uint8Array([...links, 0x0a, ...varint(data.length), ...data]);
		const expected = CID.createV1(0x70, await sha256.digest(node)).toString();
		expect((await (await room()).add(bytes)).cid).toBe(expected);
	});

	test("is the same for bytes, a Blob, a stream and any cutting of it", async () => {
		const files = await room();
		const bytes = seededBytes(2 * MiB + 77, "same");
		const { cid } = await files.add(bytes);
		expect((await files.add(new Blob([bytes as Uint8Array<ArrayBuffer>]))).cid).toBe(cid);
		expect((await files.add(new Blob([bytes as Uint8Array<ArrayBuffer>]).stream())).cid).toBe(cid);
		async function* crumbs(): AsyncGenerator<Uint8Array> {
			for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7919) % 65_537) {
				yield bytes.subarray(at, at + step);
			}
		}
		expect((await files.add(crumbs())).cid).toBe(cid);
		expect(await files.list()).toHaveLength(1);
	});

	test("of JSON does not depend on the order of its members, and the value comes back", async () => {
		const files = await room();
		const one = await files.add({ b: [1, 2.5, "ü"], a: null, "\u20ac": true });
		expect((await files.add({ "\u20ac": true, a: null, b: [1, 2.5, "ü"] })).cid).toBe(one.cid);
		expect(await files.get(one.cid).json()).toEqual({ a: null, b: [1, 2.5, "ü"], "\u20ac": true });
		// RFC 8785, section 3.2.3: members sorted by UTF-16 code units.
		const text = new TextDecoder().decode(await files.get(one.cid).bytes());
		expect(text).toBe('{"a":null,"b":[1,2.5,"ü"],"€":true}');
		for (const wrong of [Number.NaN, { a: undefined as never }, "\ud800"]) {
			await expect(files.add(wrong)).rejects.toBeInstanceOf(InvalidParameterError);
		}
	});

	test.each([
		"",
		"hello",
		"bafkrei",
		"../etc/passwd",
		"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e/../x",
		"x".repeat(200),
		// identity hash, and a dag-cbor codec: not ours to read.
		"bafkqaaa",
		"bafyreihdb57fdysx5h35urvxz64ros7zvywshber7id6t6c6fek37jgyfe",
	])("that is none is refused: %s", async (cid) => {
		const files = await room();
		expect(() => files.get(cid)).toThrow(InvalidCidError);
		await expect(files.stat(cid)).rejects.toBeInstanceOf(InvalidCidError);
		await expect(files.pin(cid)).rejects.toBeInstanceOf(InvalidCidError);
	});
});

describe("reading", () => {
	test("gives any range, and the empty file", async () => {
		const files = await room();
		const bytes = seededBytes(3 * MiB + 100, "ranges");
		const { cid } = await files.add(bytes);
		for (const [start, end] of [
			[0, 1],
			[MiB - 1, MiB + 1],
			[MiB, 2 * MiB],
			[5, 3 * MiB + 100],
			[3 * MiB + 99, 9e9],
			[7, 7],
			[9e9, 9e9],
		] as const) {
			expectSame(await files.get(cid, { range: { start, end } }).bytes(), bytes.subarray(start, end));
		}
		const empty = await files.add(new Uint8Array(0));
		expect(empty.cid).toBe("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
		expect(await files.get(empty.cid).bytes()).toHaveLength(0);
	});

	test("says when a file is nowhere, and stops when it is told to", async () => {
		const files = await room();
		await expect(
			files.get("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e").bytes(),
		).rejects.toBeInstanceOf(FileNotFoundError);
		const { cid } = await files.add(seededBytes(4 * MiB, "stop"));
		const stop = new AbortController();
		const reading = files.get(cid, { signal: stop.signal, onProgress: () => stop.abort() });
		await expect(reading.bytes()).rejects.toThrow(/abort/i);
		await expect(files.get(cid).bytes(MiB)).rejects.toBeInstanceOf(InvalidParameterError);
	});

	test("refuses trees that lie about their size, directories, links and bombs", async () => {
		const store = await openBlockStore();
		const files = createR1fs({ store });
		async function put(bytes: Uint8Array, code: number = dagPb.code): Promise<CID> {
			const cid = CID.createV1(code, await sha256.digest(bytes));
			await store.put(cid, bytes);
			return cid;
		}
		async function node(unixfs: UnixFS, children: CID[]): Promise<CID> {
			return put(
				dagPb.encode(
					dagPb.prepare({
						Data: unixfs.marshal(),
						Links: children.map((Hash) => ({ Name: "", Tsize: 1, Hash })),
					}),
				),
			);
		}
		const leaf = await put(new Uint8Array(10), raw.code);
		const claims = (...sizes: (number | bigint)[]): UnixFS => {
			const unixfs = new UnixFS({ type: "file" });
			for (const size of sizes) unixfs.addBlockSize(BigInt(size));
			return unixfs;
		};
		const honest = await node(claims(10), [leaf]);
		expect(await files.get(honest.toString()).bytes()).toHaveLength(10);
		let deep = honest;
		for (let level = 0; level < 12; level++) deep = await node(claims(10), [deep]);
		const wrong = [
			await node(claims(11), [leaf]),
			await node(claims(9), [leaf]),
			await node(claims(2 ** 40), [leaf]),
			await node(claims(2n ** 63n), [honest]),
			await node(claims(0), [leaf]),
			await node(claims(10), [leaf, leaf]),
			await node(claims(10, 11), [honest, honest]),
			await node(new UnixFS({ type: "directory" }), []),
			await node(new UnixFS({ type: "symlink", data: new TextEncoder().encode("/etc/passwd") }), []),
			await put(new Uint8Array([1, 2, 3])),
			await put(dagPb.encode({ Links: [] })),
			deep,
		];
		for (const cid of wrong) {
			await expect(files.get(cid.toString()).bytes(), cid.toString()).rejects.toBeInstanceOf(FileFormatError);
		}
	});
});

describe("an encrypted file", () => {
	test("opens with its link, by any range, and not without", async () => {
		const files = await room();
		const bytes = seededBytes(2 * MiB + 12_345, "secret");
		const { cid, link } = await files.add(bytes, { encrypt: true });
		expectSame(await files.get(link).bytes(), bytes);
		expect(await files.get(link).size()).toBe(bytes.byteLength);
		for (const [start, end] of [
			[0, 10],
			[65_519, 65_521],
			[MiB, MiB + 3],
			[2 * MiB + 12_344, 9e9],
			[70_000, 70_000],
			[9e9, 9e9],
		] as const) {
			expectSame(await files.get(link, { range: { start, end } }).bytes(), bytes.subarray(start, end));
		}
		expect(await files.get(cid).bytes()).not.toEqual(bytes);
		await expect(files.get(cid, { key: new Uint8Array(32) }).bytes()).rejects.toBeInstanceOf(DecryptionError);
		// A key of its own each time, so another CID.
		expect((await files.add(bytes, { encrypt: true })).cid).not.toBe(cid);
		expect((await files.stat(cid))?.encrypted).toBe(true);
	});
});

test("a key that is sealed to a peer opens for that peer and that file only", async () => {
	const [alice, bob, eve] = await Promise.all([createIdentity(), createIdentity(), createIdentity()]);
	const bobsPrekeys = createPrekeys(bob);
	const prekey = await openPrekey(await bobsPrekeys.publish(), createEnvelopeVerifier());
	const store = await openBlockStore();
	const hers = createR1fs({ store, sealer: createSealer(alice) });
	const bytes = seededBytes(100_000, "sealed");
	const { cid, sealedKeys } = await hers.add(bytes, { encrypt: { to: [prekey] } });
	const other = await hers.add(bytes, { encrypt: { to: [prekey] } });
	expect(sealedKeys?.map(({ peer }) => peer)).toEqual([bob.peer]);
	const sealedKey = sealedKeys![0]!.sealed;
	const his = createR1fs({ store, prekeys: bobsPrekeys });
	const evesPrekeys = createPrekeys(eve);
	await evesPrekeys.publish();
	await expect(
		createR1fs({ store, prekeys: evesPrekeys }).get(cid, { sealedKey }).bytes(),
	).rejects.toBeInstanceOf(TabmeshError);
	await expect(his.get(cid, { sealedKey: other.sealedKeys![0]!.sealed }).bytes()).rejects.toBeInstanceOf(
		TabmeshError,
	);
	const reading = his.get(cid, { sealedKey });
	expect(await reading.size()).toBe(bytes.length);
	expectSame(await reading.bytes(), bytes);
	await expect(hers.get(cid, { sealedKey }).bytes()).rejects.toBeInstanceOf(InvalidParameterError);
	bobsPrekeys.close();
	evesPrekeys.close();
});

test("names that are paths or tricks are refused", async () => {
	const files = await room();
	for (const name of [
		"../x",
		"a/b",
		"a\\b",
		"..",
		".",
		"",
		"C:x",
		"nul",
		"COM1.txt",
		"a\u0000b",
		"exe.\u202egpj",
		"x.",
		" x",
		"x".repeat(256),
	]) {
		await expect(files.add(new Uint8Array(1), { name }), name).rejects.toBeInstanceOf(InvalidParameterError);
	}
	await files.add(new Uint8Array(1), { name: "Bericht (1).pdf" });
	expect((await files.list())[0]?.name).toBe("Bericht (1).pdf");
});

test("a failed or cancelled add leaves no file behind", async () => {
	const files = await room();
	async function* breaks(): AsyncGenerator<Uint8Array> {
		yield seededBytes(2 * MiB, "breaks");
		throw new Error("the stream broke");
	}
	await expect(files.add(breaks())).rejects.toThrow("the stream broke");
	const stop = new AbortController();
	await expect(
		files.add(seededBytes(4 * MiB, "cancelled"), { signal: stop.signal, onProgress: () => stop.abort() }),
	).rejects.toThrow(/abort/i);
	expect(await files.list()).toEqual([]);
});
