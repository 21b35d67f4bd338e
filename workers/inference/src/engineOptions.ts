import type { Backend, WeightFormat } from "@tabmesh/model";

export interface EngineOptions {
	/** @default the best that this device offers */
	backend?: Backend;
	/** Bytes that weights, KV and scratch may take in all. */
	memoryBytes: number;
	/** Threads of a CPU backend; pages that are not cross-origin isolated have one. @default 1 */
	threads?: number;
	/** Format of the matrices. 4 bits are for sources of at least 8. @default "f32" */
	weights?: WeightFormat;
}
