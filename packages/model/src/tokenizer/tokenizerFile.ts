import { limits, TokenizerError } from "@tabmesh/wire";
import * as v from "valibot";

const idSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 * limits.vocabulary));

const addedTokenSchema = v.looseObject({
	id: idSchema,
	content: v.pipe(v.string(), v.minLength(1), v.maxLength(1024)),
	special: v.optional(v.boolean(), false),
	lstrip: v.optional(v.boolean(), false),
	rstrip: v.optional(v.boolean(), false),
});
export type AddedToken = v.InferOutput<typeof addedTokenSchema>;

/** What we read of a `tokenizer.json` ourselves; the rest is for Hugging Face's library. */
const tokenizerFileSchema = v.looseObject({
	added_tokens: v.optional(v.pipe(v.array(addedTokenSchema), v.maxLength(65_536)), []),
	decoder: v.nullish(
		v.looseObject({
			type: v.string(),
			start: v.optional(v.number()),
			decoders: v.optional(v.array(v.looseObject({ type: v.string(), start: v.optional(v.number()) }))),
		}),
	),
	model: v.looseObject({
		type: v.optional(v.literal("BPE")),
		vocab: v.custom<Readonly<Record<string, number>>>(isVocabulary, "a vocabulary"),
	}),
});
/** By hand: valibot's records leave names like "constructor" out, and vocabularies have such pieces. */
function isVocabulary(value: unknown): boolean {
	if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
	const ids = Object.values(value);
	return (
		ids.length <= limits.vocabulary &&
		ids.every((id) => Number.isInteger(id) && id >= 0 && id < 2 * limits.vocabulary)
	);
}

export type TokenizerFile = v.InferOutput<typeof tokenizerFileSchema>;

/**
 * The one place where tokenizer bytes become a value.
 *
 * @throws TokenizerError when they are not a BPE's `tokenizer.json`
 */
export function parseTokenizerFile(bytes: Uint8Array): TokenizerFile {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch (cause) {
		throw new TokenizerError("The model's tokenizer is not valid JSON.", { cause });
	}
	const result = v.safeParse(tokenizerFileSchema, value, { abortEarly: true });
	if (result.success) return result.output;
	const at = (v.getDotPath(result.issues[0]) ?? "").slice(0, 64);
	throw new TokenizerError(
		`The model's tokenizer is not a BPE as Hugging Face writes it${at ? ` at ${at}` : ""}.`,
	);
}
