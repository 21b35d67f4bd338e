import type { Engine } from "@tabmesh/model";
import type { EngineOptions } from "./engineOptions.ts";
import { SplitEngine } from "./splitEngine.ts";
import { type OpenedWorker, WorkerEngine } from "./workerEngine.ts";

/**
 * Starts an engine in a worker, or, where a worker may hold less than is lent, one that spreads over several.
 *
 * @throws EngineUnavailableError when the worker does not start
 */
export async function startEngine(open: () => OpenedWorker, options: EngineOptions): Promise<Engine> {
	const first = await WorkerEngine.start(open, options);
	const { backend, memoryBytes } = first.info;
	if (memoryBytes >= options.memoryBytes) return first;
	return new SplitEngine(first, () => WorkerEngine.start(open, { ...options, backend }), options);
}
