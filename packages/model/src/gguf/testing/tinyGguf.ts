import { blockLayout, type WeightType } from "../blockLayout.ts";
import type { Ggml } from "./ggml.ts";
import { type TinyVocabulary, tinySentencePiece } from "./tinyVocabulary.ts";
import { type WrittenTensor, type WrittenValue, writeGguf } from "./writeGguf.ts";

/** The shape of a tiny model. Everything that K formats store has rows of 256. */
export interface TinyGgufOptions {
	/** @default "llama" */
	readonly architecture?: "llama" | "qwen2" | "qwen3";
	/** What is other than in {@link tinyShape}. */
	readonly shape?: Partial<TinyShape>;
	/**
	 * How matrices are stored; norms and biases are F32. Where rows are no whole blocks of it, Q8_0 or F16 takes its place, as in files
	 * that people use. @default "F32"
	 */
	readonly type?: WeightType;
	/** Quantises where `type` is not F32. */
	readonly ggml?: Ggml;
	/** @default tinySentencePiece() */
	readonly vocabulary?: TinyVocabulary;
	/** @default false */
	readonly tiedHead?: boolean;
	/** `rope_freqs.weight`. */
	readonly ropeFactors?: readonly number[];
	/** More metadata, or other. */
	readonly metadata?: Readonly<Record<string, WrittenValue>>;
	/** @default 1 */
	readonly seed?: number;
}

export interface TinyShape {
	readonly layers: number;
	readonly hiddenSize: number;
	readonly feedForwardSize: number;
	readonly heads: number;
	readonly keyValueHeads: number;
	/** Of its own in a qwen3, else hidden size / heads. */
	readonly headSize: number;
	readonly contextLength: number;
	readonly theta: number;
}

export const tinyShape = {
	layers: 2,
	hiddenSize: 256,
	feedForwardSize: 512,
	heads: 8,
	keyValueHeads: 2,
	contextLength: 512,
	theta: 10_000,
} as const;

function shapeOf({ architecture, shape }: TinyGgufOptions): TinyShape {
	const given = { ...tinyShape, ...shape };
	const headSize = architecture === "qwen3" ? 64 : given.hiddenSize / given.heads;
	return { headSize, ...given };
}

/** For tests: metadata and tensors of a small real model with weights from a seed. */
export function tinyGguf(options: TinyGgufOptions = {}): {
	metadata: Record<string, WrittenValue>;
	tensors: WrittenTensor[];
} {
	const { architecture = "llama", type = "F32", ggml, tiedHead = false, seed = 1 } = options;
	const vocabulary = options.vocabulary ?? tinySentencePiece();
	const { layers, hiddenSize, feedForwardSize, heads, keyValueHeads, headSize, contextLength, theta } =
		shapeOf(options);
	const random = xorshift(seed);
	const tensors: WrittenTensor[] = [];
	const vector = (name: string, size: number, middle: number) => {
		const values = Float32Array.from({ length: size }, () => middle + (random() - 0.5) * 0.5);
		tensors.push({ name, type: "F32", shape: [size], bytes: new Uint8Array(values.buffer) });
	};
	const matrix = (name: string, rows: number, columns: number, scale = Math.sqrt(3 / columns) * 1.5) => {
		const values = Float32Array.from({ length: rows * columns }, () => (random() * 2 - 1) * scale);
		const fitting = [type, "Q8_0" as const, "F16" as const].find(
			(candidate) => columns % blockLayout(candidate).blockElements === 0,
		)!;
		tensors.push({
			name,
			type: fitting,
			shape: [rows, columns],
			bytes: stored(fitting, values, columns, ggml),
		});
	};
	matrix("token_embd.weight", vocabulary.size, hiddenSize, 1);
	for (let layer = 0; layer < layers; layer++) {
		const block = `blk.${layer}`;
		vector(`${block}.attn_norm.weight`, hiddenSize, 1);
		matrix(`${block}.attn_q.weight`, heads * headSize, hiddenSize);
		matrix(`${block}.attn_k.weight`, keyValueHeads * headSize, hiddenSize);
		matrix(`${block}.attn_v.weight`, keyValueHeads * headSize, hiddenSize);
		if (architecture === "qwen2") {
			vector(`${block}.attn_q.bias`, heads * headSize, 0.3);
			vector(`${block}.attn_k.bias`, keyValueHeads * headSize, 0.2);
			vector(`${block}.attn_v.bias`, keyValueHeads * headSize, -0.2);
		}
		if (architecture === "qwen3") {
			vector(`${block}.attn_q_norm.weight`, headSize, 1.5);
			vector(`${block}.attn_k_norm.weight`, headSize, 1.2);
		}
		matrix(`${block}.attn_output.weight`, hiddenSize, heads * headSize);
		vector(`${block}.ffn_norm.weight`, hiddenSize, 1);
		matrix(`${block}.ffn_gate.weight`, feedForwardSize, hiddenSize);
		matrix(`${block}.ffn_up.weight`, feedForwardSize, hiddenSize);
		matrix(`${block}.ffn_down.weight`, hiddenSize, feedForwardSize);
	}
	vector("output_norm.weight", hiddenSize, 1);
	if (!tiedHead) matrix("output.weight", vocabulary.size, hiddenSize, 0.2);
	if (options.ropeFactors) {
		const factors = Float32Array.from(options.ropeFactors);
		tensors.push({
			name: "rope_freqs.weight",
			type: "F32",
			shape: [factors.length],
			bytes: new Uint8Array(factors.buffer),
		});
	}
	const metadata: Record<string, WrittenValue> = {
		"general.architecture": { string: architecture },
		[`${architecture}.block_count`]: { u32: layers },
		[`${architecture}.context_length`]: { u32: contextLength },
		[`${architecture}.embedding_length`]: { u32: hiddenSize },
		[`${architecture}.feed_forward_length`]: { u32: feedForwardSize },
		[`${architecture}.attention.head_count`]: { u32: heads },
		[`${architecture}.attention.head_count_kv`]: { u32: keyValueHeads },
		[`${architecture}.attention.key_length`]: { u32: headSize },
		[`${architecture}.attention.value_length`]: { u32: headSize },
		[`${architecture}.attention.layer_norm_rms_epsilon`]: { f32: 1e-5 },
		[`${architecture}.rope.freq_base`]: { f32: theta },
		[`${architecture}.rope.dimension_count`]: { u32: headSize },
		...vocabulary.metadata,
		...options.metadata,
	};
	return { metadata, tensors };
}

/** {@link tinyGguf} as the bytes of a file. */
export function tinyGgufFile(options: TinyGgufOptions = {}): Uint8Array<ArrayBuffer> {
	const { metadata, tensors } = tinyGguf(options);
	return writeGguf(metadata, tensors);
}

function stored(
	type: WeightType,
	values: Float32Array<ArrayBuffer>,
	columns: number,
	ggml: Ggml | undefined,
): Uint8Array {
	if (type === "F32") return new Uint8Array(values.buffer);
	if (type === "F16") return new Uint8Array(new Float16Array(values).buffer);
	if (type === "BF16") {
		const words = new Uint32Array(values.buffer);
		return new Uint8Array(
			Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16).buffer,
		);
	}
	if (!ggml)
		throw new Error(`ggml is needed to quantise to ${type}, in blocks of ${blockLayout(type).blockElements}`);
	return ggml.quantise(type, values, columns);
}

/** Marsaglia's xorshift32: the same sequence everywhere. */
function xorshift(seed: number): () => number {
	let state = (seed * 2654435761) >>> 0 || 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		state >>>= 0;
		return state / 4294967296;
	};
}
