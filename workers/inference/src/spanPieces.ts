import { composeSpan, embeddingTensor, type GraphFormat, type SpanGraph } from "@tabmesh/model";
import type { Manifest, Span } from "@tabmesh/wire";

/** A part of a span that is a graph and a session of its own. */
export interface SpanPiece {
	readonly span: Span;
	readonly graph: SpanGraph;
}

/** Bytes that a span takes while it is loaded, by its pieces: an embedding is in none of them. */
export function loadedBytes(manifest: Manifest, span: Span, pieces: readonly SpanPiece[]): number {
	return pieces.reduce(
		(sum, piece) => sum + pieceBytes(piece),
		span.embed ? embeddingTensor(manifest).bytes : 0,
	);
}

/** Bytes that one piece takes while it is loaded. */
export function pieceBytes({ graph }: SpanPiece): number {
	return graph.weightBytes + graph.model.byteLength;
}

/**
 * Cuts a span into pieces that are loaded one after the other, so that what exists twice while a session is made (the weights as
 * they come, and as the run time lays them out) is one piece and not the model. Of a span that embeds, the embedding is in none.
 *
 * @param mostBytes - weights of one piece; one layer, or the head, may be more
 */
export function spanPieces(
	manifest: Manifest,
	span: Span,
	format: GraphFormat,
	mostBytes: number,
): SpanPiece[] {
	const compose = (from: number, to: number, head: boolean): SpanPiece => {
		const part = { from, to, embed: false, head };
		return { span: part, graph: composeSpan(manifest, part, format) };
	};
	const pieces: SpanPiece[] = [];
	let piece: SpanPiece | undefined;
	const grow = (from: number, to: number, head: boolean): void => {
		const grown = compose(piece?.span.from ?? from, to, head);
		if (piece && grown.graph.weightBytes > mostBytes) {
			pieces.push(piece);
			piece = compose(from, to, head);
		} else {
			piece = grown;
		}
	};
	for (let layer = span.from; layer < span.to; layer++) grow(layer, layer + 1, false);
	if (span.head) grow(span.to, span.to, true);
	if (piece) pieces.push(piece);
	return pieces;
}
