import { type Constraint, InvalidParameterError, type Manifest } from "@tabmesh/wire";
import { Ajv2020, type AnySchema } from "ajv/dist/2020.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { ModelSource } from "../format/modelSource.ts";
import { tinyByteLevel, tinySentencePiece } from "../gguf/testing/tinyVocabulary.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { openTinyModel } from "../testing/openTinyModel.ts";
import { ConstraintVocabulary } from "./constraintVocabulary.ts";
import { TokenConstraint } from "./tokenConstraint.ts";

const runs = Number(process.env.FUZZ_RUNS ?? 10_000);
const vocabularies: ConstraintVocabulary[] = [];
const end = 2;

function vocabularyOf(source: ModelSource): ConstraintVocabulary {
	const { content } = source.derived.find(({ name }) => name === "tokenizer.json")!;
	return new ConstraintVocabulary(content, { config: source.config } as Manifest);
}

beforeAll(async () => {
	vocabularies.push(
		vocabularyOf(await openSeededModel({ vocabulary: 1024 })),
		vocabularyOf(await openTinyModel({ vocabulary: tinySentencePiece() })),
		vocabularyOf(await openTinyModel({ vocabulary: tinyByteLevel("gpt-2") })),
	);
});

function constraint(schema: unknown, more: Partial<Constraint> = {}, vocabulary = vocabularies[0]!) {
	return new TokenConstraint({ schema: JSON.stringify(schema), ...more }, vocabulary);
}

/** Writes what `choose` takes of the tokens that may come, until it ends or so many were written. */
function write(
	held: TokenConstraint,
	choose: (allowed: number[]) => number,
	{ most = 400, vocabulary = vocabularies[0]! } = {},
): { text: string; ended: boolean } {
	const bytes: number[] = [];
	let match = held.begin;
	for (let left = most; left > 0; left--) {
		const mask = held.allowed(match, left, [end]);
		const allowed = [...mask.keys()].filter((token) => mask[token] === 1);
		const token = choose(allowed);
		if (token === end) return { text: new TextDecoder().decode(Uint8Array.from(bytes)), ended: true };
		bytes.push(...vocabulary.bytes(token));
		match = held.accept(match, token)!;
		expect(match).toBeDefined();
	}
	return { text: new TextDecoder().decode(Uint8Array.from(bytes)), ended: false };
}

/** Whether a text goes through, byte by byte, and may end there. */
function takes(schema: unknown, text: string, more: Partial<Constraint> = {}): boolean {
	const held = constraint(schema, more);
	const byteToken = (byte: number): number => byte + 3;
	let match: TokenConstraint["begin"] | undefined = held.begin;
	for (const byte of new TextEncoder().encode(text)) {
		match = held.accept(match, byteToken(byte));
		if (!match) return false;
	}
	return held.allowed(match, 400, [end])[end] === 1;
}

const leaf = fc.oneof(
	fc.record({ type: fc.constant("string") }, { requiredKeys: ["type"] }),
	fc
		.tuple(fc.nat(4), fc.nat(6))
		.map(([least, more]) => ({ type: "string", minLength: least, maxLength: least + more })),
	fc
		.tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(500))
		.map(([minimum, more]) => ({ type: "integer", minimum, maximum: minimum + more })),
	fc
		.tuple(fc.integer({ min: -2000, max: 2000 }), fc.integer({ min: 1, max: 500 }))
		.map(([from, more]) => ({ type: "number", exclusiveMinimum: from / 10, maximum: (from + more) / 10 })),
	fc.constantFrom({ type: "boolean" }, { type: "null" }, { type: "number" }, { type: "integer" }, true, {}),
	fc.array(fc.jsonValue({ maxDepth: 1 }), { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
	fc.jsonValue({ maxDepth: 1 }).map((value) => ({ const: value })),
);
const schemas = fc.letrec<{ schema: AnySchema }>((tie) => ({
	schema: fc.oneof(
		{ maxDepth: 3, withCrossShrink: true },
		leaf as fc.Arbitrary<AnySchema>,
		fc
			.tuple(
				fc.dictionary(
					fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom("name", "naïve", 'a"b')),
					tie("schema"),
					{
						maxKeys: 4,
					},
				),
				fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
			)
			.map(([properties, needed]) => ({
				type: "object",
				properties,
				required: Object.keys(properties).filter((_, i) => needed[i]),
				additionalProperties: false,
			})),
		fc.tuple(tie("schema"), fc.nat(2), fc.nat(2)).map(([items, least, more]) => ({
			type: "array",
			items,
			minItems: least,
			maxItems: least + more,
		})),
		fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
		tie("schema").map((items) => ({
			type: "array",
			prefixItems: [items, { type: "boolean" }],
			items: false,
		})),
	),
})).schema;

describe("what is written under a JSON schema", () => {
	test("is JSON that fits it, whatever is chosen, in every kind of vocabulary, and ends in time", () => {
		const ajv = new Ajv2020({ strict: false, validateSchema: false });
		fc.assert(
			fc.property(schemas, fc.nat(2), fc.infiniteStream(fc.nat()), (schema, which, choices) => {
				const vocabulary = vocabularies[which]!;
				const held = constraint(schema, {}, vocabulary);
				const { text, ended } = write(held, (allowed) => allowed[choices.next().value! % allowed.length]!, {
					vocabulary,
					most: 300,
				});
				expect(ended, text).toBe(true);
				expect(ajv.validate(schema, JSON.parse(text)), `${JSON.stringify(schema)} ${text}`).toBe(true);
			}),
			{ numRuns: Math.ceil(runs / 100) },
		);
	});

	test("may be anything that the schema says: JSON as JavaScript writes it goes through", () => {
		const person = {
			type: "object",
			properties: {
				name: { type: "string" },
				age: { type: "integer", minimum: 0, maximum: 150 },
				tags: { type: "array", items: { enum: ["a", "ab", "b"] } },
				more: { anyOf: [{ $ref: "#" }, { type: "null" }] },
			},
			required: ["name"],
			title: "A person",
		};
		for (const value of [
			{ name: 'Zoë "Z" \\ 🙂\n' },
			{ name: "", age: 0, tags: [] },
			{ name: "x", age: 150, tags: ["a", "ab", "b"], more: null },
			{ name: "x", more: { name: "y", more: { name: "z", age: 7 } } },
		]) {
			expect(takes(person, JSON.stringify(value))).toBe(true);
		}
		expect(takes(person, '{"name": "x", "age": 42}')).toBe(true);
		for (const text of [
			"{}",
			'{"name":"x","age":151}',
			'{"name":"x","age":-1}',
			'{"name":"x","age":042}',
			'{"name":"x","tags":["c"]}',
			'{"name":"x","other":1}',
			'{"age":1,"name":"x"}',
			'{"name":"x\n"}',
			'{"name":"\\ud800"}',
			'{"name":"x"',
			'{"name":"x"}}',
		]) {
			expect(takes(person, text), text).toBe(false);
		}
		fc.assert(
			fc.property(
				fc.object({
					maxDepth: 2,
					values: [fc.string({ unit: "binary" }), fc.boolean(), fc.constant(null), fc.integer()],
				}),
				(value) => {
					const text = JSON.stringify(value);
					expect(takes({ type: "object" }, text), text).toBe(/\\ud[89a-f]/.test(text) === false);
				},
			),
			{ numRuns: Math.ceil(runs / 50) },
		);
	});

	test("keeps numbers within their bounds, at every digit", () => {
		fc.assert(
			fc.property(
				fc.integer({ min: -1200, max: 1200 }),
				fc.nat(1500),
				fc.boolean(),
				fc.integer({ min: -3000, max: 3000 }),
				(least, more, tenths, value) => {
					const scale = tenths ? 10 : 1;
					const schema = {
						type: tenths ? "number" : "integer",
						minimum: least / scale,
						exclusiveMaximum: (least + more + 1) / scale,
					};
					expect(takes(schema, String(value / scale))).toBe(value >= least && value <= least + more);
				},
			),
			{ numRuns: Math.ceil(runs / 20) },
		);
	});

	test("may stand between tags, several times, or be any other text", () => {
		const call = { const: { a: 1 } };
		const tags = { before: "<call>", behind: "</call>", several: true, orText: true };
		for (const text of [
			'<call>{"a":1}</call>',
			'<call>{"a":1}</call>\n<call>{"a":1}</call>',
			"Hello {",
			" 2 < 3",
			"",
		]) {
			expect(takes(call, text, tags), text).toBe(true);
		}
		for (const text of ['<call>{"a":2}</call>', " <b>", '<call>{"a":1}</call> and more']) {
			expect(takes(call, text, tags), text).toBe(false);
		}
	});

	test("every token that may come is taken, and no other", () => {
		const schema = {
			type: "object",
			properties: { 'a"é': { type: "string", maxLength: 3 }, n: { type: "number", maximum: 12.5 } },
		};
		fc.assert(
			fc.property(fc.infiniteStream(fc.nat()), fc.nat(2), (choices, which) => {
				const vocabulary = vocabularies[which]!;
				const held = constraint(schema, {}, vocabulary);
				let match = held.begin;
				for (let i = 0; i < 12; i++) {
					const allowed = held.allowed(match, 1000, []).slice();
					for (let token = 0; token < vocabulary.size; token++) {
						expect(held.accept(match, token) !== undefined).toBe(allowed[token] === 1);
					}
					const tokens = [...allowed.keys()].filter((token) => allowed[token] === 1);
					if (tokens.length === 0) break;
					match = held.accept(match, tokens[choices.next().value! % tokens.length]!)!;
				}
			}),
			{ numRuns: 10 },
		);
	});
});

describe("schemas of strangers", () => {
	test("that say what cannot be held to are refused with the keyword", () => {
		for (const [schema, word] of [
			[{ type: "string", pattern: "^a+$" }, "pattern"],
			[{ type: "array", uniqueItems: true }, "uniqueItems"],
			[{ type: "integer", multipleOf: 5 }, "multipleOf"],
			[{ not: { type: "string" } }, "not"],
			[{ oneOf: [true] }, "oneOf"],
			[{ allOf: [{ type: "string" }, { maxLength: 2 }] }, "allOf"],
			[{ type: "object", patternProperties: {} }, "patternProperties"],
			[{ $ref: "https://example.org/schema" }, "$ref"],
			[{ $ref: "#/$defs/missing" }, "missing"],
			[{ type: "text" }, "type"],
			[{ enum: [] }, "enum"],
			[{ type: "string", minLength: 3, maxLength: 2 }, "minLength"],
			[{ type: "integer", minimum: 0.2, maximum: 0.8 }, "bounds"],
			[{ type: "integer", enum: ["a"] }, "enum"],
			[{ type: "array", minItems: 1_000_000 }, "minItems"],
			[{ $defs: { a: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" }, "without an end"],
			[{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, "without an end"],
			["string", "object"],
			[null, "object"],
		] as const) {
			let error: unknown;
			try {
				constraint(schema);
			} catch (thrown) {
				error = thrown;
			}
			expect(error, JSON.stringify(schema)).toBeInstanceOf(InvalidParameterError);
			expect((error as Error).message).toContain(word);
		}
		expect(() => new TokenConstraint({ schema: "{" }, vocabularies[0]!)).toThrow(InvalidParameterError);
	});

	test("that explode are refused or stay small, and take no time", () => {
		let nested: object = { type: "string" };
		for (let i = 0; i < 1000; i++) nested = { type: "array", items: nested };
		expect(() => constraint(nested)).toThrow(InvalidParameterError);
		const wide = { type: "array", items: { type: "array", maxItems: 1000 }, maxItems: 1000 };
		const doubling = {
			anyOf: Array.from({ length: 40 }, (_, i) => ({
				type: "object",
				properties: { a: { $ref: "#" }, [`b${i}`]: true },
			})),
		};
		const optional = {
			type: "object",
			properties: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`k${i}`, { type: "integer" }])),
		};
		const begins = { anyOf: [{ $ref: "#" }, { anyOf: [{ $ref: "#" }, { type: "boolean" }] }] };
		const strings = {
			anyOf: Array.from({ length: 200 }, (_, i) => ({ type: "string", maxLength: 1000 + i })),
		};
		for (const schema of [wide, doubling, optional, begins, strings]) {
			const held = constraint(schema);
			const started = performance.now();
			const { text } = write(held, (allowed) => allowed[allowed.length - 1]!, { most: 40 });
			// Not a promise of speed: what explodes takes minutes.
			expect(performance.now() - started).toBeLessThan(20_000);
			expect(text.length).toBeGreaterThan(0);
		}
	});
});
