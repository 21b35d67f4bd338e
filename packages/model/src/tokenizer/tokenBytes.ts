import { TokenizerError } from "@tabmesh/wire";
import type { TokenizerFile } from "./tokenizerFile.ts";

const none = new Uint8Array(0);
const encoder = new TextEncoder();

/** What each token stands for, as bytes of UTF-8: the one form in which half characters can be put together. */
export class TokenBytes {
	/** SentencePiece puts a space before every text, which belongs to no text. */
	readonly stripsLeadingSpace: boolean;
	readonly #pieces: readonly (string | undefined)[];
	readonly #special: ReadonlySet<number>;
	/** Added tokens stand for their own text. */
	readonly #verbatim: ReadonlySet<number>;
	readonly #byteLevel: boolean;
	readonly #vocabularySize: number;

	constructor(file: TokenizerFile, vocabularySize: number) {
		const steps = file.decoder ? [file.decoder, ...(file.decoder.decoders ?? [])] : [];
		this.#byteLevel = steps.some((step) => step.type === "ByteLevel");
		this.stripsLeadingSpace = steps.some(
			(step) => (step.type === "Strip" && (step.start ?? 0) > 0) || step.type === "Metaspace",
		);
		const pieces: string[] = [];
		for (const [piece, id] of Object.entries(file.model.vocab)) pieces[id] = piece;
		for (const { id, content } of file.added_tokens) pieces[id] = content;
		this.#pieces = pieces;
		this.#special = new Set(file.added_tokens.filter(({ special }) => special).map(({ id }) => id));
		this.#verbatim = new Set(file.added_tokens.map(({ id }) => id));
		this.#vocabularySize = vocabularySize;
	}

	isSpecial(token: number): boolean {
		return this.#special.has(token);
	}

	/** @throws TokenizerError for an id outside the vocabulary */
	bytes(token: number): Uint8Array {
		if (!Number.isInteger(token) || token < 0 || token >= this.#vocabularySize) {
			throw new TokenizerError(`Token ${token} lies outside the vocabulary of ${this.#vocabularySize}.`, {
				details: { token, vocabularySize: this.#vocabularySize },
			});
		}
		const piece = this.#pieces[token];
		// Models pad their vocabulary to a round size: such tokens say nothing.
		if (piece === undefined || this.#special.has(token)) return none;
		if (this.#verbatim.has(token)) return encoder.encode(piece);
		if (this.#byteLevel) return byteLevelBytes(piece);
		const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
		if (byte) return Uint8Array.of(Number.parseInt(byte[1]!, 16));
		return encoder.encode(piece.replaceAll("▁", " "));
	}
}

let byteOfCharacter: Map<string, number> | undefined;

/** GPT-2's table: printable bytes stand for themselves, the other 68 for the characters from U+0100 on. */
function byteLevelBytes(piece: string): Uint8Array {
	if (!byteOfCharacter) {
		byteOfCharacter = new Map();
		let next = 0x100;
		for (let byte = 0; byte < 256; byte++) {
			const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
			byteOfCharacter.set(String.fromCharCode(printable ? byte : next++), byte);
		}
	}
	const table = byteOfCharacter;
	const bytes = Array.from(piece, (character) => table.get(character));
	// A piece that is not in the table's characters stands for its own text.
	return bytes.includes(undefined) ? encoder.encode(piece) : Uint8Array.from(bytes as number[]);
}
