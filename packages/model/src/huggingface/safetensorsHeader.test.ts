import { ModelFileError } from "@tabmesh/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryFile } from "../format/sourceFile.ts";
import { readSafetensorsHeader } from "./safetensorsHeader.ts";
import { withHeader, writeSafetensors } from "./testing/writeSafetensors.ts";

const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
const read = (bytes: Uint8Array) => readSafetensorsHeader(memoryFile("x.safetensors", bytes));
const tensor = fc.record({
	name: fc.string({ minLength: 1 }).filter((name) => name !== "__metadata__" && name !== "__proto__"),
	values: fc.float32Array({ minLength: 1, maxLength: 20, noNaN: true }),
});

test("what was written comes back: every tensor at its place", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.uniqueArray(tensor, { selector: ({ name }) => name, minLength: 1, maxLength: 8 }),
			fc.constantFrom("F32", "F16", "BF16"),
			async (tensors, type) => {
				const bytes = writeSafetensors(
					tensors.map(({ name, values }) => ({ name, values, shape: [1, values.length] })),
					type,
				);
				const found = await read(bytes);
				for (const { name, values } of tensors) {
					const entry = found.find((candidate) => candidate.name === name)!;
					expect(entry).toMatchObject({ type, shape: [1, values.length] });
					if (type !== "F32") continue;
					expect(new Float32Array(bytes.slice(entry.offset, entry.offset + entry.bytes).buffer)).toEqual(
						values,
					);
				}
			},
		),
		{ numRuns: 200 },
	);
});

test("10,000 broken headers each give a value or a ModelFileError", async () => {
	const whole = writeSafetensors(
		["a", "b", "c"].map((name) => ({ name, shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) })),
		"F32",
	);
	const edit = fc.record({
		at: fc.nat(whole.byteLength - 1),
		to: fc.oneof(
			fc.nat(255),
			fc.constantFrom(...'0123456789,:[]{}"-e.').map((c) => c.charCodeAt(0)),
		),
	});
	await fc.assert(
		fc.asyncProperty(
			fc.array(edit, { maxLength: 4 }),
			fc.option(fc.nat(whole.byteLength)),
			async (edits, cut) => {
				const bytes = whole.slice(0, cut ?? whole.byteLength);
				for (const { at, to } of edits) if (at < bytes.byteLength) bytes[at] = to;
				try {
					for (const { offset, bytes: length } of await read(bytes)) {
						expect(offset + length).toBeLessThanOrEqual(bytes.byteLength);
					}
				} catch (error) {
					if (!(error instanceof ModelFileError)) throw error;
				}
			},
		),
		{ numRuns: fuzzRuns },
	);
});

describe("a broken file is named with what was found", () => {
	const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
		dtype: "F32",
		shape,
		data_offsets: [begin, end],
	});
	const file = (header: unknown, contents = 32) =>
		withHeader(typeof header === "string" ? header : JSON.stringify(header), [new Uint8Array(contents)]);
	const huge = new Uint8Array(100);
	huge[7] = 1;
	test.each<[string, Uint8Array, RegExp]>([
		["a header longer than the file", huge, /promises a header of 72057594037927936/],
		["a few bytes", new Uint8Array(3), /3 bytes/],
		["no JSON", file("{nope"), /no JSON/],
		["a list", file([]), /no JSON object/],
		[
			"bytes that are no UTF-8",
			withHeader("\u{fffd}", []).map((byte) => (byte === 0xef ? 0xff : byte)),
			/no JSON/,
		],
		["overlapping tensors", file({ a: f32(0, 16), b: f32(12, 32) }), /"b" overlaps/],
		["a gap", file({ a: f32(0, 12), b: f32(16, 32) }), /"b" leaves a gap/],
		["a tensor past the end", file({ a: f32(0, 400) }), /cut short/],
		["bytes after the last", file({ a: f32(0, 16) }), /too long/],
		[
			"another type",
			file({ a: { dtype: "F8_E4M3", shape: [32], data_offsets: [0, 32] } }),
			/F8_E4M3.*F32, F16, BF16/,
		],
		["sizes that overflow", file({ a: f32(0, 32, [2 ** 50, 2 ** 50]) }), /where 1125899906842624 × /],
		["a negative size", file({ a: f32(0, 32, [-8, -1]) }), /no sound shape/],
		[
			"offsets that are none",
			file({ a: { dtype: "F32", shape: [8], data_offsets: "0" } }),
			/no sound data_offsets/,
		],
		["a tensor that is none", file({ a: 7 }), /"a" is no object/],
	])("%s", async (_, bytes, message) => {
		await expect(read(bytes)).rejects.toThrow(ModelFileError);
		await expect(read(bytes)).rejects.toThrow(message);
	});
});
