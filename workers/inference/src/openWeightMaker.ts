import { EngineUnavailableError } from "@tabmesh/wire";
import { transfer, wrap } from "comlink";
import { buffersOf, unwrap } from "./engineProtocol.ts";
import type { WeightMaker } from "./runtime.ts";
import type { WeightWorkerApi } from "./weightWorkerApi.ts";

/**
 * Makes weights in a worker of its own: in a page ONNX Runtime compiles on the inference worker's thread, which does nothing else
 * meanwhile.
 */
export function openWeightMaker(): WeightMaker {
	const worker = new Worker(new URL("./weightWorker.ts", import.meta.url), {
		type: "module",
		name: "tabmesh-weights",
	});
	const crashed = Promise.withResolvers<never>();
	crashed.promise.catch(() => {});
	worker.onerror = ({ message }) =>
		crashed.reject(new EngineUnavailableError(`The worker that prepares weights failed: ${message}`));
	const api = wrap<WeightWorkerApi>(worker);
	return {
		async make(job, given) {
			const buffers = buffersOf(given.map(({ bytes }) => bytes));
			return unwrap(await Promise.race([api.make(transfer(job, buffers)), crashed.promise]));
		},
		close: () => worker.terminate(),
	};
}
