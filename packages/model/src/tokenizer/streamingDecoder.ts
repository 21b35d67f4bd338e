import type { TokenBytes } from "./tokenBytes.ts";

/** Puts tokens together to text: bytes of a character that is not complete yet wait for the rest. */
export class StreamingDecoder {
	readonly #tokens: TokenBytes;
	readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
	/** Whether nothing but special tokens has been there so far. */
	#atStart: boolean;

	/** @param atStart - whether no text stands before the first token */
	constructor(tokens: TokenBytes, atStart: boolean) {
		this.#tokens = tokens;
		this.#atStart = atStart;
	}

	/**
	 * The text that `token` completes; empty while a character is still open.
	 *
	 * @throws TokenizerError for an id outside the vocabulary
	 */
	push(token: number): string {
		const bytes = this.#tokens.bytes(token);
		if (bytes.byteLength === 0) return "";
		const strips = this.#atStart && this.#tokens.stripsLeadingSpace && bytes[0] === 0x20;
		this.#atStart = false;
		return this.#utf8.decode(strips ? bytes.subarray(1) : bytes, { stream: true });
	}

	/** What is left at the end: the replacement character for one that was never completed. */
	flush(): string {
		return this.#utf8.decode();
	}
}
