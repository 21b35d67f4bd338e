import type { Tensor } from "onnxruntime-common";

/** One stream's part of a run. */
export interface KeyValueRow {
	readonly stream: string;
	/** Positions before the run. */
	readonly length: number;
}

/** What one run is given of its past, and where it leaves what it adds. */
export interface BoundKeyValues {
	readonly feeds: Record<string, Tensor>;
	/** For each output a tensor to write to, or null for a new one. */
	readonly fetches: Record<string, Tensor | null>;
}

/**
 * Keys and values of the streams of one loaded span. How long each stream is, the engine keeps: positions behind its end may
 * hold anything, because the attention looks at the lengths only.
 */
export interface KeyValues {
	/** Whether several streams can go through one run. */
	readonly batches: boolean;
	/** Sets memory aside for `maxTokens` positions of a new stream. */
	reserve(stream: string, maxTokens: number): void;
	/** Gives a stream room for `maxTokens` positions, and back what is beyond. */
	resize(row: KeyValueRow, maxTokens: number): void;
	/** Sets memory aside as `reserve` does, and copies what `from` has into it. */
	fork(stream: string, from: KeyValueRow, maxTokens: number): void;
	/** @param count - positions that the run adds to each row */
	bind(rows: readonly KeyValueRow[], count: number): BoundKeyValues;
	/** Takes over what the run that was bound last gave back. */
	keep(results: Readonly<Record<string, Tensor>>): void;
	release(stream: string): void;
}
