import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

/** Bytes of one link. */
export const LINK_BYTES = 8;

/** 8 bytes that stand for all tokens so far. */
export type Link = Uint8Array<ArrayBuffer>;

/** The link before the first token. */
export const FIRST_LINK: Link = new Uint8Array(LINK_BYTES);

/**
 * The link after one more token: the first 8 bytes of SHA-256(previous link ‖ position ‖ token), position and token as
 * unsigned 32-bit little-endian.
 *
 * Whoever sees two links in a row finds the token between them by trying the vocabulary. So in a private stream it is HMAC-SHA-256 with
 * a key that stays with the asker: equal beginnings have equal links still, and that is all that links tell.
 */
export function nextLink(previous: Uint8Array, position: number, token: number, key?: Uint8Array): Link {
	const bytes = new Uint8Array(LINK_BYTES + 8);
	bytes.set(previous);
	const view = new DataView(bytes.buffer);
	view.setUint32(LINK_BYTES, position, true);
	view.setUint32(LINK_BYTES + 4, token, true);
	return (key ? hmac(sha256, key, bytes) : sha256(bytes)).slice(0, LINK_BYTES) as Link;
}

/** The token chain of one stream as somebody sees it who knows the tokens: every link since the start, 8 bytes a token. */
export class TokenChain {
	#links = new Uint8Array(64 * LINK_BYTES);
	#tokens = new Int32Array(64);
	#length = 0;
	readonly #key: Uint8Array | undefined;

	/** @param key - in a private stream: what its links are made with */
	constructor(key?: Uint8Array) {
		this.#key = key;
	}

	/** Tokens in the chain; the next one has this position. */
	get length(): number {
		return this.#length;
	}

	/** The tokens themselves: a view that holds until the next change. */
	get tokens(): Int32Array {
		return this.#tokens.subarray(0, this.#length);
	}

	/** The newest link. */
	get head(): Link {
		return this.at(this.#length);
	}

	/**
	 * The link after the first `length` tokens, a copy.
	 *
	 * @throws RangeError when the chain is not that long
	 */
	at(length: number): Link {
		if (length < 0 || length > this.#length) {
			throw new RangeError(`The chain has ${this.#length} links, not ${length}.`);
		}
		if (length === 0) return FIRST_LINK.slice();
		return this.#links.slice((length - 1) * LINK_BYTES, length * LINK_BYTES);
	}

	/** Adds the token of position `length` and returns the new head. */
	push(token: number): Link {
		const link = nextLink(this.head, this.#length, token, this.#key);
		const end = (this.#length + 1) * LINK_BYTES;
		if (end > this.#links.length) {
			const grown = new Uint8Array(this.#links.length * 2);
			grown.set(this.#links);
			this.#links = grown;
			const tokens = new Int32Array(this.#tokens.length * 2);
			tokens.set(this.#tokens);
			this.#tokens = tokens;
		}
		this.#tokens[this.#length] = token;
		this.#links.set(link, end - LINK_BYTES);
		this.#length++;
		return link;
	}

	/**
	 * A chain of the first `length` tokens.
	 *
	 * @throws RangeError when the chain is not that long
	 */
	beginning(length: number): TokenChain {
		const begun = new TokenChain(this.#key);
		begun.#links = this.#links.slice(0, Math.max(this.#links.length, LINK_BYTES));
		begun.#tokens = this.#tokens.slice();
		begun.#length = this.#length;
		begun.truncate(length);
		return begun;
	}

	/**
	 * Forgets every token from position `length` on.
	 *
	 * @throws RangeError when the chain is not that long
	 */
	truncate(length: number): void {
		if (length < 0 || length > this.#length) {
			throw new RangeError(`The chain has ${this.#length} links, not ${length}.`);
		}
		this.#length = length;
	}
}
