import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { MalformedMessageError, MessageTooLargeError } from "./errors/index.ts";

const anything = v.unknown();
const runs = Number(process.env.FUZZ_RUNS ?? 10_000);

const plain = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		fc.integer(),
		fc.boolean(),
		fc.constant(null),
		fc.string({ maxLength: 20 }),
		fc.uint8Array({ maxLength: 20 }),
		fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
		fc.array(tie("value"), { maxLength: 5 }),
		fc.dictionary(
			fc.string({ maxLength: 8 }).filter((key) => key !== "__proto__"),
			tie("value"),
			{ maxKeys: 5, noNullPrototype: true },
		),
	),
})).value;

test("what is encoded decodes to itself, and to the same bytes again", () => {
	fc.assert(
		fc.property(plain, (value) => {
			const bytes = encodeCbor(value);
			const back = decodeCbor(anything, bytes, 1 << 20);
			expect(back).toEqual(value);
			expect(encodeCbor(back)).toEqual(bytes);
		}),
		{ numRuns: 2_000 },
	);
});

test("the order in which properties were written does not change the encoding", () => {
	expect(encodeCbor({ b: 1, a: 2, ab: 3 })).toEqual(encodeCbor({ ab: 3, a: 2, b: 1 }));
});

test("two encodings of one value are never both accepted", () => {
	const refused = [
		[0x18, 0x01], // 1 in two bytes
		[0xbf, 0xff], // map of indefinite length
		[0xa2, 0x61, 0x62, 0x01, 0x61, 0x61, 0x02], // keys out of order
		[0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02], // key twice
		[0xf9, 0x7e, 0x00], // NaN
		[0xf9, 0x3c, 0x00], // 1.0 as a half float
		[0xf7], // undefined
		[0x01, 0x01], // something behind the value
		[0xc2, 0x41, 0x01], // tag
	];
	for (const bytes of refused) {
		expect(() => decodeCbor(anything, Uint8Array.from(bytes), 64), bytes.join(" ")).toThrow(
			MalformedMessageError,
		);
	}
});

test("arbitrary bytes are a typed error or a value, never a crash", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
			try {
				expect(encodeCbor(decodeCbor(anything, bytes, 200))).toEqual(bytes);
			} catch (error) {
				expect(error).toBeInstanceOf(MalformedMessageError);
			}
		}),
		{ numRuns: runs },
	);
});

test("sixty thousand nested arrays are refused without exhausting the stack", () => {
	expect(() => decodeCbor(anything, new Uint8Array(60_000).fill(0x81), 1 << 16)).toThrow(
		MalformedMessageError,
	);
});

test("a message beyond its limit is refused unread", () => {
	expect(() => decodeCbor(anything, new Uint8Array(65), 64)).toThrow(MessageTooLargeError);
});
