import type { HiddenState, Span } from "@tabmesh/wire";
import type { ModelRef, ShardSource } from "./shardSource.ts";

export type Backend = "webgpu" | "wasm" | "cpu";

/** What an engine is and may use. */
export interface EngineInfo {
	readonly backend: Backend;
	/** WebGPU with shader-f16. */
	readonly halfActivations: boolean;
	readonly threads: number;
	/** Peers of one class compute identical floats: `ort<version>/<backend>/<vendor>/<weights>/<kv>`. */
	readonly numericsClass: string;
	/**
	 * Whether products give a row the same bits, whichever rows go through them with it. Where they do, a position has the same bits in
	 * whatever call of several it comes, and those of a call of its own with `oneByOne`, which takes as long as single calls elsewhere.
	 */
	readonly exactProducts: boolean;
	/** Bytes it may hold in all: weights in the format it runs, KV, scratch. A number that was given, never probed. */
	readonly memoryBytes: number;
}

export interface LoadProgress {
	readonly phase: "fetch" | "compile";
	readonly loadedBytes: number;
	readonly totalBytes: number;
}

export interface LoadSpec {
	readonly model: ModelRef;
	readonly span: Span;
}

/** One loaded span. */
export interface EngineHandle {
	readonly id: number;
	readonly span: Span;
	/** Bytes its weights take while it is loaded; what several spans are made of counts in each of them. */
	readonly weightBytes: number;
	/** KV bytes of one position of one stream. */
	readonly keyValueBytesPerToken: number;
}

/** Names a stream inside one engine. */
export type StreamKey = string;

/** How a forward call is to be computed. */
export interface ForwardOptions {
	readonly logits: LogitsWanted;
	/**
	 * Several positions of a row are computed as if each came in a call of its own, to the last bit: kernels for one position and
	 * for several add up in another order, and a drafted token is to be judged by the very logits that it replaces.
	 */
	readonly oneByOne?: boolean;
}

/** One stream's part of a batched forward call. Rows may have different lengths and positions. */
export interface ForwardRow {
	readonly stream: StreamKey;
	/** Position of the first input; must equal the stream's length. */
	readonly position: number;
	/** Token ids where the span embeds, else hidden states `[n, hiddenSize]`. */
	readonly input: Int32Array | HiddenState;
}

/** Which logits a span with a head returns: of no position, of the last, or of every position of each row. */
export type LogitsWanted = "none" | "last" | "all";

export interface ForwardResult {
	/** `[n, hiddenSize]` after the span; absent where logits were asked for and the span has a head. */
	readonly hidden?: HiddenState;
	/** `[1 or n, vocabularySize]`, row-major. */
	readonly logits?: Float32Array;
}

export interface EngineEvents {
	/** The GPU device went away. Handles and streams are gone; `load` works again. */
	devicelost: CustomEvent<{ reason: string }>;
}

/**
 * Runs spans of models. One queue: calls are taken in order. Implemented by the inference worker in a page and by its
 * twin in Node; `pipeline` gets one injected.
 */
export interface Engine {
	readonly info: EngineInfo;
	/** Bytes of the budget in use now. */
	usedBytes(): Promise<number>;
	/**
	 * Fetches and compiles a span, shard by shard. What is in memory of it already, as a part of another span, becomes a part of this
	 * one, too: it is neither fetched nor held twice, and stays as long as either is loaded.
	 *
	 * @throws OutOfMemoryBudgetError before anything is fetched when it cannot fit, ShardIntegrityError, ModelSourceError, EngineUnavailableError
	 */
	load(
		spec: LoadSpec,
		source: ShardSource,
		options?: { signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void },
	): Promise<EngineHandle>;
	unload(handle: EngineHandle): Promise<void>;
	/**
	 * Sets KV memory for `maxTokens` positions of a new stream aside.
	 *
	 * @throws OutOfMemoryBudgetError when it does not fit now
	 */
	reserve(handle: EngineHandle, stream: StreamKey, maxTokens: number): Promise<void>;
	/**
	 * Sets the memory of a stream anew to `maxTokens` positions, at least those that it has.
	 *
	 * @throws OutOfMemoryBudgetError when it does not fit now, EngineInputError; the stream is as before then
	 */
	resize(stream: StreamKey, maxTokens: number): Promise<void>;
	/**
	 * As `reserve`, but the new stream begins with a copy of the first `positions` of another one of the same span.
	 *
	 * @throws OutOfMemoryBudgetError when it does not fit now, EngineInputError when the other one is not that long
	 */
	fork(stream: StreamKey, from: StreamKey, positions: number, maxTokens: number): Promise<void>;
	/**
	 * Runs one batch through a span; every row's KV grows by its inputs. Results are in the order of the rows.
	 * Chunked, batched and one-by-one calls give equal results within one numerics class.
	 *
	 * @throws EngineInputError when a row does not fit its stream (nothing has run then), DeviceLostError
	 */
	forward(
		handle: EngineHandle,
		rows: readonly ForwardRow[],
		options: ForwardOptions,
	): Promise<ForwardResult[]>;
	/** Forgets every position of the stream from `position` on. @throws EngineInputError when it is not that long */
	truncate(stream: StreamKey, position: number): Promise<void>;
	/** Frees a stream. Unknown streams are no error: release is the last word of every path. */
	release(stream: StreamKey): Promise<void>;
	addEventListener<K extends keyof EngineEvents>(type: K, listener: (event: EngineEvents[K]) => void): void;
	removeEventListener<K extends keyof EngineEvents>(
		type: K,
		listener: (event: EngineEvents[K]) => void,
	): void;
	/** Ends the engine and frees everything. */
	close(): Promise<void>;
}
