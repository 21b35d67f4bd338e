/** What a lap or a draft says counts for less with each one after it, so that some twenty of them decide. */
const MEMORY = 0.95;
/** The same for laps with drafts while none are sent: after some hundred tokens they are worth another try. */
const REST = 0.99;
/** As if so many drafts had been accepted, of so many, before the first: worth a try. */
const FIRST_ACCEPTED = 2;
const FIRST_DRAFTED = 3;
/** So much laps with drafts weigh against what a draft was expected to cost: squares of drafts, as in ridge regression. */
const RIDGE = 1;
/** Laps with drafts after which one goes without, to see how long that takes now. */
const PLAIN_EVERY = 32;
/** A lap that takes so many times as long as expected was held up by something else. */
const HELD_UP = 3;
/** Another draft is worth its work on every stage where it brings so much more tokens per second. */
const WORTH = 0.01;

/** The longer a text has gone on as it did before, the surer it still does: tokens from which on a draft is of the next kind. */
const LONGER = [2, 4, 8];
const KINDS = LONGER.length + 2;

/** Drafts that come from elsewhere are a kind of their own; with each that is accepted, what agrees grows longer. */
function kindOf(matched: number | undefined, before: number): number {
	if (matched === undefined) return 0;
	return 1 + LONGER.filter((length) => matched + before >= length).length;
}

/**
 * How many tokens to draft for the next lap: as many as bring the most tokens per second, by how many were accepted lately
 * and how much longer a lap takes with each. None where every one of them slows the answer down.
 */
export class DraftDepth {
	/** Of the kinds of drafts: those that were accepted, and all. */
	readonly #accepted: number[] = Array.from({ length: KINDS }, () => FIRST_ACCEPTED);
	readonly #drafted: number[] = Array.from({ length: KINDS }, () => FIRST_DRAFTED);
	/** Laps without drafts: their time, in milliseconds, and how many are remembered. */
	#plainMs = 0;
	#plain = 0;
	#sincePlain = 0;
	/** Weighted sums over laps with drafts: of drafts by what they added, and of squares of drafts. */
	#added = 0;
	#squares = 0;
	#expectedMs = 0;

	/**
	 * @param most - drafts that there is room for
	 * @param expectedMs - what a draft adds to a lap, as far as is known without trying
	 * @param matched - tokens that stood before the drafts as they stand now; undefined where they come from elsewhere
	 */
	best(most: number, expectedMs: number, matched?: number): number {
		this.#expectedMs = expectedMs;
		if (this.#plain === 0 || this.#sincePlain >= PLAIN_EVERY) return 0;
		const lapMs = this.#plainMs;
		const draftMs = this.#draftMs;
		let best = 0;
		let bestRate = 1 / lapMs;
		let tokens = 1;
		let chance = 1;
		for (let drafts = 1; drafts <= most; drafts++) {
			const kind = kindOf(matched, drafts - 1);
			chance *= this.#accepted[kind]! / this.#drafted[kind]!;
			tokens += chance;
			const rate = tokens / (lapMs + drafts * draftMs);
			if (rate <= bestRate * (1 + WORTH)) continue;
			best = drafts;
			bestRate = rate;
		}
		return best;
	}

	/**
	 * One draft was compared with the token itself, those before it in its lap were accepted.
	 *
	 * @param before - how many they are
	 */
	compared(accepted: boolean, matched?: number, before = 0): void {
		const kind = kindOf(matched, before);
		this.#accepted[kind] = this.#accepted[kind]! * MEMORY + (accepted ? 1 : 0);
		this.#drafted[kind] = this.#drafted[kind]! * MEMORY + 1;
	}

	/** A lap with so many drafts took so long, from the tokens before to the tokens after. */
	lap(drafts: number, ms: number): void {
		const counted = this.#plain > 0 ? Math.min(ms, HELD_UP * (this.#plainMs + drafts * this.#draftMs)) : ms;
		if (drafts === 0) {
			this.#sincePlain = 0;
			this.#plain = this.#plain * MEMORY + 1;
			this.#plainMs += (counted - this.#plainMs) / this.#plain;
			this.#added *= REST;
			this.#squares *= REST;
		} else {
			this.#sincePlain++;
			this.#added = this.#added * MEMORY + drafts * (counted - this.#plainMs);
			this.#squares = this.#squares * MEMORY + drafts * drafts;
		}
	}

	/** What each draft adds to a lap. */
	get #draftMs(): number {
		return Math.max(0, (this.#added + RIDGE * this.#expectedMs) / (this.#squares + RIDGE));
	}
}
