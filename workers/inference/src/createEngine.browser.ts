import type { Engine } from "@tabmesh/model";
import type { EngineOptions } from "./engineOptions.ts";
import { startEngine } from "./startEngine.ts";
import type { OpenedWorker } from "./workerEngine.ts";

/** The page's twin: onnxruntime-web in a worker of its own, so that the page stays alive while a model runs. */
export function createEngine(options: EngineOptions): Promise<Engine> {
	return startEngine(openWorker, options);
}

function openWorker(): OpenedWorker {
	const worker = new Worker(new URL("./worker.ts", import.meta.url), {
		type: "module",
		name: "tabmesh-inference",
	});
	const crashed = new Promise<string>((resolve) => {
		worker.onerror = (event) => resolve(event.message || "the inference worker crashed");
	});
	return { endpoint: worker, crashed, terminate: async () => worker.terminate() };
}
