import { decode as cborDecode, encode as cborEncode } from "cborg";
import * as v from "valibot";
import { MalformedMessageError, MessageTooLargeError } from "./errors/index.ts";

// Deterministic CBOR after RFC 8949 §4.2.1 with the extra strictness of DAG-CBOR: definite lengths, shortest
// integers, string keys sorted, no duplicates, no undefined, NaN or infinity. One value has one encoding.
const decodeOptions = {
	allowIndefinite: false,
	allowUndefined: false,
	allowInfinity: false,
	allowNaN: false,
	allowBigInt: false,
	strict: true,
	rejectDuplicateMapKeys: true,
} as const;
const encodeOptions = { float64: true, ignoreUndefinedProperties: true } as const;

/** The one deterministic CBOR encoding of `value`. Properties that are undefined are left out. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
	return cborEncode(value, encodeOptions) as Uint8Array<ArrayBuffer>;
}

/**
 * Turns bytes from outside into a typed value, in the one place where that happens.
 *
 * @param maxBytes - longest input that is looked at at all
 * @throws MessageTooLargeError when `bytes` is longer than `maxBytes`
 * @throws MalformedMessageError when the bytes are not deterministic CBOR or not of the schema
 */
export function decodeCbor<const Schema extends v.GenericSchema>(
	schema: Schema,
	bytes: Uint8Array,
	maxBytes: number,
): v.InferOutput<Schema> {
	if (bytes.byteLength > maxBytes) {
		throw new MessageTooLargeError(
			`A message of ${bytes.byteLength} bytes is longer than the ${maxBytes} allowed.`,
			{
				details: { bytes: bytes.byteLength, maxBytes },
			},
		);
	}
	let value: unknown;
	try {
		value = cborDecode(bytes, decodeOptions);
	} catch (cause) {
		throw new MalformedMessageError("A message is not valid deterministic CBOR.", { cause });
	}
	const result = v.safeParse(schema, value, { abortEarly: true });
	if (!result.success) {
		const issue = result.issues[0];
		const path = v.getDotPath(issue) ?? "";
		throw new MalformedMessageError(
			`A message does not follow its schema${path ? ` at ${path.slice(0, 64)}` : ""}.`,
			{
				details: { path: path.slice(0, 64), expected: (issue.expected ?? issue.type).slice(0, 64) },
			},
		);
	}
	if (!equalBytes(encodeCbor(value), bytes)) {
		throw new MalformedMessageError("A message is valid CBOR but not in its deterministic encoding.");
	}
	return result.output;
}

/** Whether two byte arrays hold the same bytes. Not constant-time: for public data only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
	if (a.byteLength !== b.byteLength) return false;
	for (let i = 0; i < a.byteLength; i++) if (a[i] !== b[i]) return false;
	return true;
}
