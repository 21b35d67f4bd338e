import { limits } from "@tabmesh/wire";
import { DraftDepth } from "./draftDepth.ts";
import type { Drafter } from "./drafter.ts";

/**
 * The drafts of one stream, at its first stage: how many, and how good they are. While nothing is sent the drafts are still
 * made and compared with what comes, so that it notices when they are worth it again.
 */
export class Speculation {
	readonly #drafter: Drafter;
	readonly #depth = new DraftDepth();
	/** What the drafter thinks comes next, whether it was sent or not. */
	#guess: readonly number[] = [];
	/** How many tokens stood before it as they stand at the end. */
	#matched: number | undefined;
	#sent = 0;
	/** By `performance.now()`: when the newest tokens came. */
	#since: number | undefined;

	constructor(drafter: Drafter) {
		this.#drafter = drafter;
	}

	/**
	 * The drafts for the lap that begins now.
	 *
	 * @param tokens - prompt and answer so far
	 * @param room - positions that may be drafted at most
	 * @param draftMs - about how long all stages compute for a draft
	 */
	draft(tokens: Int32Array, room: number, draftMs: number): readonly number[] | Promise<readonly number[]> {
		this.#matched = undefined;
		let most = 0;
		const guess = this.#drafter.draft(tokens, (matched) => {
			this.#matched = matched;
			most = this.#depth.best(Math.min(room, limits.drafts), draftMs, matched);
			// One is compared with what comes in any case.
			return Math.max(most, 1);
		});
		return "then" in guess ? guess.then((guess) => this.#take(guess, most)) : this.#take(guess, most);
	}

	#take(guess: readonly number[], most: number): readonly number[] {
		this.#guess = guess;
		const drafts = guess.slice(0, most);
		this.#sent = drafts.length;
		return drafts;
	}

	/** A lap has brought these tokens. */
	sampled(tokens: readonly number[], now: number): void {
		if (this.#since !== undefined) this.#depth.lap(this.#sent, now - this.#since);
		this.#since = now;
		for (const [i, token] of tokens.entries()) {
			const guess = this.#guess[i];
			if (guess === undefined) break;
			this.#depth.compared(guess === token, this.#matched, i);
			if (guess !== token) break;
		}
	}

	/** The stream stood still: how long the lap under way takes says nothing. */
	interrupted(): void {
		this.#since = undefined;
		this.#guess = [];
	}

	close(): void {
		this.#drafter.close?.();
	}
}
