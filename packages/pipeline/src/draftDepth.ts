/** What a lap or a draft says counts for less with each one after it, so that some twenty of them decide. */
const MEMORY = 0.95;
/** As if so many drafts had been accepted, of so many, before the first: worth a try. */
const FIRST_ACCEPTED = 2;
const FIRST_DRAFTED = 3;
/** As if laps with drafts had taken no longer, until they show by how much they do: squares of drafts, as in ridge regression. */
const RIDGE = 4;
/** A lap that takes so many times as long as expected was held up by something else. */
const HELD_UP = 3;
/** Another draft is worth its work on every stage where it brings so much more tokens per second. */
const WORTH = 0.01;

/**
 * How many tokens to draft for the next lap: as many as bring the most tokens per second, by how many were accepted lately
 * and how much longer a lap takes with each. None where every one of them slows the answer down.
 */
export class DraftDepth {
	#accepted = FIRST_ACCEPTED;
	#drafted = FIRST_DRAFTED;
	// Weighted sums over laps of 1, drafts, milliseconds and their products.
	#laps = 0;
	#x = 0;
	#y = 0;
	#xx = 0;
	#xy = 0;

	/** The share of drafts that are accepted where those before them were. */
	get acceptance(): number {
		return this.#accepted / this.#drafted;
	}

	/** @param most - drafts that there is room for */
	best(most: number): number {
		const { acceptance } = this;
		const { lapMs, draftMs } = this.#times();
		if (lapMs === 0) return 0;
		let best = 0;
		let bestRate = 1 / lapMs;
		let tokens = 1;
		let chance = 1;
		for (let drafts = 1; drafts <= most; drafts++) {
			chance *= acceptance;
			tokens += chance;
			const rate = tokens / (lapMs + drafts * draftMs);
			if (rate <= bestRate * (1 + WORTH)) continue;
			best = drafts;
			bestRate = rate;
		}
		return best;
	}

	/** One draft was compared with the token itself. */
	compared(accepted: boolean): void {
		this.#accepted = this.#accepted * MEMORY + (accepted ? 1 : 0);
		this.#drafted = this.#drafted * MEMORY + 1;
	}

	/** A lap with so many drafts took so long, from the tokens before to the tokens after. */
	lap(drafts: number, ms: number): void {
		const { lapMs, draftMs } = this.#times();
		const expected = lapMs + drafts * draftMs;
		const counted = lapMs > 0 ? Math.min(ms, HELD_UP * expected) : ms;
		this.#laps = this.#laps * MEMORY + 1;
		this.#x = this.#x * MEMORY + drafts;
		this.#y = this.#y * MEMORY + counted;
		this.#xx = this.#xx * MEMORY + drafts * drafts;
		this.#xy = this.#xy * MEMORY + drafts * counted;
	}

	/** A lap's time without drafts, and what each draft adds to it: the line through the laps. */
	#times(): { lapMs: number; draftMs: number } {
		if (this.#laps === 0) return { lapMs: 0, draftMs: 0 };
		const x = this.#x / this.#laps;
		const y = this.#y / this.#laps;
		const spread = this.#xx - this.#laps * x * x;
		const draftMs = Math.max(0, (this.#xy - this.#laps * x * y) / (spread + RIDGE));
		return { lapMs: Math.max(y - draftMs * x, y / (1 + x)), draftMs };
	}
}
