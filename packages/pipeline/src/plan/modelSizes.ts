import type { Manifest, Span, TensorEntry } from "@tabmesh/wire";

/** Bytes that one weight of a matrix takes in the formats that engines run, block scales included. */
const bytesPerWeight: Readonly<Record<string, number>> = {
	f32: 4,
	// Blocks of 32 weights with one float32 scale each (MatMulNBits).
	q8: 1 + 4 / 32,
	q8a8: 1 + 4 / 32,
	// Groups of 256 or little less with one.
	i8: 1 + 4 / 128,
	q4: 0.5 + 4 / 32,
};

/** Numerics classes whose bytes per weight are kept at hand: a few backends, vendors and formats. */
const MOST_CLASSES = 64;

/** How much memory the parts of one model take on a lender. */
export interface ModelSizes {
	readonly layers: number;
	/** Bytes of a span's weights in the format that `numericsClass` runs; float32 where it names none. */
	weightBytes(span: Span, numericsClass?: string): number;
	/** Bytes of weights that one decode step through layers `[from, to)` reads: no embedding, of which a token looks up one row. */
	decodeBytes(from: number, to: number, numericsClass?: string): number;
	/** What a span takes while it serves: its weights and the KV of one stream over the whole context. */
	servingBytes(span: Span, numericsClass?: string): number;
}

const known = new WeakMap<Manifest, ModelSizes>();

/** Sizes of a model by its manifest. Embedding and head count in full even where they are one matrix: an engine keeps both layouts. */
export function modelSizes(manifest: Manifest): ModelSizes {
	const cached = known.get(manifest);
	if (cached) return cached;
	const sizes = sizesOf(manifest);
	known.set(manifest, sizes);
	return sizes;
}

function sizesOf(manifest: Manifest): ModelSizes {
	const { layers, keyValueHeads, headSize, contextLength } = manifest.config;
	const tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]));
	const parts = new Map(manifest.parts.map((part) => [part.name, part.tensors]));
	const elements = (part: string, matters: (tensor: TensorEntry) => boolean): number =>
		(parts.get(part) ?? [])
			.map((name) => tensors.get(name))
			.filter((tensor) => tensor !== undefined && tensor.type !== "BLOB" && matters(tensor))
			.reduce((sum, tensor) => sum + tensor!.shape.reduce((product, size) => product * size, 1), 0);
	// The layers before each, and the head at the end.
	const packed = [0];
	const plain = [0];
	for (const part of [...Array.from({ length: layers }, (_, layer) => `layer.${layer}`), "head"]) {
		packed.push(packed.at(-1)! + elements(part, inBlocks));
		plain.push(plain.at(-1)! + elements(part, (tensor) => !inBlocks(tensor)));
	}
	// Engines keep it as its source stores it.
	const embedding = new Set(parts.get("embed"));
	const embedBytes = manifest.tensors
		.filter(({ name }) => embedding.has(name))
		.reduce((sum, { bytes }) => sum + bytes, 0);
	// Keys and values in float32, the largest that any backend keeps.
	const keyValueBytes = 2 * keyValueHeads * headSize * 4 * contextLength;

	const bytesOf = new Map<string, number>();
	const weightBytes = (span: Span, numericsClass = ""): number => {
		// `ort<version>/<backend>/<vendor>/<weights>/<kv>`
		let perWeight = bytesOf.get(numericsClass);
		if (perWeight === undefined) {
			perWeight = bytesPerWeight[numericsClass.split("/")[3] ?? ""] ?? 4;
			// Strangers name their classes; what they invent is not remembered.
			if (bytesOf.size < MOST_CLASSES) bytesOf.set(numericsClass, perWeight);
		}
		const to = span.head ? span.to + 1 : span.to;
		return (
			(packed[to]! - packed[span.from]!) * perWeight +
			(plain[to]! - plain[span.from]!) * 4 +
			(span.embed ? embedBytes : 0)
		);
	};
	return {
		layers,
		weightBytes,
		decodeBytes: (from, to, numericsClass) =>
			weightBytes({ from, to, embed: false, head: to === layers }, numericsClass),
		servingBytes: (span, numericsClass) =>
			weightBytes(span, numericsClass) + (span.to - span.from) * keyValueBytes,
	};
}

/** Whether formats of blocks and groups hold a tensor in them: rows that are no whole number of either stay in float32. */
function inBlocks({ shape }: TensorEntry): boolean {
	return shape.length > 1 && shape.at(-1)! % 32 === 0;
}

/** The span `[from, to)` of a model of `layers` layers: the embedding goes with the first layer, the head with the last. */
export function spanOf(from: number, to: number, layers: number): Span {
	return { from, to, embed: from === 0, head: to === layers };
}

/** Whether `outer` has all that `inner` needs. */
export function spanContains(outer: Span, inner: Span): boolean {
	return (
		outer.from <= inner.from &&
		inner.to <= outer.to &&
		(outer.embed || !inner.embed) &&
		(outer.head || !inner.head)
	);
}
