import { arch, availableParallelism } from "node:os";
import { composeIntegerProduct } from "@tabmesh/model";
import { EngineUnavailableError, WeightFormatError } from "@tabmesh/wire";
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import { type EngineOptions, isExact, weightsOn } from "./engineOptions.ts";
import type { Runtime } from "./runtime.ts";

/** Enough of both for the kernels that real matrices take. */
const triedColumns = 256;
const triedOutputs = 64;

/** onnxruntime-node on the CPU. @throws EngineUnavailableError, WeightFormatError */
export async function openNodeRuntime(options: EngineOptions): Promise<Runtime> {
	if (options.backend !== undefined && options.backend !== "cpu") {
		throw new EngineUnavailableError(`Node runs models on the CPU, not on ${options.backend}.`);
	}
	const threads = Math.max(1, Math.min(options.threads ?? 1, availableParallelism()));
	const weights = weightsOn("cpu", options);
	if (weights === "i8") await checkIntegerProducts();
	return {
		backend: "cpu",
		threads,
		halfActivations: false,
		weights,
		exactProducts: arch() === "x64" && isExact(weights),
		...(options.heapBytes === undefined ? {} : { heapBytes: options.heapBytes }),
		numericsClass: `ort${env.versions.common}/cpu/${arch()}/${weights}/f32`,
		Tensor,
		createSession: (model, weights) =>
			InferenceSession.create(model, {
				executionProviders: ["cpu"],
				intraOpNumThreads: threads,
				interOpNumThreads: 1,
				// Every session has threads of its own. Those of one that has run would wait for work at full speed, and take the cores from the
				// next: with two threads on two cores a token then takes three times as long (6 layers of TinyLlama: 180 ms instead of 51).
				extra: { session: { intra_op: { allow_spinning: "0" } } },
				externalData: weights,
			}),
	};
}

/**
 * x86 processors without VNNI add pairs of products in 16 bits, which overflow where both factors are large (VPMADDUBSW saturates): a
 * model would run, and say something else than on other devices.
 *
 * @throws WeightFormatError
 */
async function checkIntegerProducts(): Promise<void> {
	const session = await InferenceSession.create(composeIntegerProduct(triedColumns, triedOutputs), {
		executionProviders: ["cpu"],
		externalData: [{ path: "b", data: new Uint8Array(triedColumns * triedOutputs).fill(127) }],
	});
	const largest = new Uint8Array(2 * triedColumns).fill(255);
	const { out } = await session.run({ a: new Tensor("uint8", largest, [2, triedColumns]) });
	await session.release();
	if ((out!.data as Int32Array).some((product) => product !== triedColumns * 255 * 127)) {
		throw new WeightFormatError("This processor rounds products of whole numbers.", {
			details: { weights: "i8" },
		});
	}
}
