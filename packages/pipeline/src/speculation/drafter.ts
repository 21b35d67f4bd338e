/** Guesses how a text goes on. What it guesses is verified: a bad guess costs a little time, and never changes a token. */
export interface Drafter {
	/**
	 * The tokens that are likely to come behind `tokens`, in order; fewer or none where it has no idea.
	 *
	 * @param tokens - prompt and answer so far; a view that holds until the call returns
	 * @param wanted - how many are, where so many tokens at the end stood as they do before what follows; without that, where they come
	 * from elsewhere. To be asked once, before anything is drafted
	 */
	draft(
		tokens: Int32Array,
		wanted: (matched?: number) => number,
	): readonly number[] | Promise<readonly number[]>;
	/** Frees what it holds for this text. */
	close?(): void;
}
