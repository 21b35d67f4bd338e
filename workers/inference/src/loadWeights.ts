import {
	type LoadProgress,
	type ModelRef,
	type ShardSource,
	type SourceWeight,
	type SpanGraph,
	tensorsOfSpan,
} from "@tabmesh/model";
import type { Span, TensorEntry } from "@tabmesh/wire";
import type { ExternalWeight } from "./runtime.ts";

/** Tensors fetched at a time: enough to keep a link and the hash threads busy. */
const fetchesAtOnce = 4;

/**
 * Fetches the source tensors of a span and makes its weights of them, each source kept no longer than it is needed.
 *
 * @throws ShardIntegrityError, ModelSourceError from the source
 */
export async function loadWeights(
	model: ModelRef,
	span: Span,
	graph: SpanGraph,
	source: ShardSource,
	options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
): Promise<ExternalWeight[]> {
	const tensors = tensorsOfSpan(model.manifest, span);
	const report = fetchProgress(tensors, options.onProgress);

	const sources = new Map<string, SourceWeight>();
	const pending = new Set(graph.weights);
	const ready: ExternalWeight[] = [];
	const makeWhatCanBeMade = (): void => {
		for (const weight of pending) {
			const found = weight.sources.map((name) => sources.get(name));
			if (found.some((tensor) => tensor === undefined)) continue;
			ready.push({ path: weight.name, data: weight.make(found as SourceWeight[]) });
			pending.delete(weight);
		}
		for (const name of sources.keys()) {
			if (![...pending].some((weight) => weight.sources.includes(name))) sources.delete(name);
		}
	};

	const queue = [...tensors];
	// One failure ends the other fetches too.
	const failure = new AbortController();
	const signal = AbortSignal.any([options.signal, failure.signal]);
	const fetchOn = async (): Promise<void> => {
		for (let tensor = queue.shift(); tensor; tensor = queue.shift()) {
			signal.throwIfAborted();
			const { name, type, shape, bytes } = tensor;
			const content = await source.read(model, tensor, { signal, onProgress: (n) => report(name, n) });
			report(name, bytes);
			sources.set(name, { type, shape, bytes: content });
			makeWhatCanBeMade();
		}
	};
	try {
		await Promise.all(Array.from({ length: fetchesAtOnce }, fetchOn));
	} catch (error) {
		failure.abort(error);
		throw error;
	}
	makeWhatCanBeMade();
	return ready;
}

/** Turns progress of single tensors into progress of them all. */
export function fetchProgress(
	tensors: readonly TensorEntry[],
	onProgress: ((progress: LoadProgress) => void) | undefined,
): (tensor: string, loadedBytes: number) => void {
	const totalBytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
	const loaded = new Map<string, number>();
	let loadedBytes = 0;
	return (tensor, bytes) => {
		loadedBytes += bytes - (loaded.get(tensor) ?? 0);
		loaded.set(tensor, bytes);
		onProgress?.({ phase: "fetch", loadedBytes, totalBytes });
	};
}
