import {
	type Engine,
	type EngineHandle,
	type EngineInfo,
	type ForwardOptions,
	type ForwardResult,
	type ForwardRow,
	type LoadProgress,
	type LoadSpec,
	type ShardSource,
	type StreamKey,
	tensorsOfSpan,
} from "@tabmesh/model";
import { DeviceLostError, EngineUnavailableError } from "@tabmesh/wire";
import { type Endpoint, proxy, type Remote, transfer, wrap } from "comlink";
import { EngineEventTarget } from "./engineEventTarget.ts";
import type { EngineOptions } from "./engineOptions.ts";
import { type EngineWorkerApi, type Outcome, outcomeOf, unwrap } from "./engineProtocol.ts";
import { fetchProgress } from "./fetchProgress.ts";

/** A worker that has been started, as a page or Node offers it. */
export interface OpenedWorker {
	readonly endpoint: Endpoint;
	/** Resolves with the reason when the worker, not the engine in it, has failed. */
	readonly crashed: Promise<string>;
	terminate(): Promise<void>;
}

/** One life of the worker. */
class RunningWorker {
	readonly api: Remote<EngineWorkerApi>;
	readonly info: EngineInfo;
	readonly #worker: OpenedWorker;
	/** Rejects everything that is still under way when this life ends. */
	readonly #end = Promise.withResolvers<never>();

	private constructor(worker: OpenedWorker, api: Remote<EngineWorkerApi>, info: EngineInfo) {
		this.#worker = worker;
		this.api = api;
		this.info = info;
		this.#end.promise.catch(() => {});
	}

	static async start(
		open: () => OpenedWorker,
		options: EngineOptions,
		firstHandle: number,
	): Promise<RunningWorker> {
		const worker = open();
		const failed = worker.crashed.then((reason): never => {
			throw new EngineUnavailableError(`The inference worker does not start: ${reason}`);
		});
		// Once it has started, a crash is another matter.
		failed.catch(() => {});
		const api = wrap<EngineWorkerApi>(worker.endpoint);
		try {
			const info = unwrap(await Promise.race([api.start(options, firstHandle), failed]));
			return new RunningWorker(worker, api, info);
		} catch (error) {
			await worker.terminate();
			throw error;
		}
	}

	/** What `call` gives, or the error that this life ended with. */
	async ask<T>(call: Promise<Outcome<T>>): Promise<T> {
		return unwrap(await Promise.race([call, this.#end.promise]));
	}

	/** Resolves with the reason when the device, or the whole worker, is gone. */
	lost(): Promise<string> {
		return Promise.race([this.api.lost(), this.#worker.crashed]);
	}

	async terminate(error: Error): Promise<void> {
		this.#end.reject(error);
		await this.#worker.terminate();
	}
}

/** An engine whose every call goes to a worker; a worker whose device is lost is replaced by a new one. */
export class WorkerEngine extends EngineEventTarget implements Engine {
	readonly info: EngineInfo;
	readonly #open: () => OpenedWorker;
	readonly #options: EngineOptions;
	#life: Promise<RunningWorker>;
	#loads = 0;
	#closed = false;
	/** Whether the last start failed. */
	#down = false;

	/** @throws EngineUnavailableError when the worker does not start */
	static async start(open: () => OpenedWorker, options: EngineOptions): Promise<WorkerEngine> {
		return new WorkerEngine(open, options, await RunningWorker.start(open, options, 1));
	}

	private constructor(open: () => OpenedWorker, options: EngineOptions, first: RunningWorker) {
		super();
		this.#open = open;
		this.#options = options;
		this.info = first.info;
		this.#life = Promise.resolve(first);
		this.#watch(first);
	}

	async usedBytes(): Promise<number> {
		const { api } = await this.#life;
		return api.usedBytes();
	}

	async load(
		spec: LoadSpec,
		source: ShardSource,
		options: { signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void } = {},
	): Promise<EngineHandle> {
		const { signal, onProgress } = options;
		signal?.throwIfAborted();
		if (this.#down && !this.#closed) this.#startAgain();
		const life = await this.#life;
		const load = ++this.#loads;
		const tensors = new Map(spec.model.manifest.tensors.map((tensor) => [tensor.name, tensor]));
		const cancelled = new AbortController();
		// Bytes are counted here, where they arrive; the worker knows of whole tensors only.
		let totalBytes = tensorsOfSpan(spec.model.manifest, spec.span).reduce((sum, { bytes }) => sum + bytes, 0);
		const fetched = fetchProgress(() => totalBytes, onProgress);
		const read = async (name: string): Promise<Outcome<Uint8Array<ArrayBuffer>>> => {
			const outcome = await outcomeOf(() =>
				source.read(spec.model, tensors.get(name)!, {
					signal: cancelled.signal,
					onProgress: (bytes) => fetched(name, bytes),
				}),
			);
			return "value" in outcome ? transfer(outcome, [outcome.value.buffer]) : outcome;
		};
		const cancel = (): void => {
			cancelled.abort(signal?.reason);
			void life.api.cancelLoad(load);
		};
		signal?.addEventListener("abort", cancel, { once: true });
		try {
			const report = (progress: LoadProgress): void => {
				if (progress.phase === "compile") onProgress?.(progress);
				// Parts of the span may be in its memory already.
				else totalBytes = progress.totalBytes;
			};
			return await life.ask(life.api.load(load, spec, proxy(read), proxy(report)));
		} catch (error) {
			cancelled.abort(error);
			signal?.throwIfAborted();
			throw error;
		} finally {
			signal?.removeEventListener("abort", cancel);
		}
	}

	async unload(handle: EngineHandle): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.unload(handle));
	}

	async reserve(handle: EngineHandle, stream: StreamKey, maxTokens: number): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.reserve(handle, stream, maxTokens));
	}

	async resize(stream: StreamKey, maxTokens: number): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.resize(stream, maxTokens));
	}

	async fork(stream: StreamKey, from: StreamKey, positions: number, maxTokens: number): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.fork(stream, from, positions, maxTokens));
	}

	async forward(
		handle: EngineHandle,
		rows: readonly ForwardRow[],
		options: ForwardOptions,
	): Promise<ForwardResult[]> {
		const life = await this.#life;
		return life.ask(life.api.forward(handle, rows.map(compact), options));
	}

	async truncate(stream: StreamKey, position: number): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.truncate(stream, position));
	}

	async release(stream: StreamKey): Promise<void> {
		const life = await this.#life;
		await life.ask(life.api.release(stream));
	}

	async close(): Promise<void> {
		this.#closed = true;
		const life = await this.#life;
		await life.terminate(new EngineUnavailableError("The engine has been closed."));
	}

	#startAgain(): void {
		this.#down = false;
		this.#life = RunningWorker.start(this.#open, this.#options, this.#loads + 1).then((next) => {
			if (this.#closed) void next.terminate(new EngineUnavailableError("The engine has been closed."));
			else this.#watch(next);
			return next;
		});
		// Whoever calls next is told; whoever loads next tries once more.
		this.#life.catch(() => {
			this.#down = true;
		});
	}

	#watch(life: RunningWorker): void {
		void life.lost().then((reason) => {
			if (this.#closed) return;
			void life.terminate(new DeviceLostError(`The device that runs the model went away: ${reason}.`));
			this.#startAgain();
			this.dispatchEvent(new CustomEvent("devicelost", { detail: { reason } }));
		});
	}
}

/** A row whose arrays are no views of something larger: a postMessage would copy all of that. */
function compact(row: ForwardRow): ForwardRow {
	const { input } = row;
	if (input instanceof Int32Array) return isWhole(input) ? row : { ...row, input: input.slice() };
	return isWhole(input.data) ? row : { ...row, input: { ...input, data: input.data.slice() } };
}

function isWhole(view: Int32Array | Float32Array): boolean {
	return view.byteLength === view.buffer.byteLength;
}
