import { ModelSourceError, type TensorEntry } from "@tabmesh/wire";
import type { ModelSource } from "../format/modelSource.ts";
import { chunkCount, chunkRange, verifyChunks } from "../manifest/chunks.ts";
import { readSourceTensor } from "../manifest/publishModel.ts";
import type { ModelRef, ReadOptions, ShardSource } from "../shardSource.ts";

/** Bytes read and checked at a time: large enough that hashing runs in parallel, small enough that progress moves. */
const chunksAtOnce = 8;

/** Verified weights out of an opened model source: a file on this machine, or bytes in memory. */
export function sourceOfModel(source: ModelSource): ShardSource {
	const tensors = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));
	return {
		async read(
			_model: ModelRef,
			entry: TensorEntry,
			options: ReadOptions = {},
		): Promise<Uint8Array<ArrayBuffer>> {
			const tensor = tensors.get(entry.name);
			if (!tensor) throw new ModelSourceError(`The model file has no ${entry.name}.`);
			const whole = new Uint8Array(entry.bytes);
			for (let first = 0; first < chunkCount(entry.bytes); first += chunksAtOnce) {
				options.signal?.throwIfAborted();
				const { offset } = chunkRange(entry.bytes, first);
				const length = Math.min(chunksAtOnce * chunkRange(entry.bytes, 0).length, entry.bytes - offset);
				const piece = await readSourceTensor(source, tensor, { offset, length }, options.signal);
				await verifyChunks(entry, first, piece);
				whole.set(piece, offset);
				options.onProgress?.(offset + length);
			}
			return whole;
		},
	};
}
