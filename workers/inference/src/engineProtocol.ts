import type {
	EngineHandle,
	EngineInfo,
	ForwardOptions,
	ForwardResult,
	ForwardRow,
	LoadProgress,
	LoadSpec,
	StreamKey,
} from "@tabmesh/model";
import { fromWireError, toWireError, type WireError } from "@tabmesh/wire";
import type { EngineOptions } from "./engineOptions.ts";

/** What crosses between page and worker in place of a value or a thrown error: error classes do not survive a postMessage. */
export type Outcome<T> = { readonly value: T } | { readonly error: WireError };

/** The outcome of `task`. */
export async function outcomeOf<T>(task: () => Promise<T>): Promise<Outcome<T>> {
	try {
		return { value: await task() };
	} catch (error) {
		return { error: toWireError(error) };
	}
}

/** The value, or the typed error thrown again. */
export function unwrap<T>(outcome: Outcome<T>): T {
	if ("error" in outcome) throw fromWireError(outcome.error);
	return outcome.value;
}

/** The buffers that arrays lie in, each once: some share one, and a buffer moves to another thread only once. */
export function buffersOf(arrays: readonly ArrayBufferView[]): ArrayBuffer[] {
	return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}

/** What the worker offers the page. */
export interface EngineWorkerApi {
	/** @param firstHandle - handles of this worker count from here */
	start(options: EngineOptions, firstHandle: number): Promise<Outcome<EngineInfo>>;
	/** Resolves, once, when the GPU device is gone. */
	lost(): Promise<string>;
	usedBytes(): Promise<number>;
	load(
		load: number,
		spec: LoadSpec,
		read: (tensor: string) => Promise<Outcome<Uint8Array<ArrayBuffer>>>,
		onProgress: (progress: LoadProgress) => void,
	): Promise<Outcome<EngineHandle>>;
	cancelLoad(load: number): Promise<void>;
	unload(handle: EngineHandle): Promise<Outcome<void>>;
	reserve(handle: EngineHandle, stream: StreamKey, maxTokens: number): Promise<Outcome<void>>;
	resize(stream: StreamKey, maxTokens: number): Promise<Outcome<void>>;
	fork(stream: StreamKey, from: StreamKey, positions: number, maxTokens: number): Promise<Outcome<void>>;
	forward(
		handle: EngineHandle,
		rows: readonly ForwardRow[],
		options: ForwardOptions,
	): Promise<Outcome<ForwardResult[]>>;
	truncate(stream: StreamKey, position: number): Promise<Outcome<void>>;
	release(stream: StreamKey): Promise<Outcome<void>>;
}
