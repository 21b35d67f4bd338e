import { ModelFileError } from "@tabmesh/wire";

interface Piece {
	readonly text: string;
	readonly score: number;
}

/** Ids 3 … 258 of a SentencePiece vocabulary with byte fallback are the 256 bytes. llama2.c stores them decoded. */
const firstByte = 3;
const firstPiece = firstByte + 256;
/** SentencePiece's mark for a space. */
const space = "▁";

/**
 * Turns llama2.c's `tokenizer.bin` into the bytes of a `tokenizer.json`, the same for the same input, so that every runtime
 * of Hugging Face tokenizers can use it: a BPE with byte fallback whose merges are rebuilt from the vocabulary.
 *
 * @param content - int32 length of the longest piece, then for each piece float32 score, int32 length and its bytes
 * @throws ModelFileError when it does not hold exactly `vocabularySize` pieces
 */
export function readLlama2cTokenizer(content: Uint8Array, vocabularySize: number): Uint8Array<ArrayBuffer> {
	const pieces = readPieces(content, vocabularySize);
	const vocabulary = new Map<string, number>();
	for (const [id, { text }] of pieces.entries()) {
		if (vocabulary.has(text)) {
			throw new ModelFileError(`The tokenizer has the piece ${JSON.stringify(text.slice(0, 32))} twice.`);
		}
		vocabulary.set(text, id);
	}
	const special = (id: number) => ({
		id,
		content: pieces[id]!.text,
		single_word: false,
		lstrip: false,
		rstrip: false,
		normalized: false,
		special: true,
	});
	const json = {
		version: "1.0",
		truncation: null,
		padding: null,
		added_tokens: [0, 1, 2].map(special),
		normalizer: {
			type: "Sequence",
			normalizers: [
				{ type: "Prepend", prepend: space },
				{ type: "Replace", pattern: { String: " " }, content: space },
			],
		},
		pre_tokenizer: null,
		post_processor: null,
		decoder: {
			type: "Sequence",
			decoders: [
				{ type: "Replace", pattern: { String: space }, content: " " },
				{ type: "ByteFallback" },
				{ type: "Fuse" },
				{ type: "Strip", content: " ", start: 1, stop: 0 },
			],
		},
		model: {
			type: "BPE",
			dropout: null,
			unk_token: pieces[0]!.text,
			continuing_subword_prefix: null,
			end_of_word_suffix: null,
			fuse_unk: true,
			byte_fallback: true,
			vocab: Object.fromEntries(vocabulary),
			merges: rebuildMerges(pieces),
		},
	};
	return new TextEncoder().encode(JSON.stringify(json));
}

function readPieces(content: Uint8Array, vocabularySize: number): Piece[] {
	const broken = (why: string) => new ModelFileError(`The llama2.c tokenizer is broken: ${why}.`);
	if (vocabularySize < firstPiece) {
		throw broken(`${vocabularySize} entries leave no room for the special tokens and the 256 bytes`);
	}
	const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
	const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
	const pieces: Piece[] = [];
	let offset = 4;
	for (let id = 0; id < vocabularySize; id++) {
		if (offset + 8 > content.byteLength) throw broken(`it ends after ${id} of ${vocabularySize} pieces`);
		const score = view.getFloat32(offset, true);
		const length = view.getInt32(offset + 4, true);
		offset += 8;
		if (length < 0 || offset + length > content.byteLength)
			throw broken(`piece ${id} has a length of ${length}`);
		if (Number.isNaN(score)) throw broken(`piece ${id} has no score`);
		let text: string;
		if (id < firstByte) text = ["<unk>", "<s>", "</s>"][id]!;
		else if (id < firstPiece) text = byteToken(id - firstByte);
		else {
			try {
				text = decoder.decode(content.subarray(offset, offset + length)).replaceAll(" ", space);
			} catch (cause) {
				throw new ModelFileError(`The llama2.c tokenizer is broken: piece ${id} is not UTF-8.`, { cause });
			}
		}
		pieces.push({ text, score });
		offset += length;
	}
	if (offset !== content.byteLength) {
		throw broken(`${content.byteLength - offset} bytes follow its ${vocabularySize} pieces`);
	}
	return pieces;
}

/** The name of a byte-fallback token. */
export function byteToken(byte: number): string {
	return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/**
 * Every way to put a piece together from two others, best score first, as Hugging Face's `SentencePieceExtractor` does it.
 * Special tokens and bytes take no part, so that no text can be merged into them.
 */
function rebuildMerges(pieces: readonly Piece[]): [string, string][] {
	const ids = new Map<string, number>();
	for (let id = firstPiece; id < pieces.length; id++) ids.set(pieces[id]!.text, id);
	const merges: { left: string; right: string; score: number }[] = [];
	for (let id = firstPiece; id < pieces.length; id++) {
		const { text, score } = pieces[id]!;
		const splits: typeof merges = [];
		for (let cut = 1; cut < text.length; cut++) {
			const left = text.slice(0, cut);
			const right = text.slice(cut);
			if (ids.has(left) && ids.has(right)) splits.push({ left, right, score });
		}
		splits.sort((a, b) => ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!);
		merges.push(...splits);
	}
	merges.sort(
		(a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length,
	);
	return merges.map(({ left, right }) => [left, right]);
}
