import { arch, availableParallelism } from "node:os";
import { EngineUnavailableError } from "@tabmesh/wire";
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import { type EngineOptions, weightsOn } from "./engineOptions.ts";
import type { Runtime } from "./runtime.ts";

/** onnxruntime-node on the CPU. */
export async function openNodeRuntime(options: EngineOptions): Promise<Runtime> {
	if (options.backend !== undefined && options.backend !== "cpu") {
		throw new EngineUnavailableError(`Node runs models on the CPU, not on ${options.backend}.`);
	}
	const threads = Math.max(1, Math.min(options.threads ?? 1, availableParallelism()));
	const weights = weightsOn("cpu", options);
	return {
		backend: "cpu",
		threads,
		halfActivations: false,
		weights,
		...(options.heapBytes === undefined ? {} : { heapBytes: options.heapBytes }),
		numericsClass: `ort${env.versions.common}/cpu/${arch()}/${weights}/f32`,
		Tensor,
		createSession: (model, weights) =>
			InferenceSession.create(model, {
				executionProviders: ["cpu"],
				intraOpNumThreads: threads,
				interOpNumThreads: 1,
				externalData: weights,
			}),
	};
}
