/** The shape of a tiny llama, and the seed of its weights. */
export interface SeededModelOptions {
	/** @default 1 */
	readonly seed?: number;
	/** @default 4 */
	readonly layers?: number;
	/** Heads × a multiple of 16. @default 64 */
	readonly hidden?: number;
	/** @default 96 */
	readonly feedForward?: number;
	/** @default 4 */
	readonly heads?: number;
	/** @default 2 */
	readonly keyValueHeads?: number;
	/** At least 387: special tokens, bytes, letters. @default 512 */
	readonly vocabulary?: number;
	/** @default 128 */
	readonly context?: number;
	/** @default true */
	readonly tiedHead?: boolean;
}

/**
 * A real llama2.c model with weights from a seed: `model.bin` and `tokenizer.bin`, the same bytes for the same options everywhere.
 * It writes nonsense, deterministically, which is all that a test needs.
 */
export function seededModelFiles(options: SeededModelOptions = {}): {
	model: Uint8Array<ArrayBuffer>;
	tokenizer: Uint8Array<ArrayBuffer>;
} {
	const {
		seed = 1,
		layers = 4,
		hidden = 64,
		feedForward = 96,
		heads = 4,
		keyValueHeads = 2,
		vocabulary = 512,
		context = 128,
		tiedHead = true,
	} = options;
	const headSize = hidden / heads;
	const random = mulberry32(seed);
	const header = Int32Array.of(
		hidden,
		feedForward,
		layers,
		heads,
		keyValueHeads,
		tiedHead ? vocabulary : -vocabulary,
		context,
	);
	const uniform = (count: number, width: number) =>
		Float32Array.from({ length: count }, () => (random() * 2 - 1) * width);
	// Norm gains near 1, projections wide enough that layers matter: with narrow ones every position would say the same.
	const gains = (count: number) => Float32Array.from({ length: count }, () => 0.75 + random() * 0.5);
	const projection = (rows: number, columns: number) =>
		uniform(layers * rows * columns, Math.sqrt(3 / columns) * 1.5);
	const parts = [
		uniform(vocabulary * hidden, 1),
		gains(layers * hidden),
		projection(heads * headSize, hidden),
		projection(keyValueHeads * headSize, hidden),
		projection(keyValueHeads * headSize, hidden),
		projection(hidden, heads * headSize),
		gains(layers * hidden),
		projection(feedForward, hidden),
		projection(hidden, feedForward),
		projection(feedForward, hidden),
		gains(hidden),
		new Float32Array(context * headSize),
		...(tiedHead ? [] : [uniform(vocabulary * hidden, 1)]),
	];
	return { model: concatenate([header, ...parts]), tokenizer: seededTokenizer(vocabulary, random) };
}

/** Special tokens, bytes, printable ASCII, and pairs of pieces up to the wanted size. */
function seededTokenizer(vocabulary: number, random: () => number): Uint8Array<ArrayBuffer> {
	const encoder = new TextEncoder();
	const letters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
	const pieces = new Set(letters);
	const known = [...letters];
	const lower = "abcdefghijklmnopqrstuvwxyz ";
	while (pieces.size < vocabulary - 259) {
		const left =
			random() < 0.6
				? lower[Math.floor(random() * lower.length)]!
				: known[Math.floor(random() * known.length)]!;
		const piece = left + lower[Math.floor(random() * (lower.length - 1))]!;
		if (piece.length > 4 || pieces.has(piece)) continue;
		pieces.add(piece);
		known.push(piece);
	}
	const entries: [score: number, bytes: Uint8Array][] = [
		[0, encoder.encode("<unk>")],
		[0, encoder.encode("\n<s>\n")],
		[0, encoder.encode("\n</s>\n")],
		...Array.from({ length: 256 }, (_, byte): [number, Uint8Array] => [0, Uint8Array.of(byte)]),
		...[...pieces].map((piece, i): [number, Uint8Array] => [-i, encoder.encode(piece)]),
	];
	return concatenate([
		Int32Array.of(27),
		...entries.flatMap(([score, bytes]) => [Float32Array.of(score), Int32Array.of(bytes.length), bytes]),
	]);
}

function concatenate(parts: readonly (Int32Array | Float32Array | Uint8Array)[]): Uint8Array<ArrayBuffer> {
	const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
	let at = 0;
	for (const part of parts) {
		whole.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
		at += part.byteLength;
	}
	return whole;
}

/** Tommy Ettinger's Mulberry32: 32 bits of state, the same sequence everywhere. */
function mulberry32(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}
