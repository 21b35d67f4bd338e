import type { Manifest, ModelConfig, Span } from "@tabmesh/wire";
import { embeddingName, partsOfSpan } from "../format/llamaTensors.ts";
import { composeSpan, type GraphFormat } from "./spanGraph.ts";

/** What a span costs whoever holds it. */
export interface SpanSize {
	/** Bytes to fetch. */
	readonly sourceBytes: number;
	/** Bytes of the weights while they are loaded, in the format that runs. */
	readonly weightBytes: number;
	/** KV bytes of one position of one stream. */
	readonly keyValueBytesPerToken: number;
}

/** Sizes of a span without loading anything: what a planner needs. */
export function spanSize(
	manifest: Manifest,
	span: Span,
	format: GraphFormat = { weights: "f32", keyValues: "rows" },
): SpanSize {
	return {
		sourceBytes: tensorsOfSpan(manifest, span).reduce((sum, tensor) => sum + tensor.bytes, 0),
		weightBytes:
			composeSpan(manifest, span, format).weightBytes + (span.embed ? embeddingTensor(manifest).bytes : 0),
		keyValueBytesPerToken: keyValueBytesPerToken(manifest.config, span),
	};
}

/** The tensor that holds a model's embedding. */
export function embeddingTensor(manifest: Manifest): Manifest["tensors"][number] {
	return manifest.tensors.find(({ name }) => name === embeddingName)!;
}

/** The tensors that a span needs, each once, in the order of its parts. */
export function tensorsOfSpan(manifest: Manifest, span: Span): Manifest["tensors"] {
	const parts = new Map(manifest.parts.map((part) => [part.name, part]));
	const names = new Set(partsOfSpan(span).flatMap((name) => parts.get(name)?.tensors ?? []));
	return manifest.tensors.filter((tensor) => names.has(tensor.name));
}

/** Keys and values are kept in float32 on every backend so far. */
const keyValueBytes = 4;

/** KV bytes of one position of one stream in a span. */
export function keyValueBytesPerToken(config: ModelConfig, span: Span): number {
	return 2 * (span.to - span.from) * config.keyValueHeads * config.headSize * keyValueBytes;
}
