import type { Backend } from "@tabmesh/model";
import { EngineUnavailableError } from "@tabmesh/wire";
import asyncifyGlue from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import asyncifyBinary from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import jspiGlue from "onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url";
import jspiBinary from "onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url";
import plainGlue from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import plainBinary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { type EngineOptions, isExact, weightsOn } from "./engineOptions.ts";
import { openWeightMaker } from "./openWeightMaker.ts";
import type { Runtime } from "./runtime.ts";

/** ONNX Runtime's severity 3. */
const errorsOnly = 3;

/** A WebAssembly heap ends at 4 GiB; an eighth is left for what a run needs besides weights and KV. What is more lies in several workers. */
const heapBytes = 3.5 * 2 ** 30;

/** onnxruntime-web for what this page's device offers, from the page's own origin. */
export async function openWebRuntime(options: EngineOptions): Promise<Runtime> {
	const backend = await pickBackend(options.backend);
	const isolated = globalThis.crossOriginIsolated === true;
	const threads = isolated ? Math.max(1, Math.min(options.threads ?? 1, navigator.hardwareConcurrency)) : 1;
	const { ort, glue, binary } = await importRuntime(backend);
	const { env, InferenceSession, Tensor } = ort;
	env.wasm.wasmPaths = { mjs: glue, wasm: binary };
	env.wasm.numThreads = threads;
	// Warnings are about nodes that belong on the CPU, and meant for the authors of models.
	env.logLevel = "error";
	const version = env.versions.common;
	const weights = weightsOn(backend, options);

	if (backend === "wasm") {
		return {
			backend,
			threads,
			halfActivations: false,
			weights,
			exactProducts: isExact(weights),
			heapBytes: options.heapBytes ?? heapBytes,
			// The same SIMD program gives the same floats on every processor.
			numericsClass: `ort${version}/wasm/simd/${weights}/f32`,
			Tensor,
			openWeightMaker,
			createSession: (model, weights) =>
				InferenceSession.create(model, {
					executionProviders: [{ name: "wasm" }],
					externalData: weights,
					logSeverityLevel: errorsOnly,
				}),
		};
	}
	const { device, vendor } = await openDevice();
	return {
		backend,
		threads,
		halfActivations: false,
		weights,
		exactProducts: false,
		numericsClass: `ort${version}/webgpu/${vendor}/${weights}/f32`,
		Tensor,
		openWeightMaker,
		createSession: (model, weights, onDevice) =>
			InferenceSession.create(model, {
				// An object, not a name: only then are its options read.
				executionProviders: [{ name: "webgpu", device }],
				externalData: weights,
				logSeverityLevel: errorsOnly,
				preferredOutputLocation: Object.fromEntries(onDevice.map((name) => [name, "gpu-buffer" as const])),
			}),
		device,
		largestWeightBytes: Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize),
	};
}

/** WebGPU where there is an adapter of real hardware, else WebAssembly. What is asked for by name must be there. */
async function pickBackend(wanted: Backend | undefined): Promise<"webgpu" | "wasm"> {
	if (wanted === "wasm") return "wasm";
	if (wanted === "cpu")
		throw new EngineUnavailableError("A page runs models on WebGPU or WebAssembly, not on the CPU.");
	const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
	if (adapter && (wanted === "webgpu" || !adapter.info.isFallbackAdapter)) return "webgpu";
	if (wanted === "webgpu") {
		throw new EngineUnavailableError("This browser has no WebGPU.", {
			metaMessages: ["Choose WebAssembly instead."],
		});
	}
	return "wasm";
}

interface ImportedRuntime {
	readonly ort: typeof import("onnxruntime-web/webgpu");
	readonly glue: string;
	readonly binary: string;
}

/** The one build of onnxruntime-web that this backend and browser need: its JSPI build calls with less overhead than Asyncify's. */
async function importRuntime(backend: "webgpu" | "wasm"): Promise<ImportedRuntime> {
	if (backend === "wasm") {
		return { ort: await import("onnxruntime-web/wasm"), glue: plainGlue, binary: plainBinary };
	}
	if ("Suspending" in WebAssembly) {
		return { ort: await import("onnxruntime-web/jspi"), glue: jspiGlue, binary: jspiBinary };
	}
	return { ort: await import("onnxruntime-web/webgpu"), glue: asyncifyGlue, binary: asyncifyBinary };
}

/** Limits that a model can need more of than WebGPU's defaults; we ask for all that the adapter has, as ONNX Runtime itself does. */
const wantedLimits = [
	"maxBufferSize",
	"maxStorageBufferBindingSize",
	"maxStorageBuffersPerShaderStage",
	"maxComputeWorkgroupStorageSize",
	"maxComputeInvocationsPerWorkgroup",
	"maxComputeWorkgroupSizeX",
	"maxComputeWorkgroupSizeY",
	"maxComputeWorkgroupSizeZ",
	"maxComputeWorkgroupsPerDimension",
] as const;
const wantedFeatures: readonly GPUFeatureName[] = ["shader-f16", "subgroups"];

/**
 * A device of our own: ONNX Runtime would destroy one of its own with its last session, and nobody could tell that from a loss.
 */
async function openDevice(): Promise<{ device: GPUDevice; vendor: string }> {
	const adapter = await navigator.gpu.requestAdapter();
	if (!adapter) throw new EngineUnavailableError("The GPU that was here a moment ago is gone.");
	const device = await adapter.requestDevice({
		requiredLimits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]])),
		requiredFeatures: wantedFeatures.filter((name) => adapter.features.has(name)),
	});
	// Vendor and architecture, as far as the browser tells: GPUs of one kind round alike.
	const name = [adapter.info.vendor, adapter.info.architecture].filter(Boolean).join("-") || "unknown";
	return { device, vendor: name.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(0, 24) };
}
