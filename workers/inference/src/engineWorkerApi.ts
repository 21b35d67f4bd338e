import type { Engine, ShardSource } from "@tabmesh/model";
import { EngineUnavailableError } from "@tabmesh/wire";
import { type ProxyMethods, releaseProxy, transfer } from "comlink";
import type { EngineOptions } from "./engineOptions.ts";
import { buffersOf, type EngineWorkerApi, outcomeOf, unwrap } from "./engineProtocol.ts";
import type { Runtime } from "./runtime.ts";
import { SpanEngine } from "./spanEngine.ts";

/** The engine's calls as they arrive in a worker. */
export function engineWorkerApi(openRuntime: (options: EngineOptions) => Promise<Runtime>): EngineWorkerApi {
	let started: Engine | undefined;
	const loads = new Map<number, AbortController>();
	const deviceLost = Promise.withResolvers<string>();

	function engine(): Engine {
		if (!started) throw new EngineUnavailableError("The inference worker has not been started.");
		return started;
	}

	return {
		start: (options, firstHandle) =>
			outcomeOf(async () => {
				const runtime = await openRuntime(options);
				const memoryBytes = Math.min(options.memoryBytes, runtime.heapBytes ?? Number.POSITIVE_INFINITY);
				started = new SpanEngine(runtime, { ...options, memoryBytes }, firstHandle);
				started.addEventListener("devicelost", (event) => deviceLost.resolve(event.detail.reason));
				return started.info;
			}),

		lost: () => deviceLost.promise,

		usedBytes: () => engine().usedBytes(),

		load: (load, spec, read, onProgress) =>
			outcomeOf(async () => {
				const cancel = new AbortController();
				loads.set(load, cancel);
				const source: ShardSource = { read: async (_model, tensor) => unwrap(await read(tensor.name)) };
				try {
					return await engine().load(spec, source, {
						signal: cancel.signal,
						onProgress: (progress) => onProgress(progress),
					});
				} finally {
					loads.delete(load);
					// Comlink keeps the ports of callbacks open until they are given up.
					for (const callback of [read, onProgress]) (callback as Partial<ProxyMethods>)[releaseProxy]?.();
				}
			}),

		cancelLoad: async (load) => loads.get(load)?.abort(),

		unload: (handle) => outcomeOf(() => engine().unload(handle)),
		reserve: (handle, stream, maxTokens) => outcomeOf(() => engine().reserve(handle, stream, maxTokens)),
		resize: (stream, maxTokens) => outcomeOf(() => engine().resize(stream, maxTokens)),
		fork: (...call) => outcomeOf(() => engine().fork(...call)),
		forward: async (handle, rows, options) => {
			const outcome = await outcomeOf(() => engine().forward(handle, rows, options));
			return "value" in outcome
				? transfer(outcome, buffersOf(outcome.value.map(({ logits, hidden }) => logits ?? hidden!.data)))
				: outcome;
		},
		truncate: (stream, position) => outcomeOf(() => engine().truncate(stream, position)),
		release: (stream) => outcomeOf(() => engine().release(stream)),
	};
}
