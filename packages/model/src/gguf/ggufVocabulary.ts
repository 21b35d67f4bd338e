import { limits, TokenizerError } from "@tabmesh/wire";
import type { GgufMetadata } from "./ggufMetadata.ts";
import type { AddedToken } from "./tokenizerJson.ts";

/** What kind of entry a token is: `enum llama_token_type`. */
export const tokenKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The vocabulary inside a GGUF, checked: no text twice, lists of one length. */
export interface GgufVocabulary {
	/** By id. */
	readonly texts: readonly string[];
	/** By text. */
	readonly ids: ReadonlyMap<string, number>;
	/** By id; numbers of {@link tokenKind}. */
	readonly kinds: ArrayLike<number>;
	/** By id, where the file has them. */
	readonly scores?: ArrayLike<number>;
	readonly merges?: readonly string[];
}

/** No piece of a vocabulary is a book; cutting and joining pieces is quadratic in their length. */
const maxTextLength = 1024;

/**
 * Reads the vocabulary of a GGUF.
 *
 * @param size - rows of the embedding matrix
 * @throws TokenizerError when it has holes, doubles, or another size
 */
export function readGgufVocabulary(metadata: GgufMetadata, size: number): GgufVocabulary {
	const texts = metadata.optionalStrings("tokenizer.ggml.tokens");
	if (!texts) throw new TokenizerError("The model file has no vocabulary.");
	if (texts.length !== size || size > limits.vocabulary) {
		throw new TokenizerError(`The vocabulary has ${texts.length} tokens and the embedding ${size} rows.`, {
			details: { tokens: texts.length, rows: size },
		});
	}
	const kinds =
		metadata.optionalNumbers("tokenizer.ggml.token_type") ?? new Uint8Array(size).fill(tokenKind.normal);
	const scores = metadata.optionalNumbers("tokenizer.ggml.scores");
	for (const [what, list] of [["token types", kinds] as const, ["scores", scores] as const]) {
		if (list && list.length !== size) {
			throw new TokenizerError(`The vocabulary has ${size} tokens and ${list.length} ${what}.`);
		}
	}
	const ids = new Map<string, number>();
	for (const [id, text] of texts.entries()) {
		if (text === "") throw new TokenizerError(`The vocabulary has a hole: token ${id} is empty.`);
		if (text.length > maxTextLength) throw new TokenizerError(`Token ${id} has ${text.length} characters.`);
		const twin = ids.get(text);
		if (twin !== undefined) {
			throw new TokenizerError(`Tokens ${twin} and ${id} are both ${JSON.stringify(text.slice(0, 32))}.`);
		}
		ids.set(text, id);
	}
	const merges = metadata.optionalStrings("tokenizer.ggml.merges");
	return { texts, ids, kinds, ...(scores ? { scores } : {}), ...(merges ? { merges } : {}) };
}

/** The tokens that are cut out of a text before it is tokenised: control tokens, which are special, and what users defined. */
export function addedTokens({ texts, kinds }: GgufVocabulary): AddedToken[] {
	const added: AddedToken[] = [];
	for (const [id, content] of texts.entries()) {
		const kind = kinds[id];
		const special = kind === tokenKind.control || kind === tokenKind.unknown;
		if (!special && kind !== tokenKind.userDefined) continue;
		added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special });
	}
	return added;
}
