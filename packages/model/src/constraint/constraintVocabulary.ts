import type { Manifest } from "@tabmesh/wire";
import { TokenBytes } from "../tokenizer/tokenBytes.ts";
import { parseTokenizerFile } from "../tokenizer/tokenizerFile.ts";
import { TokenTrie } from "./tokenTrie.ts";

/** A model's vocabulary, sorted for telling which tokens go on with a text. Made once: it takes a moment. */
export class ConstraintVocabulary {
	readonly size: number;
	/** All tokens that stand for something. */
	readonly tokens: readonly number[];
	/** The same, by their bytes. */
	readonly all: TokenTrie;
	/** Those that are no plain characters. */
	readonly others: TokenTrie;
	/** Tokens of plain characters, which leave a JSON string a string, by how many characters they have. */
	readonly plain: readonly (readonly number[])[];
	readonly #bytes: TokenBytes;

	/**
	 * @param tokenizerJson - the bytes of the model's `tokenizer.json`
	 * @throws TokenizerError when the file is broken
	 */
	constructor(tokenizerJson: Uint8Array, { config: { vocabularySize } }: Manifest) {
		this.size = vocabularySize;
		this.#bytes = new TokenBytes(parseTokenizerFile(tokenizerJson), vocabularySize);
		const plain: number[][] = [];
		const all: number[] = [];
		const others: number[] = [];
		for (let token = 0; token < vocabularySize; token++) {
			const bytes = this.#bytes.bytes(token);
			if (bytes.byteLength === 0) continue;
			all.push(token);
			const characters = plainCharacters(bytes);
			if (characters === undefined) {
				others.push(token);
				continue;
			}
			for (let length = plain.length; length <= characters; length++) plain.push([]);
			plain[characters]!.push(token);
		}
		this.plain = plain;
		const bytesOf = (token: number): Uint8Array => this.#bytes.bytes(token);
		this.tokens = all;
		this.all = new TokenTrie(all, bytesOf);
		this.others = new TokenTrie(others, bytesOf);
	}

	/** @throws TokenizerError for an id outside the vocabulary */
	bytes(token: number): Uint8Array {
		return this.#bytes.bytes(token);
	}
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** How many characters the bytes are, where all of them are whole and mean nothing else inside of a JSON string. */
function plainCharacters(bytes: Uint8Array): number | undefined {
	let text: string;
	try {
		text = utf8.decode(bytes);
	} catch {
		return undefined;
	}
	// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has them escaped
	return /["\\\u0000-\u001f]/.test(text) ? undefined : [...text].length;
}
