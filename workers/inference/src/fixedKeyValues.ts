import { graphNames } from "@tabmesh/model";
import type { ModelConfig, Span } from "@tabmesh/wire";
import type { Tensor } from "onnxruntime-common";
import type { BoundKeyValues, KeyValueRow, KeyValues } from "./keyValues.ts";
import type { Runtime } from "./runtime.ts";

/** STORAGE | COPY_SRC | COPY_DST of GPUBufferUsage (WebGPU §5.1.2); the constants' object exists in pages only. */
const storageAndCopies = 0x80 | 0x04 | 0x08;

/** What one stream holds on the GPU: a buffer for each layer's keys and for its values. */
interface Slot {
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
		const { keyValueHeads, headSize } = this.#config;
		const dims = [1, keyValueHeads, maxTokens, headSize];
		const size = 4 * keyValueHeads * maxTokens * headSize;
		const buffers = this.#names.map(() => this.#device.createBuffer({ size, usage: storageAndCopies }));
		const tensors = buffers.map((buffer) =>
			this.#runtime.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims }),
		);
		this.#slots.set(stream, { buffers, tensors });
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
