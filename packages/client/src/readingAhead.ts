import { type ModelRef, type ReadOptions, type ShardSource, tensorsOfSpan } from "@tabmesh/model";
import type { Span, TensorEntry } from "@tabmesh/wire";

/** As many as an engine asks for at once: enough to keep the store and the hash threads busy. */
const mostTensors = 4;
/** Bytes that may wait to be asked for: memory that the engine is about to need anyway. */
const mostBytes = 64 * 1024 * 1024;

/** A source that can be told what will be asked of it next. */
export interface ReadingAhead extends ShardSource {
	/**
	 * Begins to read the first tensors of a span: an engine that still compiles its own program asks for them later. What
	 * nobody asked for until `signal` is aborted is let go of.
	 */
	begin(model: ModelRef, span: Span, signal: AbortSignal): void;
}

/** Lets reading from `source` begin before it is asked for. */
export function readingAhead(source: ShardSource): ReadingAhead {
	const begun = new Map<TensorEntry, Promise<Uint8Array<ArrayBuffer>>>();
	return {
		begin(model, span, signal) {
			let bytes = 0;
			for (const tensor of tensorsOfSpan(model.manifest, span).slice(0, mostTensors)) {
				bytes += tensor.bytes;
				if (bytes > mostBytes || begun.has(tensor)) continue;
				const reading = source.read(model, tensor, { signal });
				// Whoever asks for it gets the error.
				reading.catch(() => {});
				begun.set(tensor, reading);
				signal.addEventListener("abort", () => begun.delete(tensor), { once: true });
			}
		},
		async read(model: ModelRef, tensor: TensorEntry, options: ReadOptions = {}) {
			const reading = begun.get(tensor);
			// The array belongs to its caller, so only one can have it.
			begun.delete(tensor);
			const bytes = await reading?.catch(() => undefined);
			options.signal?.throwIfAborted();
			if (!bytes) return source.read(model, tensor, options);
			options.onProgress?.(bytes.byteLength);
			return bytes;
		},
	};
}
