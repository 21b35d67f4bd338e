import type { Backend, SourceWeight, WeightFormat } from "@tabmesh/model";
import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import type { WeightJob } from "./weightWorkerApi.ts";

/** The bytes of one weight, under the name that the graph gives it. */
export interface ExternalWeight {
	readonly path: string;
	readonly data: Uint8Array<ArrayBuffer>;
}

/** Another thread that turns source tensors into weights. */
export interface WeightMaker {
	/** @param given - tensors of the job whose bytes nobody needs afterwards: they move over, the others are copied */
	make(job: WeightJob, given: readonly SourceWeight[]): Promise<ExternalWeight[]>;
	close(): void;
}

/** ONNX Runtime as one kind of place offers it: what the engine needs to know of a page or of Node, and no more. */
export interface Runtime {
	readonly backend: Backend;
	readonly threads: number;
	readonly halfActivations: boolean;
	readonly numericsClass: string;
	readonly weights: WeightFormat;
	/**
	 * Whether its products give a row the same bits, whichever rows go through them with it: decision 0022 says where that was looked for.
	 */
	readonly exactProducts: boolean;
	/** Every run time bundles its own Tensor class and accepts no other. */
	readonly Tensor: TensorConstructor & { fromGpuBuffer: typeof Tensor.fromGpuBuffer };
	/** @param onDevice - names of the outputs that stay on the GPU */
	createSession(
		model: Uint8Array<ArrayBuffer>,
		weights: readonly ExternalWeight[],
		onDevice: readonly string[],
	): Promise<InferenceSession>;
	/** Where compiling holds its thread up: who makes the next weights meanwhile. */
	openWeightMaker?(): WeightMaker;
	/** What all weights, KV and scratch together may take of it, whatever the device has; absent where nothing but memory sets an end. */
	readonly heapBytes?: number;
	/** The largest single weight that fits: on WebGPU what one storage buffer may hold. */
	readonly largestWeightBytes?: number;
	/** On WebGPU: the device whose buffers hold the KV. */
	readonly device?: GPUDevice;
}
