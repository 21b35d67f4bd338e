import { TokenizerError } from "@tabmesh/wire";
import { addedTokens, type GgufVocabulary, tokenKind } from "./ggufVocabulary.ts";
import type { TokenizerJson, TokenizerStep } from "./tokenizerJson.ts";

/** SentencePiece's mark for a space. */
const space = "▁";

/**
 * A `tokenizer.json` for a SentencePiece BPE vocabulary (`tokenizer.ggml.model` = `llama`): no pre-tokeniser, spaces as ▁, what no
 * piece covers as bytes, merges rebuilt from pieces and scores.
 *
 * @param options.prefixSpace - whether a text (and what follows a special token) gets a space in front
 * @throws TokenizerError when scores or byte tokens are missing
 * @see https://github.com/google/sentencepiece `src/bpe_model.cc`
 */
export function sentencePieceTokenizer(
	vocabulary: GgufVocabulary,
	options: { prefixSpace: boolean },
): TokenizerJson {
	const { texts, ids, kinds } = vocabulary;
	const bytes = Array.from({ length: 256 }, (_, byte) => byteToken(byte)).filter((token) =>
		ids.has(token),
	).length;
	if (bytes !== 0 && bytes !== 256) {
		throw new TokenizerError(`The vocabulary has holes: ${256 - bytes} of the 256 byte tokens are missing.`);
	}
	const unknown = texts.findIndex((_, id) => kinds[id] === tokenKind.unknown);
	if (bytes === 0 && unknown < 0) {
		throw new TokenizerError(
			"The vocabulary has neither byte tokens nor one for the unknown: most text has no tokens.",
		);
	}
	const unspace: TokenizerStep = { type: "Replace", pattern: { String: space }, content: " " };
	const decoders: TokenizerStep[] = [unspace, { type: "ByteFallback" }, { type: "Fuse" }];
	const normalizers: TokenizerStep[] = [{ type: "Replace", pattern: { String: " " }, content: space }];
	if (options.prefixSpace) {
		normalizers.unshift({ type: "Prepend", prepend: space });
		decoders.push({ type: "Strip", content: " ", start: 1, stop: 0 });
	}
	return {
		version: "1.0",
		truncation: null,
		padding: null,
		added_tokens: addedTokens(vocabulary),
		normalizer: { type: "Sequence", normalizers },
		pre_tokenizer: null,
		post_processor: null,
		decoder: { type: "Sequence", decoders },
		model: {
			type: "BPE",
			dropout: null,
			unk_token: texts[unknown] ?? null,
			continuing_subword_prefix: null,
			end_of_word_suffix: null,
			fuse_unk: true,
			byte_fallback: bytes === 256,
			ignore_merges: false,
			vocab: Object.fromEntries(ids),
			merges: rebuildMerges(vocabulary),
		},
	};
}

/** The name of a byte-fallback token. */
function byteToken(byte: number): string {
	return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/**
 * Every way to put a piece together from two others, best score first: SentencePiece joins the pair whose result has the best
 * score, which is the order of these merges. Control, byte and unused tokens take no part, so that no text merges into them.
 */
function rebuildMerges({ texts, ids, kinds, scores }: GgufVocabulary): [string, string][] {
	if (!scores)
		throw new TokenizerError("The vocabulary has no scores: how its pieces merge cannot be known.");
	const mergeable = (id: number | undefined): boolean =>
		id !== undefined && (kinds[id] === tokenKind.normal || kinds[id] === tokenKind.userDefined);
	const merges: { left: string; right: string; score: number; id: number }[] = [];
	for (const [id, text] of texts.entries()) {
		const score = scores[id]!;
		if (Number.isNaN(score)) throw new TokenizerError(`Token ${id} has no score.`);
		if (!mergeable(id)) continue;
		for (let cut = 1; cut < text.length; cut++) {
			// Between the halves of a surrogate pair lies no character.
			if ((text.charCodeAt(cut) & 0xfc00) === 0xdc00) continue;
			const left = text.slice(0, cut);
			const right = text.slice(cut);
			if (mergeable(ids.get(left)) && mergeable(ids.get(right))) merges.push({ left, right, score, id });
		}
	}
	merges.sort((a, b) => b.score - a.score || a.id - b.id || a.left.length - b.left.length);
	return merges.map(({ left, right }) => [left, right]);
}
