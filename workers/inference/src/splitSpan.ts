import {
	composeSpan,
	embeddingTensor,
	type GraphFormat,
	keyValueBytesPerToken,
	spanSize,
} from "@tabmesh/model";
import type { Manifest, Span } from "@tabmesh/wire";
import { loadedBytes, spanPieces } from "./spanPieces.ts";

/** A part of a span, and where it goes. */
export interface SpanShare {
	readonly place: number;
	readonly span: Span;
	/** What it takes while it is loaded. */
	readonly bytes: number;
}

/** What a place has to keep free beside a layer, the embedding or the head: a span is cut between them only. */
interface Unit {
	readonly span: Span;
	readonly bytes: number;
}

/**
 * Shares a span out over as few places as hold it and one stream over the model's whole context, all of them equally full. Where that
 * stream finds no room anywhere, over as many as there are; undefined where not even the weights do.
 *
 * @param pieceBytes - weights of one session
 * @param freeBytes - what each place has left
 */
export function splitSpan(
	manifest: Manifest,
	span: Span,
	format: GraphFormat,
	pieceBytes: number,
	freeBytes: readonly number[],
): SpanShare[] | undefined {
	const units = unitsOf(manifest, span, format);
	const places = [...freeBytes.keys()].sort((a, b) => freeBytes[b]! - freeBytes[a]! || a - b);
	let best: SpanShare[] | undefined;
	for (let count = 1; count <= Math.min(places.length, units.length); count++) {
		const { cuts, fullest } = balance(
			units.map(({ bytes }) => bytes),
			places.slice(0, count).map((place) => freeBytes[place]!),
		);
		const shares = cuts.map((end, i) => {
			const part = join(units.slice(cuts[i - 1] ?? 0, end).map((unit) => unit.span));
			const bytes = loadedBytes(manifest, part, spanPieces(manifest, part, format, pieceBytes));
			return { place: places[i]!, span: part, bytes };
		});
		if (!shares.every(({ place, bytes }) => bytes <= freeBytes[place]!)) continue;
		best = shares;
		if (fullest <= 1) break;
	}
	return best;
}

function unitsOf(manifest: Manifest, { from, to, embed, head }: Span, format: GraphFormat): Unit[] {
	const units: Unit[] = [];
	if (embed) {
		const span = { from, to: from, embed, head: false };
		units.push({ span, bytes: embeddingTensor(manifest).bytes });
	}
	for (let layer = from; layer < to; layer++) {
		const span = { from: layer, to: layer + 1, embed: false, head: false };
		const { weights } = composeSpan(manifest, span, format);
		// What comes from no source, tables of the context's length among it, is in every session once.
		const weightBytes = weights.reduce(
			(sum, { sources, bytes }) => sum + (sources.length > 0 ? bytes : 0),
			0,
		);
		const streamBytes = keyValueBytesPerToken(manifest.config, span) * manifest.config.contextLength;
		units.push({ span, bytes: weightBytes + streamBytes });
	}
	if (head) {
		const span = { from: to, to, embed: false, head };
		units.push({ span, bytes: spanSize(manifest, span, format).weightBytes });
	}
	return units;
}

/**
 * Cuts a row of sizes into one part for each room, in their order, so that the part which fills its room most fills it least.
 *
 * @returns where each part ends, and how full the fullest room is
 */
function balance(sizes: readonly number[], rooms: readonly number[]): { cuts: number[]; fullest: number } {
	const before = [0];
	for (const size of sizes) before.push(before.at(-1)! + size);
	// levels[end]: how full the fullest of the rooms so far is when they hold the first `end` sizes.
	let levels = before.map((bytes) => bytes / rooms[0]!);
	const starts: number[][] = [];
	for (const room of rooms.slice(1)) {
		const start = levels.map(() => 0);
		levels = levels.map((_, end) => {
			let least = Number.POSITIVE_INFINITY;
			for (let at = starts.length + 1; at < end; at++) {
				const level = Math.max(levels[at]!, (before[end]! - before[at]!) / room);
				if (level < least) {
					least = level;
					start[end] = at;
				}
			}
			return least;
		});
		starts.push(start);
	}
	const cuts = [sizes.length];
	for (const start of starts.toReversed()) cuts.unshift(start[cuts[0]!]!);
	return { cuts, fullest: levels[sizes.length]! };
}

/** Neighbours as one. */
function join(spans: readonly Span[]): Span {
	const first = spans[0]!;
	const last = spans.at(-1)!;
	return { from: first.from, to: last.to, embed: first.embed, head: last.head };
}
