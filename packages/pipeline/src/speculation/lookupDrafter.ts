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
	/** How far behind the newest token the one lay that it was like. */
	#distance = 0;

	/** @param shortest - tokens that have to stand there as they do at the end; 0: where the text left what it repeated, it may come back */
	constructor(shortest = 0) {
		this.#shortest = shortest;
	}

	draft(tokens: Int32Array, wanted: (matched?: number) => number): readonly number[] {
		const end = tokens.length;
		const newest = tokens[end - 1];
		let longest = Math.max(SHORTEST, this.#shortest) - 1;
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
		if (at < 0) {
			// A word for another one: what comes behind it is often the same again.
			if (this.#shortest > 0 || this.#distance === 0) return [];
			longest = 0;
			at = end - 1 - this.#distance;
		}
		// Where it repeats itself with a short period, it goes on doing so.
		const period = end - 1 - at;
		this.#distance = period;
		return Array.from({ length: wanted(longest) }, (_, i) => tokens[at + 1 + (i % period)]!);
	}
}
