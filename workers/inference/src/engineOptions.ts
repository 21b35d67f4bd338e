import type { Backend, WeightFormat } from "@tabmesh/model";

/** Weights of one session: a small model whole, of others a layer. */
export const defaultPieceBytes = 64 * 1024 * 1024;

export interface EngineOptions {
	/** @default the best that this device offers */
	backend?: Backend;
	/** Bytes that weights, KV and scratch may take in all. */
	memoryBytes: number;
	/**
	 * Bytes of that which one worker holds at most: what is more lies in several, one behind the other. Smaller than a heap only to try
	 * that on small models. @default what a WebAssembly heap holds; in Node and on WebGPU all of it
	 */
	heapBytes?: number;
	/** Threads of a CPU backend; pages that are not cross-origin isolated have one. @default 1 */
	threads?: number;
	/** Format of the matrices, or that for each backend where this device may choose it. 4 bits are for sources of at least 8. @default "f32" */
	weights?: WeightFormat | Readonly<Record<Backend, WeightFormat>>;
	/**
	 * Weights of one session. While a session is made its weights exist up to three times: as they come, in its order, and in the run time's
	 * own; but each session costs a tenth of a millisecond per token. @default 64 MiB
	 */
	pieceBytes?: number;
}

/** The format that `options` ask for on `backend`. */
export function weightsOn(backend: Backend, { weights = "f32" }: EngineOptions): WeightFormat {
	return typeof weights === "string" ? weights : weights[backend];
}

/** Whether the kernels of a CPU for these weights add up the values of a row alike, whichever rows are beside it; those of MatMulNBits do not. */
export function isExact(weights: WeightFormat): boolean {
	return weights === "f32" || weights === "i8";
}
