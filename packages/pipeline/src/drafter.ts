/** Guesses how a text goes on. What it guesses is verified: a bad guess costs a little time, and never changes a token. */
export interface Drafter {
	/**
	 * The tokens that are likely to come behind `tokens`, in order; fewer or none where it has no idea.
	 *
	 * @param tokens - prompt and answer so far; a view that holds until the call returns
	 * @param most - how many are wanted at most
	 */
	draft(tokens: Int32Array, most: number): readonly number[] | Promise<readonly number[]>;
	/** Frees what it holds for this text. */
	close?(): void;
}
