import { graphNames } from "@tabmesh/model";
import type { ModelConfig, Span } from "@tabmesh/wire";
import type { Tensor } from "onnxruntime-common";
import type { BoundKeyValues, KeyValueRow, KeyValues } from "./keyValues.ts";
import type { Runtime } from "./runtime.ts";

/** Positions by which memory grows: few enough that little is copied in vain, many enough that it is seldom moved. */
const growth = 32;

/** Positions of one or several streams: for each layer's keys and values `[streams, keyValueHeads, capacity, headSize]`. */
interface Block {
	readonly streams: readonly string[];
	readonly capacity: number;
	/** Keys and values in turn, layer by layer. */
	readonly tensors: readonly { readonly data: Float32Array<ArrayBuffer>; readonly tensor: Tensor }[];
}

/**
 * KV in plain memory that grows with its streams. A run reads the past where it lies and gives back the rows of its own positions, which
 * are put behind it. Streams that run together lie together, and stay so as long as they do.
 */
export class GrowingKeyValues implements KeyValues {
	readonly batches = true;
	readonly #runtime: Runtime;
	readonly #heads: number;
	readonly #headSize: number;
	readonly #names: readonly { readonly past: string; readonly added: string }[];
	readonly #blocks = new Map<string, Block>();
	#bound: { block: Block; rows: readonly KeyValueRow[]; count: number } | undefined;

	constructor(runtime: Runtime, config: ModelConfig, span: Span) {
		this.#runtime = runtime;
		this.#heads = config.keyValueHeads;
		this.#headSize = config.headSize;
		this.#names = Array.from({ length: span.to - span.from }, (_, layer) => [
			{ past: graphNames.pastKey(layer), added: graphNames.newKey(layer) },
			{ past: graphNames.pastValue(layer), added: graphNames.newValue(layer) },
		]).flat();
	}

	/** Memory comes with the positions; the engine has counted it. */
	reserve(): void {}

	/** Room comes with the positions; what lies behind them, or beside other streams, is given back. */
	resize(row: KeyValueRow): void {
		const block = this.#blocks.get(row.stream);
		if (!block || (block.streams.length === 1 && block.capacity < row.length + growth)) return;
		this.#blocks.set(row.stream, this.#gather([row], row.length));
	}

	fork(stream: string, from: KeyValueRow): void {
		if (from.length > 0)
			this.#blocks.set(stream, { ...this.#gather([from], from.length), streams: [stream] });
	}

	bind(rows: readonly KeyValueRow[], count: number): BoundKeyValues {
		if (this.#names.length === 0) return { feeds: {}, fetches: {} };
		const needed = Math.max(...rows.map((row) => row.length)) + count;
		const shared = this.#sharedBlock(rows);
		const block = shared && shared.capacity >= needed ? shared : this.#gather(rows, needed);
		this.#bound = { block, rows, count };
		const indices = this.#rowIndices(block, rows, count);
		const feeds: Record<string, Tensor> = {
			[graphNames.newRows]: new this.#runtime.Tensor("int32", indices, [indices.length]),
		};
		const fetches: Record<string, null> = {};
		for (const [i, { past, added }] of this.#names.entries()) {
			feeds[past] = block.tensors[i]!.tensor;
			fetches[added] = null;
		}
		return { feeds, fetches };
	}

	keep(results: Readonly<Record<string, Tensor>>): void {
		if (!this.#bound) return;
		const { block, rows, count } = this.#bound;
		this.#bound = undefined;
		const size = this.#headSize;
		for (const [i, { added }] of this.#names.entries()) {
			const target = block.tensors[i]!.data;
			const source = results[added]!.data as Float32Array;
			let from = 0;
			for (const [row, { length }] of rows.entries()) {
				for (let head = 0; head < this.#heads; head++) {
					const to = ((row * this.#heads + head) * block.capacity + length) * size;
					target.set(source.subarray(from, from + count * size), to);
					from += count * size;
				}
			}
		}
		for (const { stream } of rows) this.#blocks.set(stream, block);
	}

	release(stream: string): void {
		this.#blocks.delete(stream);
	}

	/** Where the run's positions will lie, seen as rows of `headSize` values: row by row, head by head. */
	#rowIndices(block: Block, rows: readonly KeyValueRow[], count: number): Int32Array {
		const indices = new Int32Array(rows.length * this.#heads * count);
		let at = 0;
		for (const [row, { length }] of rows.entries()) {
			for (let head = 0; head < this.#heads; head++) {
				const first = (row * this.#heads + head) * block.capacity + length;
				for (let i = 0; i < count; i++) indices[at++] = first + i;
			}
		}
		return indices;
	}

	/** The block of exactly these rows in this order, if there is one. */
	#sharedBlock(rows: readonly KeyValueRow[]): Block | undefined {
		const block = this.#blocks.get(rows[0]!.stream);
		const same =
			block?.streams.length === rows.length && rows.every((row, i) => block.streams[i] === row.stream);
		return same ? block : undefined;
	}

	/** Copies rows out of their blocks into a new one, shorter pasts padded on the right. */
	#gather(rows: readonly KeyValueRow[], needed: number): Block {
		const capacity = Math.ceil(needed / growth) * growth;
		const dims = [rows.length, this.#heads, capacity, this.#headSize];
		const tensors = this.#names.map((_, i) => {
			const data = new Float32Array(rows.length * this.#heads * capacity * this.#headSize);
			for (const [row, { stream, length }] of rows.entries()) {
				const block = this.#blocks.get(stream);
				if (!block) continue;
				const source = block.tensors[i]!.data;
				const sourceRow = block.streams.indexOf(stream);
				for (let head = 0; head < this.#heads; head++) {
					const from = (sourceRow * this.#heads + head) * block.capacity * this.#headSize;
					const to = (row * this.#heads + head) * capacity * this.#headSize;
					data.set(source.subarray(from, from + length * this.#headSize), to);
				}
			}
			return { data, tensor: new this.#runtime.Tensor("float32", data, dims) };
		});
		return { streams: rows.map((row) => row.stream), capacity, tensors };
	}
}
