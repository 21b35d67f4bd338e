import { arch, availableParallelism } from "node:os";
import type { Engine } from "@tabmesh/model";
import { EngineUnavailableError } from "@tabmesh/wire";
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import { type EngineOptions, weightsOn } from "./engineOptions.ts";
import { SpanEngine } from "./spanEngine.ts";

/** Node's twin: onnxruntime-node on the CPU, in this process. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
	if (options.backend !== undefined && options.backend !== "cpu") {
		throw new EngineUnavailableError(`Node runs models on the CPU, not on ${options.backend}.`);
	}
	const threads = Math.max(1, Math.min(options.threads ?? 1, availableParallelism()));
	const weights = weightsOn("cpu", options);
	return new SpanEngine(
		{
			backend: "cpu",
			threads,
			halfActivations: false,
			weights,
			numericsClass: `ort${env.versions.common}/cpu/${arch()}/${weights}/f32`,
			Tensor,
			createSession: (model, weights) =>
				InferenceSession.create(model, {
					executionProviders: ["cpu"],
					intraOpNumThreads: threads,
					interOpNumThreads: 1,
					externalData: weights,
				}),
		},
		options,
	);
}
