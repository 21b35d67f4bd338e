import { TokenizerError } from "@tabmesh/wire";
import { addedTokens, type GgufVocabulary } from "./ggufVocabulary.ts";
import type { TokenizerJson, TokenizerStep } from "./tokenizerJson.ts";

const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const signs = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const llama3 = `${contractions}|${words}|\\p{N}{1,3}|${signs}`;
const qwen2 = `${contractions}|${words}|\\p{N}|${signs}`;
const tekken =
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** How a family of vocabularies cuts text before it merges bytes. */
interface Recipe {
	/** Regular expressions one after the other; each cuts what the one before it left whole. */
	readonly splits: readonly string[];
	/** A piece of text that is a token as it stands is that token, whatever the merges would make of it. */
	readonly wholeFirst?: true;
	/** Unicode composition before everything else. */
	readonly composed?: true;
	/** Whether a prompt begins with BOS where the file does not say. */
	readonly bos?: true;
}

const recipes = {
	/** What llama.cpp falls back to for files older than the key. */
	default: { splits: ["[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"] },
	gpt2: { splits: [gpt2] },
	digits: { splits: ["\\p{N}", gpt2] },
	llama3: { splits: [llama3], wholeFirst: true, bos: true },
	/** Llama 3's way to cut, without its other habits. */
	llama3Cut: { splits: [llama3] },
	qwen2: { splits: [qwen2], composed: true },
	stablelm2: { splits: [qwen2] },
	tekken: { splits: [tekken], wholeFirst: true, bos: true },
} satisfies Record<string, Recipe>;

/** The recipe of each `tokenizer.ggml.pre`, as llama.cpp's `llama-vocab.cpp` has them. */
const recipeOf: Readonly<Record<string, Recipe>> = {
	default: recipes.default,
	"gpt-2": recipes.gpt2,
	"phi-2": recipes.gpt2,
	mpt: recipes.gpt2,
	olmo: recipes.gpt2,
	jais: recipes.gpt2,
	smollm: recipes.digits,
	starcoder: recipes.digits,
	refact: recipes.digits,
	"command-r": recipes.digits,
	codeshell: recipes.digits,
	exaone: recipes.digits,
	"minerva-7b": recipes.digits,
	"llama-bpe": recipes.llama3,
	llama3: recipes.llama3,
	"llama-v3": recipes.llama3,
	falcon3: recipes.llama3,
	pixtral: recipes.llama3,
	"smaug-bpe": recipes.llama3Cut,
	dbrx: recipes.llama3Cut,
	qwen2: recipes.qwen2,
	"deepseek-r1-qwen": recipes.qwen2,
	megrez: recipes.qwen2,
	stablelm2: recipes.stablelm2,
	tekken: recipes.tekken,
};

/** Whether prompts for this vocabulary begin with BOS where the file does not say. */
export function byteLevelAddsBos(pre: string): boolean {
	return recipeOf[pre]?.bos ?? false;
}

/**
 * A `tokenizer.json` for a byte-level BPE vocabulary (`tokenizer.ggml.model` = `gpt2`).
 *
 * @param pre - `tokenizer.ggml.pre`: how text is cut before bytes are merged
 * @throws TokenizerError when `pre` is unknown, or merges are missing or name tokens that the vocabulary does not have
 */
export function byteLevelTokenizer(vocabulary: GgufVocabulary, pre: string): TokenizerJson {
	const recipe = Object.hasOwn(recipeOf, pre) ? recipeOf[pre] : undefined;
	if (!recipe) {
		throw new TokenizerError(
			`The vocabulary cuts text in the way ${JSON.stringify(pre.slice(0, 64))}, which Tabmesh does not know.`,
			{
				metaMessages: [
					`It knows ${Object.keys(recipeOf).join(", ")}.`,
					"Publish the model from its Hugging Face files instead, which bring their own tokenizer.json.",
				],
			},
		);
	}
	const split = (regex: string): TokenizerStep => ({
		type: "Split",
		pattern: { Regex: regex },
		behavior: "Isolated",
		invert: false,
	});
	const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
	return {
		version: "1.0",
		truncation: null,
		padding: null,
		added_tokens: addedTokens(vocabulary),
		normalizer: recipe.composed ? { type: "NFC" } : null,
		pre_tokenizer: { type: "Sequence", pretokenizers: [...recipe.splits.map(split), bytes] },
		post_processor: null,
		decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
		model: {
			type: "BPE",
			dropout: null,
			unk_token: null,
			continuing_subword_prefix: null,
			end_of_word_suffix: null,
			fuse_unk: false,
			byte_fallback: false,
			ignore_merges: recipe.wholeFirst ?? false,
			vocab: Object.fromEntries(vocabulary.ids),
			merges: splitMerges(vocabulary),
		},
	};
}

/** `"Ġ t"` becomes `["Ġ", "t"]`; both and their union are tokens. */
function splitMerges({ merges, ids }: GgufVocabulary): [string, string][] {
	if (!merges) throw new TokenizerError("The vocabulary has no merges.");
	return merges.map((merge, index) => {
		// A token may begin with a space in old files, hence from 1.
		const cut = merge.indexOf(" ", 1);
		const left = merge.slice(0, cut);
		const right = merge.slice(cut + 1);
		if (cut < 1 || right === "") {
			throw new TokenizerError(`Merge ${index} is ${JSON.stringify(merge.slice(0, 32))} instead of a pair.`);
		}
		for (const token of [left, right, left + right]) {
			if (!ids.has(token)) {
				throw new TokenizerError(
					`The vocabulary has holes: merge ${index} needs ${JSON.stringify(token.slice(0, 32))}, which is no token.`,
				);
			}
		}
		return [left, right];
	});
}
