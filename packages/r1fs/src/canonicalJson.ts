import { InvalidParameterError } from "@tabmesh/wire";

export type JsonValue =
	| null
	| boolean
	| number
	| string
	| readonly JsonValue[]
	| { readonly [key: string]: JsonValue };

/**
 * The one text of a JSON value (RFC 8785): the same value has the same CID, whoever adds it.
 *
 * @throws InvalidParameterError for what JSON cannot hold: undefined, NaN, functions, circles, lone surrogates
 */
export function canonicalJson(value: JsonValue): string {
	return write(value, 0);
}

// Deeper than any document, and shallower than the call stack.
const deepest = 256;

function write(value: JsonValue, depth: number): string {
	if (depth > deepest) throw refused("nested too deeply, or a circle");
	if (value === null || typeof value === "boolean") return String(value);
	if (typeof value === "string") {
		if (!value.isWellFormed()) throw refused("a text with half a character");
		return JSON.stringify(value);
	}
	if (typeof value === "number") {
		if (!Number.isFinite(value)) throw refused(String(value));
		return JSON.stringify(value);
	}
	if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(",")}]`;
	if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
		const members = Object.entries(value)
			// UTF-16 code units, as RFC 8785 wants and `<` compares.
			.sort(([a], [b]) => (a < b ? -1 : 1))
			.map(([key, member]) => `${write(key, depth)}:${write(member, depth + 1)}`);
		return `{${members.join(",")}}`;
	}
	throw refused(`a ${typeof value}`);
}

function refused(what: string): InvalidParameterError {
	return new InvalidParameterError(`JSON cannot hold this: ${what}.`);
}
