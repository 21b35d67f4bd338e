import { InvalidParameterError } from "@tabmesh/wire";
import type { GrammarBuilder, Rule } from "./grammar.ts";
import { ceilingOf, largestNumber, numberScale } from "./numberRange.ts";

/** Schemas within schemas, references followed: what people write has ten. */
const MOST_DEPTH = 64;
const MOST_LENGTH = 1_000_000;
/** Items that are written out one by one, because a grammar does not count. */
const MOST_COUNTED = 1000;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Say something to people, or to validators that are asked to; a text is valid either way. */
const annotations = new Set([
	"$anchor",
	"$comment",
	"$defs",
	"$id",
	"$schema",
	"default",
	"definitions",
	"deprecated",
	"description",
	"examples",
	"format",
	"readOnly",
	"title",
	"writeOnly",
]);

const ofType: Readonly<Record<string, readonly string[]>> = {
	string: ["minLength", "maxLength"],
	number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
	integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
	boolean: [],
	null: [],
	object: ["properties", "required", "additionalProperties"],
	array: ["items", "prefixItems", "minItems", "maxItems"],
};

/**
 * Writes a JSON Schema (2020-12) into a grammar whose every text is valid: objects with their properties in the schema's order, no
 * property that it does not name, numbers of at most 15 digits, spaces only behind colons and commas. What would narrow texts
 * further and cannot be held to is refused, never left out.
 */
export class JsonSchemaGrammar {
	readonly #grammar: GrammarBuilder;
	readonly #root: Json;
	readonly #references = new Map<string, Rule>();
	#any: Rule | undefined;
	readonly #space: Rule;
	readonly #comma: Rule;

	constructor(grammar: GrammarBuilder, schema: unknown) {
		this.#grammar = grammar;
		this.#space = grammar.optional(" ");
		this.#comma = grammar.sequence(grammar.literal(","), this.#space);
		this.#root = schema as Json;
	}

	/** @throws InvalidParameterError when a part of the schema is not offered, wrong, or too large */
	rule(): Rule {
		return this.#reference("#", 0);
	}

	#schema(schema: Json | undefined, depth: number): Rule {
		if (schema === true) return this.#anything();
		if (!isObject(schema)) throw wrong("A schema is an object, or true.");
		if (depth > MOST_DEPTH) throw wrong("Its parts stand within each other too deeply.");
		const keywords = Object.keys(schema).filter((key) => !annotations.has(key));
		const alone = (keyword: string): boolean => {
			if (!keywords.includes(keyword)) return false;
			if (keywords.length > 1) {
				throw wrong(`${keyword} beside ${keywords.find((key) => key !== keyword)} is not offered.`);
			}
			return true;
		};
		if (alone("$ref")) return this.#reference(schema.$ref, depth);
		if (alone("allOf")) {
			const parts = listOf(schema.allOf, "allOf");
			if (parts.length !== 1) throw wrong("allOf of more than one schema is not offered.");
			return this.#schema(parts[0], depth + 1);
		}
		if (alone("anyOf")) {
			return this.#grammar.choice(listOf(schema.anyOf, "anyOf").map((part) => this.#schema(part, depth + 1)));
		}
		const types = typesOf(schema, keywords);
		if (keywords.includes("enum") || keywords.includes("const")) return this.#values(schema, keywords, types);
		for (const key of keywords) {
			if (key !== "type" && !types.some((type) => ofType[type]!.includes(key))) {
				throw wrong(`The keyword ${key.slice(0, 32)} is not offered${types.length > 0 ? " here" : ""}.`);
			}
		}
		if (types.length === 0) return this.#anything();
		return this.#grammar.choice(types.map((type) => this.#typed(type, schema, depth)));
	}

	#reference(pointer: Json | undefined, depth: number): Rule {
		if (typeof pointer !== "string") throw wrong("$ref takes a text.");
		const known = this.#references.get(pointer);
		if (known !== undefined) return known;
		const match = /^#(?:\/(\$defs|definitions)\/([^/]+))?$/.exec(pointer);
		if (!match) throw wrong("$ref is offered for # and what stands in $defs.");
		let schema: Json | undefined = this.#root;
		if (match[1] !== undefined) {
			const folder: Json | undefined = isObject(schema) ? own(schema, match[1]) : undefined;
			const name = match[2]!.replaceAll("~1", "/").replaceAll("~0", "~");
			schema = isObject(folder) ? own(folder, name) : undefined;
			if (schema === undefined) throw wrong(`$ref: there is no ${pointer.slice(0, 64)}.`);
		}
		const rule = this.#grammar.add();
		this.#references.set(pointer, rule);
		this.#grammar.set(rule, { kind: "sequence", rules: [this.#schema(schema, depth + 1)] });
		return rule;
	}

	#values(schema: JsonObject, keywords: readonly string[], types: readonly string[]): Rule {
		const other = keywords.find((key) => !["enum", "const", "type"].includes(key));
		if (other !== undefined) throw wrong(`${other.slice(0, 32)} beside enum or const is not offered.`);
		const listed = "enum" in schema ? listOf(schema.enum, "enum") : [schema.const!];
		const constant = "const" in schema ? JSON.stringify(schema.const) : undefined;
		const values = listed.filter(
			(value) =>
				(types.length === 0 || types.some((type) => isOfType(value, type))) &&
				(constant === undefined || JSON.stringify(value) === constant),
		);
		if (values.length === 0) throw wrong("No value of enum or const fits.");
		return this.#grammar.choice(values.map((value) => this.#grammar.literal(JSON.stringify(value))));
	}

	#typed(type: string, schema: JsonObject, depth: number): Rule {
		switch (type) {
			case "string": {
				const least = count(schema, "minLength", 0, MOST_LENGTH);
				const most = "maxLength" in schema ? count(schema, "maxLength", 0) : Number.POSITIVE_INFINITY;
				if (least > most) throw wrong("minLength is above maxLength.");
				return this.#grammar.add({ kind: "string", least, most });
			}
			case "number":
			case "integer":
				return this.#number(schema, type === "integer");
			case "boolean":
				return this.#grammar.choice([this.#grammar.literal("true"), this.#grammar.literal("false")]);
			case "null":
				return this.#grammar.literal("null");
			case "object":
				return this.#object(schema, depth);
			default:
				return this.#array(schema, depth);
		}
	}

	#number(schema: JsonObject, whole: boolean): Rule {
		let [least, most] = [-largestNumber, largestNumber];
		const bound = (key: string, rounds: "up" | "down", step: bigint): bigint | undefined => {
			const value = schema[key];
			if (value === undefined) return undefined;
			if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${key} takes a number.`);
			return scaled(value, rounds) + step;
		};
		// An exclusive bound that is no multiple of a unit lies between two of them already.
		const above = (key: string): bigint | undefined => bound(key, "up", isMultiple(schema[key]) ? 1n : 0n);
		const below = (key: string): bigint | undefined => bound(key, "down", isMultiple(schema[key]) ? -1n : 0n);
		for (const lower of [bound("minimum", "up", 0n), above("exclusiveMinimum")]) {
			if (lower !== undefined && lower > least) least = lower;
		}
		for (const upper of [bound("maximum", "down", 0n), below("exclusiveMaximum")]) {
			if (upper !== undefined && upper < most) most = upper;
		}
		if ((whole ? ceilingOf(least) : least) > most)
			throw wrong("No number of at most 15 digits lies within its bounds.");
		return this.#grammar.add({ kind: "number", whole, least, most });
	}

	#object(schema: JsonObject, depth: number): Rule {
		const grammar = this.#grammar;
		const { properties = {}, required = [], additionalProperties = true } = schema;
		if (!isObject(properties)) throw wrong("properties takes an object.");
		const needed = new Set(Array.isArray(required) ? required : [undefined]);
		if ([...needed].some((name) => typeof name !== "string")) throw wrong("required takes a list of names.");
		const names = Object.keys(properties);
		for (const name of needed) {
			if (names.includes(name as string)) continue;
			if (additionalProperties === false) throw wrong("required names what additionalProperties forbids.");
			names.push(name as string);
		}
		if (names.length === 0 && additionalProperties !== false) {
			return this.#freeObject(this.#schema(additionalProperties, depth + 1));
		}
		const members = names.map((name) => ({
			needed: needed.has(name),
			rule: grammar.sequence(
				grammar.literal(`${JSON.stringify(name)}:`),
				this.#space,
				this.#schema(own(properties, name) ?? additionalProperties, depth + 1),
			),
		}));
		const close = grammar.literal("}");
		// From the last to the first: what may follow when a member was written, and when none was.
		let [after, first] = [close, close];
		for (const { needed, rule } of members.reverse()) {
			const written = grammar.sequence(rule, after);
			const next = grammar.sequence(this.#comma, rule, after);
			[after, first] = needed
				? [next, written]
				: [grammar.choice([next, after]), grammar.choice([written, first])];
		}
		return grammar.sequence(grammar.literal("{"), first);
	}

	#freeObject(value: Rule): Rule {
		const grammar = this.#grammar;
		const key = grammar.add({ kind: "string", least: 0, most: Number.POSITIVE_INFINITY });
		return this.#list("{", grammar.sequence(key, grammar.literal(":"), this.#space, value), "}");
	}

	#array(schema: JsonObject, depth: number): Rule {
		const grammar = this.#grammar;
		const prefix = "prefixItems" in schema ? listOf(schema.prefixItems, "prefixItems") : [];
		const { items = true } = schema;
		const least = count(schema, "minItems", 0, MOST_COUNTED);
		const most = "maxItems" in schema ? count(schema, "maxItems", 0) : Number.POSITIVE_INFINITY;
		if (least > most) throw wrong("minItems is above maxItems.");
		if (most !== Number.POSITIVE_INFINITY && most > MOST_COUNTED) {
			throw wrong(`maxItems is offered up to ${MOST_COUNTED}.`);
		}
		const places = prefix.map((part) => this.#schema(part, depth + 1));
		// Behind the prefix nothing more comes where items forbids it.
		const item = items === false ? undefined : this.#schema(items, depth + 1);
		const longest = item === undefined ? Math.min(most, places.length) : most;
		if (least > longest) throw wrong("minItems is above what prefixItems and items allow.");
		const counted = Number.isFinite(longest) ? longest : Math.max(least, places.length);
		const close = grammar.literal("]");
		let rest = close;
		if (!Number.isFinite(longest) && item !== undefined) {
			rest = grammar.add();
			grammar.set(rest, { kind: "choice", rules: [close, grammar.sequence(this.#comma, item, rest)] });
		}
		if (counted === 0) {
			return Number.isFinite(longest) || item === undefined
				? grammar.literal("[]")
				: this.#list("[", item, "]");
		}
		for (let place = counted - 1; place > 0; place--) {
			const next = grammar.sequence(this.#comma, places[place] ?? item!, rest);
			rest = place >= least ? grammar.choice([close, next]) : next;
		}
		const some = grammar.sequence(places[0] ?? item!, rest);
		return grammar.sequence(grammar.literal("["), least === 0 ? grammar.choice([close, some]) : some);
	}

	/** Any number of the same, between brackets. */
	#list(open: string, item: Rule, close: string): Rule {
		const grammar = this.#grammar;
		const end = grammar.literal(close);
		const rest = grammar.add();
		grammar.set(rest, { kind: "choice", rules: [end, grammar.sequence(this.#comma, item, rest)] });
		return grammar.sequence(grammar.literal(open), grammar.choice([end, grammar.sequence(item, rest)]));
	}

	#anything(): Rule {
		if (this.#any !== undefined) return this.#any;
		const grammar = this.#grammar;
		this.#any = grammar.add();
		const simple = ["string", "number", "boolean", "null"].map((type) => this.#typed(type, {}, 0));
		const rules = [...simple, this.#list("[", this.#any, "]"), this.#freeObject(this.#any)];
		grammar.set(this.#any, { kind: "choice", rules });
		return this.#any;
	}
}

function wrong(sentence: string): InvalidParameterError {
	return new InvalidParameterError(`The JSON schema cannot be held to. ${sentence}`);
}

function isObject(value: Json | undefined): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Not what every object inherits. */
function own(object: JsonObject, key: string): Json | undefined {
	return Object.hasOwn(object, key) ? object[key] : undefined;
}

function listOf(value: Json | undefined, keyword: string): readonly Json[] {
	if (Array.isArray(value) && value.length > 0) return value;
	throw wrong(`${keyword} takes a list.`);
}

function typesOf(schema: JsonObject, keywords: readonly string[]): readonly string[] {
	const { type } = schema;
	const listed = type === undefined ? impliedTypes(keywords) : typeof type === "string" ? [type] : type;
	if (
		!Array.isArray(listed) ||
		!listed.every((name) => typeof name === "string" && Object.hasOwn(ofType, name))
	) {
		throw wrong("type takes the name of a type, or a list of them.");
	}
	// Each whole number is a number: one of the two is enough.
	return [...new Set(listed as string[])].filter((name) => name !== "integer" || !listed.includes("number"));
}

/** Who writes of properties means an object. */
function impliedTypes(keywords: readonly string[]): string[] {
	const implied = Object.keys(ofType).filter((type) => keywords.some((key) => ofType[type]!.includes(key)));
	return implied.filter((type) => type !== "integer");
}

function isOfType(value: Json, type: string): boolean {
	if (type === "integer") return Number.isInteger(value);
	if (type === "null") return value === null;
	if (type === "array") return Array.isArray(value);
	if (type === "object") return isObject(value);
	return typeof value === type;
}

function count(
	schema: JsonObject,
	keyword: string,
	otherwise: number,
	most = Number.MAX_SAFE_INTEGER,
): number {
	const value = schema[keyword] ?? otherwise;
	if (!Number.isInteger(value) || (value as number) < 0) throw wrong(`${keyword} takes a whole number.`);
	if ((value as number) > most) throw wrong(`${keyword} is offered up to ${most}.`);
	return value as number;
}

/** A bound in units, rounded to the inside. What lies far outside of everything that can be written stays there. */
function scaled(value: number, rounds: "up" | "down"): bigint {
	if (Math.abs(value) >= 1e15) return BigInt(Math.sign(value)) * 10n ** 15n * numberScale;
	const [, sign, units, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal(value))!;
	const kept = BigInt(units! + fraction.slice(0, 6).padEnd(6, "0"));
	const rest = /[1-9]/.test(fraction.slice(6));
	const towardsZero = sign === "-" ? -kept : kept;
	if (!rest) return towardsZero;
	if (rounds === "up") return sign === "-" ? towardsZero : towardsZero + 1n;
	return sign === "-" ? towardsZero - 1n : towardsZero;
}

function decimal(value: number): string {
	const text = String(value);
	// JavaScript writes 1e-7 and smaller so.
	return text.includes("e") ? value.toFixed(20) : text;
}

function isMultiple(value: Json | undefined): boolean {
	return (
		typeof value === "number" && (Math.abs(value) >= 1e15 || scaled(value, "up") === scaled(value, "down"))
	);
}
