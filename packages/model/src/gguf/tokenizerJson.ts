/** A token that is matched in text before anything else is done with it. */
export interface AddedToken {
	readonly id: number;
	readonly content: string;
	readonly single_word: boolean;
	readonly lstrip: boolean;
	readonly rstrip: boolean;
	readonly normalized: boolean;
	readonly special: boolean;
}

/** A step of a pipeline, as `tokenizer.json` writes it. */
export type TokenizerStep = { readonly type: string } & Readonly<Record<string, unknown>>;

/**
 * A `tokenizer.json` with a BPE model.
 *
 * @see https://github.com/huggingface/tokenizers `tokenizers/src/tokenizer/serialization.rs`
 */
export interface TokenizerJson {
	readonly version: "1.0";
	readonly truncation: null;
	readonly padding: null;
	readonly added_tokens: readonly AddedToken[];
	readonly normalizer: TokenizerStep | null;
	readonly pre_tokenizer: TokenizerStep | null;
	readonly post_processor: null;
	readonly decoder: TokenizerStep;
	readonly model: {
		readonly type: "BPE";
		readonly dropout: null;
		readonly unk_token: string | null;
		readonly continuing_subword_prefix: null;
		readonly end_of_word_suffix: null;
		readonly fuse_unk: boolean;
		readonly byte_fallback: boolean;
		readonly ignore_merges: boolean;
		readonly vocab: Readonly<Record<string, number>>;
		readonly merges: readonly (readonly [left: string, right: string])[];
	};
}
