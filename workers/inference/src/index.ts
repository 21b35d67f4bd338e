/**
 * The inference worker: runs spans of models on what this device has, behind the `Engine` interface of `@tabmesh/model`. In a page
 * it is a worker of its own (WebGPU or WebAssembly), in Node a thread of its own.
 *
 * This room never fetches (it is handed a `ShardSource`), never talks to peers and never decides what to load.
 */
export { createEngine } from "#createEngine";
export type { EngineOptions } from "./engineOptions.ts";
