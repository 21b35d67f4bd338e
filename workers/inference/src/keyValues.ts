import { graphNames } from "@tabmesh/model";
import type { ModelConfig, Span } from "@tabmesh/wire";
import type { Tensor } from "onnxruntime-common";
import type { Runtime } from "./runtime.ts";

/** The past that one run is given, and where it leaves the present. */
export interface BoundKeyValues {
	/** Feeds `past_key.i` and `past_value.i`. */
	readonly feeds: Record<string, Tensor>;
	/** Fetches `present_key.i` and `present_value.i`: a tensor to write to, or null for a new one. */
	readonly fetches: Record<string, Tensor | null>;
}

/**
 * Keys and values of the streams of one loaded span. `length` of a stream is kept by the engine: positions behind it may
 * hold anything, because the attention looks at the lengths only.
 */
export interface KeyValues {
	/** Whether several streams can go through one run. */
	readonly batches: boolean;
	/** Sets memory aside for `maxTokens` positions of a new stream. */
	reserve(stream: string, maxTokens: number): void;
	/** @param rows - streams of one run with their lengths before it */
	bind(rows: readonly { readonly stream: string; readonly length: number }[]): BoundKeyValues;
	/** Takes over what a run of `rows` returned. */
	keep(rows: readonly { readonly stream: string }[], results: Readonly<Record<string, Tensor>>): void;
	release(stream: string): void;
}

/** Positions of several streams in one tensor for each layer's keys and values: `[rows, keyValueHeads, capacity, headSize]`. */
interface Block {
	readonly streams: readonly string[];
	readonly capacity: number;
	/** Keys and values in turn, layer by layer. */
	readonly tensors: readonly Tensor[];
}

/**
 * KV that grows: every run returns past and present as new tensors, which are the past of the next one as they are, also for a batch
 * of the same streams. Needs no copy of ours as long as the streams of a run stay the same.
 */
export class GrowingKeyValues implements KeyValues {
	readonly batches = true;
	readonly #runtime: Runtime;
	readonly #heads: number;
	readonly #headSize: number;
	readonly #names: readonly (readonly [past: string, present: string])[];
	readonly #blocks = new Map<string, Block>();

	constructor(runtime: Runtime, config: ModelConfig, span: Span) {
		this.#runtime = runtime;
		this.#heads = config.keyValueHeads;
		this.#headSize = config.headSize;
		this.#names = keyValueNames(span);
	}

	reserve(stream: string): void {
		const empty = new Float32Array(0);
		const dims = [1, this.#heads, 0, this.#headSize];
		const tensors = this.#names.map(() => new this.#runtime.Tensor("float32", empty, dims));
		this.#blocks.set(stream, { streams: [stream], capacity: 0, tensors });
	}

	bind(rows: readonly { readonly stream: string; readonly length: number }[]): BoundKeyValues {
		const block = this.#sharedBlock(rows) ?? this.#gather(rows);
		const feeds: Record<string, Tensor> = {};
		const fetches: Record<string, null> = {};
		for (const [i, [past, present]] of this.#names.entries()) {
			feeds[past] = block.tensors[i]!;
			fetches[present] = null;
		}
		return { feeds, fetches };
	}

	keep(rows: readonly { readonly stream: string }[], results: Readonly<Record<string, Tensor>>): void {
		const tensors = this.#names.map(([, present]) => results[present]!);
		const streams = rows.map((row) => row.stream);
		const block = { streams, capacity: tensors[0]?.dims[2] ?? 0, tensors };
		for (const stream of streams) this.#blocks.set(stream, block);
	}

	release(stream: string): void {
		this.#blocks.delete(stream);
	}

	/** The block of exactly these rows in this order, if there is one. */
	#sharedBlock(rows: readonly { readonly stream: string }[]): Block | undefined {
		const block = this.#blocks.get(rows[0]!.stream);
		const same =
			block?.streams.length === rows.length && rows.every((row, i) => block.streams[i] === row.stream);
		return same ? block : undefined;
	}

	/** Copies rows out of their blocks into a new one, shorter pasts padded on the right. */
	#gather(rows: readonly { readonly stream: string; readonly length: number }[]): Block {
		const capacity = Math.max(...rows.map((row) => row.length));
		const rowSize = this.#heads * capacity * this.#headSize;
		const tensors = this.#names.map((_, i) => {
			const data = new Float32Array(rows.length * rowSize);
			for (const [row, { stream, length }] of rows.entries()) {
				const block = this.#blocks.get(stream)!;
				const source = block.tensors[i]!.data as Float32Array;
				const sourceRow = block.streams.indexOf(stream);
				for (let head = 0; head < this.#heads; head++) {
					const from = (sourceRow * this.#heads + head) * block.capacity * this.#headSize;
					const to = row * rowSize + head * capacity * this.#headSize;
					data.set(source.subarray(from, from + length * this.#headSize), to);
				}
			}
			return new this.#runtime.Tensor("float32", data, [rows.length, this.#heads, capacity, this.#headSize]);
		});
		return { streams: rows.map((row) => row.stream), capacity, tensors };
	}
}

/** Names of past and present, keys and values in turn. */
export function keyValueNames(span: Span): [past: string, present: string][] {
	return Array.from({ length: span.to - span.from }, (_, layer): [string, string][] => [
		[graphNames.pastKey(layer), graphNames.presentKey(layer)],
		[graphNames.pastValue(layer), graphNames.presentValue(layer)],
	]).flat();
}
