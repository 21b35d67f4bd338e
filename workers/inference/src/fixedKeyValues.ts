import { graphNames } from "@tabmesh/model";
import type { ModelConfig, Span } from "@tabmesh/wire";
import type { Tensor } from "onnxruntime-common";
import type { BoundKeyValues, KeyValueRow, KeyValues } from "./keyValues.ts";
import type { Runtime } from "./runtime.ts";

/** STORAGE | COPY_SRC | COPY_DST of GPUBufferUsage (WebGPU §5.1.2); the constants' object exists in pages only. */
const storageAndCopies = 0x80 | 0x04 | 0x08;

/** What one stream holds on the GPU: a buffer for each layer's keys and for its values. */
interface Slot {
	readonly maxTokens: number;
	readonly buffers: readonly GPUBuffer[];
	readonly tensors: readonly Tensor[];
}

/**
 * KV in GPU buffers of the stream's full size, bound as past and as present: a run writes its positions in place, and nothing
 * is allocated or copied per token. The attention takes the lengths from its inputs.
 */
export class FixedKeyValues implements KeyValues {
	readonly batches = false;
	readonly #device: GPUDevice;
	readonly #runtime: Runtime;
	readonly #config: ModelConfig;
	readonly #names: readonly (readonly [past: string, present: string])[];
	readonly #slots = new Map<string, Slot>();

	constructor(device: GPUDevice, runtime: Runtime, config: ModelConfig, span: Span) {
		this.#device = device;
		this.#runtime = runtime;
		this.#config = config;
		this.#names = fixedKeyValueNames(span);
	}

	reserve(stream: string, maxTokens: number): void {
		this.#fill(stream, maxTokens, () => this.#buffer(maxTokens));
	}

	/** Buffer by buffer, so that no more than one is there twice. */
	resize({ stream, length }: KeyValueRow, maxTokens: number): void {
		const old = this.#slots.get(stream)!;
		if (old.maxTokens === maxTokens) return;
		this.#fill(stream, maxTokens, (i) => {
			const buffer = this.#copy(old, i, length, maxTokens);
			old.buffers[i]!.destroy();
			return buffer;
		});
	}

	fork(stream: string, from: KeyValueRow, maxTokens: number): void {
		const other = this.#slots.get(from.stream)!;
		this.#fill(stream, maxTokens, (i) => this.#copy(other, i, from.length, maxTokens));
	}

	#fill(stream: string, maxTokens: number, bufferOf: (i: number) => GPUBuffer): void {
		const { keyValueHeads, headSize } = this.#config;
		const dims = [1, keyValueHeads, maxTokens, headSize];
		const buffers = this.#names.map((_, i) => bufferOf(i));
		const tensors = buffers.map((buffer) =>
			this.#runtime.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims }),
		);
		this.#slots.set(stream, { maxTokens, buffers, tensors });
	}

	#buffer(maxTokens: number): GPUBuffer {
		const { keyValueHeads, headSize } = this.#config;
		const size = 4 * keyValueHeads * maxTokens * headSize;
		return this.#device.createBuffer({ size, usage: storageAndCopies });
	}

	/** Each head's positions lie together, with room behind them. */
	#copy({ maxTokens, buffers }: Slot, i: number, length: number, newMaxTokens: number): GPUBuffer {
		const { keyValueHeads, headSize } = this.#config;
		const buffer = this.#buffer(newMaxTokens);
		const position = 4 * headSize;
		const encoder = this.#device.createCommandEncoder();
		for (let head = 0; head < keyValueHeads; head++) {
			const from = head * maxTokens * position;
			const to = head * newMaxTokens * position;
			encoder.copyBufferToBuffer(buffers[i]!, from, buffer, to, length * position);
		}
		this.#device.queue.submit([encoder.finish()]);
		return buffer;
	}

	bind([row]: readonly KeyValueRow[]): BoundKeyValues {
		const { tensors } = this.#slots.get(row!.stream)!;
		const feeds: Record<string, Tensor> = {};
		const fetches: Record<string, Tensor> = {};
		for (const [i, [past, present]] of this.#names.entries()) {
			feeds[past] = tensors[i]!;
			fetches[present] = tensors[i]!;
		}
		return { feeds, fetches };
	}

	/** Everything is where it belongs already. */
	keep(): void {}

	release(stream: string): void {
		for (const buffer of this.#slots.get(stream)?.buffers ?? []) buffer.destroy();
		this.#slots.delete(stream);
	}
}

/** Names of past and present, keys and values in turn. */
export function fixedKeyValueNames(span: Span): [past: string, present: string][] {
	return Array.from({ length: span.to - span.from }, (_, layer): [string, string][] => [
		[graphNames.pastKey(layer), graphNames.presentKey(layer)],
		[graphNames.pastValue(layer), graphNames.presentValue(layer)],
	]).flat();
}
