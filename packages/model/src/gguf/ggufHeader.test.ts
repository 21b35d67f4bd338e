import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelFileError } from "@tabmesh/wire";
import fc from "fast-check";
import { readGgufFileInfo } from "node-llama-cpp";
import { describe, expect, test } from "vitest";
import { memoryFile } from "../format/sourceFile.ts";
import { weightTypes } from "./blockLayout.ts";
import { type GgufHeader, parseGgufHeader } from "./ggufHeader.ts";
import { readGgufHeader } from "./readGgufHeader.ts";
import { temporaryFolder } from "./testing/temporaryFolder.ts";
import { tinyGguf } from "./testing/tinyGguf.ts";
import { type WrittenTensor, type WrittenValue, writeGguf, writtenBytes } from "./testing/writeGguf.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const file = (bytes: Uint8Array) => ({ name: "x.gguf", bytes: bytes.byteLength });
const parse = (bytes: Uint8Array) => parseGgufHeader(bytes, file(bytes));

const value: fc.Arbitrary<WrittenValue> = fc.oneof(
	fc.record({ string: fc.string({ unit: "grapheme" }) }),
	fc.record({ strings: fc.array(fc.string({ unit: "grapheme" })) }),
	fc.record({ u8: fc.nat(255) }),
	fc.record({ i16: fc.integer({ min: -32768, max: 32767 }) }),
	fc.record({ u32: fc.nat() }),
	fc.record({ f32: fc.float({ noNaN: true }) }),
	fc.record({ bool: fc.boolean() }),
	fc.record({ u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
	fc.record({ i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
	fc.record({ f64: fc.double({ noNaN: true }) }),
	fc.record({ array: fc.constant("f32" as const), values: fc.array(fc.float({ noNaN: true })) }),
	fc.record({ array: fc.constant("i8" as const), values: fc.array(fc.integer({ min: -128, max: 127 })) }),
);
const tensor: fc.Arbitrary<WrittenTensor> = fc
	.record({
		name: fc.string({ minLength: 1, maxLength: 64 }),
		type: fc.constantFrom(...weightTypes),
		rows: fc.integer({ min: 1, max: 5 }),
		columns: fc.constantFrom(256, 512),
	})
	.map(({ name, type, rows, columns }) => {
		const shape = rows === 1 ? [columns] : [rows, columns];
		return { name, type, shape, bytes: new Uint8Array(writtenBytes(type, shape)).fill(7) };
	});

/** A value as the reader gives it. */
function read(written: WrittenValue): unknown {
	if ("array" in written) return [...(written.values as readonly unknown[])];
	const [only] = Object.values(written);
	return typeof only === "bigint" && Number.isSafeInteger(Number(only)) ? Number(only) : only;
}

test("what was written comes back: every value, every tensor at its place", () => {
	fc.assert(
		fc.property(
			fc.dictionary(fc.string({ minLength: 1, maxLength: 30 }), value, { maxKeys: 8, noNullPrototype: true }),
			fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }),
			fc.constantFrom(2, 3),
			fc.constantFrom(8, 32, 64),
			(metadata, tensors, version, alignment) => {
				const all = { ...metadata, "general.alignment": { u32: alignment } };
				const bytes = writeGguf(all, tensors, { version, alignment });
				const header = parse(bytes) as GgufHeader;
				expect(header.version).toBe(version);
				for (const [key, written] of Object.entries(all)) {
					const found = header.metadata.get(key);
					expect(ArrayBuffer.isView(found) ? [...(found as Float32Array)] : found).toEqual(read(written));
				}
				expect(header.tensors.map(({ name, type, shape }) => ({ name, type, shape }))).toEqual(
					tensors.map(({ name, type, shape }) => ({ name, type, shape })),
				);
				for (const [i, { offset, bytes: length }] of header.tensors.entries()) {
					expect(bytes.subarray(offset, offset + length)).toEqual(tensors[i]!.bytes);
				}
			},
		),
		{ numRuns: 300 },
	);
});

test("another reader, node-llama-cpp's, finds the same", async () => {
	const { metadata, tensors } = tinyGguf();
	const bytes = writeGguf(metadata, tensors);
	await using folder = await temporaryFolder();
	const path = join(folder.path, "tiny.gguf");
	await writeFile(path, bytes);
	const theirs = await readGgufFileInfo(path, { logWarnings: false });
	const ours = parse(bytes)!;
	expect(ours.metadata.get("llama.embedding_length")).toBe(theirs.architectureMetadata.embedding_length);
	expect(ours.metadata.get("tokenizer.ggml.tokens")).toEqual(theirs.metadata.tokenizer.ggml.tokens);
	expect(
		ours.tensors.map(({ name, shape, offset }) => [name, [...shape].reverse(), offset - ours.dataOffset]),
	).toEqual(
		theirs.tensorInfo!.map(({ name, dimensions, offset }) => [name, dimensions.map(Number), Number(offset)]),
	);
});

test("a header longer than the first window is read in growing pieces, each byte once", async () => {
	const words = Array.from({ length: 200_000 }, (_, i) => `word ${i}`);
	const bytes = writeGguf({ words: { strings: words } }, []);
	const reads: [number, number][] = [];
	const memory = memoryFile("long.gguf", bytes);
	const header = await readGgufHeader({
		...memory,
		read: (offset, length) => {
			reads.push([offset, length]);
			return memory.read(offset, length);
		},
	});
	expect(header.metadata.get("words")).toEqual(words);
	expect(reads.length).toBeGreaterThan(1);
	expect(reads.map(([offset]) => offset)).toEqual(
		reads.map((_, i) => reads.slice(0, i).reduce((sum, [, length]) => sum + length, 0)),
	);
});

describe("10,000 broken headers", () => {
	const small: Record<string, WrittenValue> = {
		"general.architecture": { string: "llama" },
		"llama.block_count": { u32: 2 },
		list: { strings: ["a", "bc", "▁d"] },
		numbers: { array: "f32", values: [1, 2, 3] },
		big: { u64: 2n ** 63n },
	};
	const tensors: WrittenTensor[] = (["F32", "Q4_K", "Q8_0"] as const).map((type) => ({
		name: `${type}.weight`,
		type,
		shape: [2, 256],
		bytes: new Uint8Array(writtenBytes(type, [2, 256])),
	}));
	const whole = writeGguf(small, tensors);
	const headerBytes = parse(whole)!.dataOffset;

	test("each gives a value or a ModelFileError, whatever bytes are changed, and wherever the file ends", () => {
		const edit = fc.record({
			at: fc.nat(headerBytes - 1),
			to: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)),
		});
		fc.assert(
			fc.property(fc.array(edit, { maxLength: 4 }), fc.option(fc.nat(whole.byteLength)), (edits, cut) => {
				const bytes = whole.slice(0, cut ?? whole.byteLength);
				for (const { at, to } of edits) if (at < bytes.byteLength) bytes[at] = to;
				try {
					const header = parse(bytes);
					// The whole file is the window: there is no more to ask for.
					expect(header).toBeDefined();
					for (const { offset, bytes: length } of header!.tensors) {
						expect(offset + length).toBeLessThanOrEqual(bytes.byteLength);
					}
				} catch (error) {
					if (!(error instanceof ModelFileError)) throw error;
				}
			}),
			{ numRuns: fuzzRuns },
		);
	});

	test("a window that ends inside the header asks for more", () => {
		// The last bytes before the weights are padding.
		for (let length = 0; length <= headerBytes - 32; length++) {
			expect(parseGgufHeader(whole.subarray(0, length), file(whole))).toBeUndefined();
		}
	});
});

describe("a broken file is named with what was found", () => {
	const one = (changed: Partial<WrittenTensor> = {}) => ({
		name: "a",
		type: "F32" as const,
		shape: [8],
		bytes: new Uint8Array(32),
		...changed,
	});
	/** Overwrites the first occurrence of eight bytes. */
	const patched = (bytes: Uint8Array, from: bigint, to: bigint) => {
		const view = new DataView(bytes.buffer);
		for (let at = 24; ; at++) {
			if (view.getBigUint64(at, true) !== from) continue;
			view.setBigUint64(at, to, true);
			return bytes;
		}
	};
	const cases: [string, () => Uint8Array, RegExp][] = [
		["another format", () => new TextEncoder().encode("<!DOCTYPE html>…"), /begins with "<!DO"/],
		["big-endian", () => writeGguf({}, [], { version: 0x03000000 }), /big-endian/],
		["version 1", () => writeGguf({}, [], { version: 1 }), /version 1/],
		["an empty file", () => new Uint8Array(0), /cut short/],
		["an odd alignment", () => writeGguf({ "general.alignment": { u32: 24 } }, []), /alignment is 24/],
		["a tensor twice", () => writeGguf({}, [one(), one()]), /"a" twice/],
		[
			"tensors in the same bytes",
			() => patched(writeGguf({}, [one(), one({ name: "b" })]), 32n, 0n),
			/same bytes/,
		],
		[
			"an offset off the grid",
			() => patched(writeGguf({}, [one(), one({ name: "b" })]), 32n, 33n),
			/no multiple of 32/,
		],
		["a tensor past the end", () => patched(writeGguf({}, [one()]), 8n, 800n), /would end at byte/],
		[
			"an overflowing shape",
			() => patched(writeGguf({}, [one({ shape: [8, 9] })]), 9n, 2n ** 60n),
			/1152921504606846976/,
		],
		[
			"an absurd shape",
			() => patched(writeGguf({}, [one({ shape: [8, 9] })]), 9n, 2n ** 51n),
			/absurd shape/,
		],
		[
			"a row that is no whole block",
			() => writeGguf({}, [one({ type: "Q4_K", shape: [8] })]),
			/no whole blocks/,
		],
		["too many dimensions", () => writeGguf({}, [one({ shape: [1, 1, 2, 2, 2] })]), /5 dimensions/],
		["an empty dimension", () => writeGguf({}, [one({ shape: [0] })]), /dimension of 0/],
	];
	test.each(cases)("%s", (_, make, message) => {
		expect(() => parse(make())).toThrow(ModelFileError);
		expect(() => parse(make())).toThrow(message);
	});

	test("an unknown type, by number and by name", () => {
		const bytes = (type: number) => {
			const written = writeGguf({}, [one({ name: "b" })]);
			// Counts, name, dimensions and one size stand before the type.
			new DataView(written.buffer).setUint32(24 + 9 + 4 + 8, type, true);
			return written;
		};
		expect(() => parse(bytes(21))).toThrow(/IQ3_S \(number 21\)/);
		expect(() => parse(bytes(999))).toThrow(/unknown type \(number 999\)/);
	});

	test("promises that the file cannot keep, before anything of their size is made", () => {
		const counted = (at: number, count: bigint) => {
			const bytes = writeGguf({ list: { array: "u8", values: [1, 2, 3] } }, []);
			new DataView(bytes.buffer).setBigUint64(at, count, true);
			return bytes;
		};
		expect(() => parse(counted(8, 10_000n))).toThrow(/promises 10000 tensors/);
		expect(() => parse(counted(16, 2n ** 40n))).toThrow(/metadata entries/);
		expect(() => parse(counted(24, 2n ** 62n))).toThrow(/is 4611686018427387904/);
		expect(() => parse(counted(24 + 12 + 8, 2n ** 50n))).toThrow(/elements of "list"/);
	});
});
