import { DecryptionError, MalformedMessageError } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	cipherChunkBytes,
	cipherRange,
	decryptFile,
	encryptFile,
	generateFileKey,
	plainChunkBytes,
} from "./fileCipher.ts";
import { formatFileLink, parseFileLink } from "./fileLink.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
	yield bytes;
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
	return Buffer.concat(await Array.fromAsync(pieces));
}

/** What comes out before the failure, and the failure. */
async function opened(key: Uint8Array, ciphertext: Uint8Array): Promise<{ out: Buffer; error: unknown }> {
	const out: Uint8Array[] = [];
	try {
		const options = { cipherBytes: ciphertext.length, firstChunk: 0, expectedBytes: ciphertext.length };
		for await (const piece of decryptFile(key, once(ciphertext), options)) out.push(piece);
	} catch (error) {
		return { out: Buffer.concat(out), error };
	}
	return { out: Buffer.concat(out), error: undefined };
}

describe("an encrypted file", () => {
	test("comes back, however it and its ciphertext are cut into pieces", async () => {
		const key = generateFileKey();
		const lengths = [
			0,
			1,
			plainChunkBytes - 1,
			plainChunkBytes,
			plainChunkBytes + 1,
			16 * plainChunkBytes,
			16 * plainChunkBytes + 1,
		];
		for (const length of lengths) {
			const plain = new Uint8Array(length).map((_, i) => i * 31);
			const cipher = await gather(encryptFile(key, once(plain)));
			expect(cipher.length).toBe(length + 16 * Math.max(1, Math.ceil(length / plainChunkBytes)));
			async function* crumbs(): AsyncGenerator<Uint8Array> {
				for (let at = 0; at < cipher.length; at += 50_001)
					yield new Uint8Array(cipher.subarray(at, at + 50_001));
			}
			const options = { cipherBytes: cipher.length, firstChunk: 0, expectedBytes: cipher.length };
			expect(Buffer.compare(await gather(decryptFile(key, crumbs(), options)), plain)).toBe(0);
		}
	});

	test("gives out nothing of a chunk that is wrong, out of its place, or cut", async () => {
		const key = generateFileKey();
		const plain = new Uint8Array(3 * plainChunkBytes + 100).map((_, i) => i * 7);
		const cipher = new Uint8Array(await gather(encryptFile(key, once(plain))));
		const chunk = (i: number): Uint8Array => cipher.slice(i * cipherChunkBytes, (i + 1) * cipherChunkBytes);
		const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
		const flipped = cipher.slice();
		flipped[2 * cipherChunkBytes + 5]! ^= 1;
		const otherKey = new Uint8Array(key);
		otherKey[0]! ^= 1;
		const attacks: [Uint8Array, Uint8Array][] = [
			[key, flipped],
			[key, join(chunk(1), chunk(0), chunk(2), chunk(3))],
			[key, join(chunk(0), chunk(0), chunk(2), chunk(3))],
			[key, join(chunk(0), chunk(1), chunk(2))],
			[key, join(chunk(0), chunk(1), chunk(3))],
			[key, join(cipher, chunk(3))],
			[key, cipher.slice(0, -1)],
			[key, cipher.slice(0, 15)],
			[key, new Uint8Array(0)],
			[otherKey, cipher],
			[key.slice(1), cipher],
		];
		for (const [useKey, bytes] of attacks) {
			const { out, error } = await opened(useKey, bytes);
			expect(error).toBeInstanceOf(DecryptionError);
			// What came before is right, and whole chunks of it.
			expect(Buffer.compare(out, plain.subarray(0, out.length))).toBe(0);
		}
	});

	test("never repeats: the same bytes twice are two ciphertexts", async () => {
		const plain = new Uint8Array(1000);
		const [one, two] = await Promise.all(
			[0, 1].map(() => gather(encryptFile(generateFileKey(), once(plain)))),
		);
		expect(one).not.toEqual(two);
	});

	test("is read by range in the fewest chunks that hold it", () => {
		fc.assert(
			fc.property(fc.nat(1_000_000), fc.nat(1_100_000), fc.nat(1_100_000), (size, a, b) => {
				const cipherBytes = size + 16 * Math.max(1, Math.ceil(size / plainChunkBytes));
				const { firstChunk, start, end, skip, take } = cipherRange(cipherBytes, { start: a, end: b });
				const expected = Math.max(0, Math.min(b, size) - Math.min(a, size));
				expect(take).toBe(expected);
				expect(start).toBe(firstChunk * cipherChunkBytes);
				expect(end).toBeLessThanOrEqual(cipherBytes);
				const held = end - start - 16 * Math.ceil((end - start) / cipherChunkBytes);
				expect(skip + take).toBeLessThanOrEqual(Math.max(0, held));
				expect(held - (skip + take)).toBeLessThanOrEqual(plainChunkBytes);
			}),
		);
	});
});

describe("a link", () => {
	const cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

	test("carries the key behind the #, and a CID alone is a link, too", () => {
		const key = generateFileKey();
		const link = formatFileLink({ cid, key });
		expect(link).toMatch(/^r1fs:bafkrei[a-z2-7]+#1\.[A-Za-z0-9_-]{43}$/);
		expect(parseFileLink(link)).toEqual({ cid, key });
		expect(parseFileLink(formatFileLink({ cid }))).toEqual({ cid });
		expect(parseFileLink(cid)).toEqual({ cid });
	});

	test("whose key was cut, changed into no key, or is of another kind is refused", () => {
		const link = formatFileLink({ cid, key: generateFileKey() });
		for (const wrong of [
			link.slice(0, -1),
			`${link}A`,
			link.replace("#1.", "#2."),
			`${cid}#`,
			`${cid}#1.`,
			`${link.slice(0, -2)}!!`,
			"x".repeat(300),
		]) {
			expect(() => parseFileLink(wrong), wrong).toThrow(MalformedMessageError);
		}
	});
});
