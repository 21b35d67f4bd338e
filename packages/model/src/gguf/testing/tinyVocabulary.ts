import type { WrittenValue } from "./writeGguf.ts";

/** For tests: metadata of a small vocabulary of either kind, learned from {@link tinyText} by real BPE. */
export interface TinyVocabulary {
	readonly metadata: Readonly<Record<string, WrittenValue>>;
	readonly size: number;
}

/** Words, numbers, signs, several scripts, an emoji outside the BMP. */
export const tinyText = `Once upon a time, there was a little girl named Lily. She didn't like the sea, but she'd seen it 1234 times!
The capital of France is Paris; the capital of Germany is Berlin. Cost: $12.50 (or 11,75 €).
Der Bär schläft, während die Kinder spielen. Être ou ne pas être, voilà la question.
	def hello(name):
        return f"Hello, {name}!"   # comment
Привет, мир! 你好，世界。 こんにちは 🙂🙂 naïve café — “quoted” text… we'll we've I'M YOU'RE`;

const merges = 200;

/** SentencePiece BPE with byte fallback: `<unk>`, `<s>`, `</s>`, 256 bytes, pieces by score, one word of a user's own. */
export function tinySentencePiece(): TinyVocabulary {
	const text = `▁${tinyText.replaceAll(" ", "▁")}`;
	// A piece may begin with a space but not run over one, and lines end in a byte token.
	const words = text.split(/(?=▁)|\n/).map((word) => Array.from(word));
	const joined = learn(words, merges).map(([left, right]) => left + right);
	const letters = [...new Set(Array.from(text).filter((letter) => letter !== "\n"))];
	const bytes = Array.from(
		{ length: 256 },
		(_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
	);
	const pieces = [...new Set([...joined, ...letters])];
	const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces, "<tool>"];
	const types = [2, 3, 3, ...bytes.map(() => 6), ...pieces.map(() => 1), 4];
	const scores = [0, 0, 0, ...bytes.map(() => 0), ...pieces.map((_, i) => -i), 0];
	return {
		size: tokens.length,
		metadata: {
			"tokenizer.ggml.model": { string: "llama" },
			"tokenizer.ggml.tokens": { strings: tokens },
			"tokenizer.ggml.scores": { array: "f32", values: scores },
			"tokenizer.ggml.token_type": { array: "i32", values: types },
			"tokenizer.ggml.bos_token_id": { u32: 1 },
			"tokenizer.ggml.eos_token_id": { u32: 2 },
			"tokenizer.ggml.unknown_token_id": { u32: 0 },
			"tokenizer.ggml.add_bos_token": { bool: true },
		},
	};
}

/** Byte-level BPE: 256 bytes, merges, `<|begin|>`, `<|im_end|>` and one word of a user's own. */
export function tinyByteLevel(pre: string): TinyVocabulary {
	const letters = byteLetters();
	const encoder = new TextEncoder();
	const words = (tinyText.match(/ ?[\p{L}']+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+/gu) ?? []).map((word) =>
		Array.from(encoder.encode(word), (byte) => letters[byte]!),
	);
	const learned = learn(words, merges);
	const pieces = [...new Set(learned.map(([left, right]) => left + right))];
	const tokens = [...letters, ...pieces, "<|begin|>", "<|im_end|>", "<tool>"];
	const specials = letters.length + pieces.length;
	return {
		size: tokens.length,
		metadata: {
			"tokenizer.ggml.model": { string: "gpt2" },
			"tokenizer.ggml.pre": { string: pre },
			"tokenizer.ggml.tokens": { strings: tokens },
			"tokenizer.ggml.merges": { strings: learned.map((pair) => pair.join(" ")) },
			"tokenizer.ggml.token_type": {
				array: "i32",
				values: tokens.map((_, id) => (id < specials ? 1 : id < specials + 2 ? 3 : 4)),
			},
			"tokenizer.ggml.bos_token_id": { u32: specials },
			"tokenizer.ggml.eos_token_id": { u32: specials + 1 },
			"tokenizer.ggml.add_bos_token": { bool: false },
		},
	};
}

/** GPT-2's letter for each byte: printable ones stand for themselves, the rest from U+0100 on. */
function byteLetters(): string[] {
	let next = 256;
	return Array.from({ length: 256 }, (_, byte) => {
		const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
		return String.fromCharCode(printable ? byte : next++);
	});
}

/** What was learned before, by the text it was learned from. */
const lessons = new Map<string, [string, string][]>();

/** Byte-pair encoding: joins the most frequent pair, `count` times. */
function learn(words: readonly string[][], count: number): [string, string][] {
	const key = words.map((word) => word.join("")).join("");
	const before = lessons.get(key);
	if (before) return before;
	const current = words.map((word) => [...word]);
	const learned: [string, string][] = [];
	const known = new Set<string>();
	while (learned.length < count) {
		const pairs = new Map<string, number>();
		for (const word of current) {
			for (let i = 1; i < word.length; i++) {
				const pair = `${word[i - 1]} ${word[i]}`;
				pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
			}
		}
		const best = [...pairs]
			.filter(([pair]) => !known.has(pair))
			.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
		if (!best) break;
		known.add(best[0]);
		const [left, right] = best[0].split(" ") as [string, string];
		learned.push([left, right]);
		for (const word of current) {
			for (let i = 1; i < word.length; i++) {
				if (word[i - 1] === left && word[i] === right) word.splice(i - 1, 2, left + right);
			}
		}
	}
	lessons.set(key, learned);
	return learned;
}
