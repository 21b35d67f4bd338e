import type { Backend } from "@tabmesh/model";

export interface EngineOptions {
	/** @default the best that this device offers */
	backend?: Backend;
	/** Bytes that weights, KV and scratch may take in all. */
	memoryBytes: number;
	/** Threads of a CPU backend; pages that are not cross-origin isolated have one. @default 1 */
	threads?: number;
}
