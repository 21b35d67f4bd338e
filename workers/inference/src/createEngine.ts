import { Worker } from "node:worker_threads";
import type { Engine } from "@tabmesh/model";
import type { EngineOptions } from "./engineOptions.ts";
import { nodeEndpoint } from "./nodeEndpoint.ts";
import { startEngine } from "./startEngine.ts";
import type { OpenedWorker } from "./workerEngine.ts";

/**
 * Node's twin: onnxruntime-node on the CPU. It computes in the thread that calls it, so it has a thread of its own: a lender has to answer
 * its peers while it compiles for seconds. A call costs 0.3 ms that way.
 */
export function createEngine(options: EngineOptions): Promise<Engine> {
	return startEngine(openWorker, options);
}

function openWorker(): OpenedWorker {
	const worker = new Worker(new URL("./worker.node.ts", import.meta.url), { name: "tabmesh-inference" });
	const crashed = new Promise<string>((resolve) => {
		worker.once("error", (error) => resolve(error instanceof Error ? error.message : String(error)));
		worker.once("exit", (code) => resolve(`the inference thread ended with ${code}`));
	});
	return {
		endpoint: nodeEndpoint(worker),
		crashed,
		async terminate() {
			await worker.terminate();
		},
	};
}
