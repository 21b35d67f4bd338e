import type { Drafter } from "./drafter.ts";

/** A single token that was there before says little of what comes: most are particles. */
const SHORTEST = 2;
/** A match of so many tokens is as good as a longer one. */
const LONG_ENOUGH = 8;

/**
 * Prompt lookup decoding (Saxena 2023; in transformers `prompt_lookup_num_tokens`): where the newest tokens stood in the text
 * before, it goes on as it did there. Quotations, code and lists of what the prompt has are mostly that.
 */
export class LookupDrafter implements Drafter {
	readonly #shortest: number;

	/** @param shortest - tokens that have to stand there as they do at the end */
	constructor(shortest = SHORTEST) {
		this.#shortest = shortest;
	}

	draft(tokens: Int32Array, most: number): readonly number[] {
		const end = tokens.length;
		const newest = tokens[end - 1];
		let longest = this.#shortest - 1;
		let at = -1;
		// The latest of the longest: a text's subject moves on.
		for (let i = end - 2; i >= 0 && longest < LONG_ENOUGH; i--) {
			if (tokens[i] !== newest) continue;
			let length = 1;
			while (length < LONG_ENOUGH && length <= i && tokens[i - length] === tokens[end - 1 - length]) length++;
			if (length > longest) {
				longest = length;
				at = i;
			}
		}
		if (at < 0) return [];
		// Where it repeats itself with a short period, it goes on doing so.
		const period = end - 1 - at;
		return Array.from({ length: most }, (_, i) => tokens[at + 1 + (i % period)]!);
	}
}
