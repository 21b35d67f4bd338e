import type { Engine, LoadProgress, ShardSource, WeightFormat } from "@tabmesh/model";
import { OwnEnds } from "@tabmesh/pipeline";
import {
	InvalidParameterError,
	OutOfMemoryBudgetError,
	TabmeshError,
	WeightFormatError,
} from "@tabmesh/wire";
import { TypedEventEmitter } from "main-event";
import type { NetworkModel } from "./networkModel.ts";
import type { PrivateMode, PrivateView } from "./tabmesh.ts";
import { weightChoice } from "./weightChoice.ts";

const GiB = 1024 ** 3;
/** What an own part may take in a page: the rest of a WebAssembly heap, and of a phone, is for others. */
const PAGE_BYTES = 2 * GiB;
/** The same in Node, where there is no such heap. */
const NODE_BYTES = 4 * GiB;
/** Of the memory that a browser says the device has, where it does. */
const DEVICE_SHARE = 0.25;
/** How long it is kept when nothing is asked: about as long as others keep what they computed for the next question. */
const IDLE_MS = 5 * 60_000;

export interface OwnPartInit {
	model(nameOrId: string | undefined): Promise<NetworkModel>;
	source(model: NetworkModel): ShardSource;
	/** @default 300,000 */
	idleMs?: number;
}

/** What a load of an own part may be told. */
export interface OwnPartOptions {
	memoryBytes?: number | undefined;
	signal?: AbortSignal;
	onProgress?: (progress: LoadProgress) => void;
}

interface Loaded {
	readonly ends: OwnEnds;
	readonly usedBytes: number;
}

/** One model's own part, loaded or on its way. */
interface Part {
	readonly model: NetworkModel;
	readonly loading: Promise<Loaded>;
	readonly abort: AbortController;
	readonly listeners: Set<(progress: LoadProgress) => void>;
	/** Answers that need it. */
	users: number;
}

/**
 * This device's own part of private answers: embedding, first layers and head of one model. Loaded when it is first wanted, freed when
 * nobody wanted it for a while, or at once.
 */
export class OwnPart extends TypedEventEmitter<{ change: Event }> implements PrivateMode {
	readonly #init: OwnPartInit;
	#part: Part | undefined;
	#idle: ReturnType<typeof setTimeout> | undefined;
	#view: PrivateView = { phase: "off", model: undefined, loading: undefined, usedBytes: 0, error: undefined };

	constructor(init: OwnPartInit) {
		super();
		this.#init = init;
	}

	get view(): PrivateView {
		return this.#view;
	}

	async load(model?: string, options: Pick<OwnPartOptions, "memoryBytes" | "signal"> = {}): Promise<void> {
		const { release } = await this.take(await this.#init.model(model), options);
		release();
	}

	async free(): Promise<void> {
		const part = this.#part;
		if (!part) return this.#show({ phase: "off", error: undefined });
		this.#part = undefined;
		clearTimeout(this.#idle);
		part.abort.abort();
		const loaded = await part.loading.catch(() => undefined);
		await loaded?.ends.unload();
		await loaded?.ends.engine.close();
		if (!this.#part)
			this.#show({ phase: "off", model: undefined, loading: undefined, usedBytes: 0, error: undefined });
	}

	/**
	 * The own part of `model`, loaded now if need be, until `release`.
	 *
	 * @throws InvalidParameterError while an answer of another model needs this device; OutOfMemoryBudgetError where it does not fit, and
	 * what loading throws
	 */
	async take(
		model: NetworkModel,
		options: OwnPartOptions = {},
	): Promise<{ ends: OwnEnds; release: () => void }> {
		const { onProgress, signal } = options;
		signal?.throwIfAborted();
		if (this.#part && this.#part.model.id !== model.id) {
			if (this.#part.users > 0) {
				throw new InvalidParameterError(
					`This device keeps its part of ${this.#part.model.name} for an answer that is being written.`,
					{
						metaMessages: ["Wait for its end, then ask another model in private."],
					},
				);
			}
			await this.free();
		}
		this.#part ??= this.#begin(model, options.memoryBytes);
		const part = this.#part;
		clearTimeout(this.#idle);
		part.users++;
		if (onProgress) part.listeners.add(onProgress);
		let released = false;
		const release = (): void => {
			if (released) return;
			released = true;
			this.#leave(part);
		};
		try {
			const { ends } = await untilAborted(part.loading, signal);
			return { ends, release };
		} catch (error) {
			release();
			throw error;
		} finally {
			if (onProgress) part.listeners.delete(onProgress);
		}
	}

	#leave(part: Part): void {
		part.users--;
		if (part.users > 0 || this.#part !== part) return;
		// Whoever asked for it is gone before it came.
		if (this.#view.phase === "loading") void this.free();
		else this.#idle = setTimeout(() => void this.free(), this.#init.idleMs ?? IDLE_MS);
	}

	#begin(model: NetworkModel, memoryBytes: number | undefined): Part {
		const abort = new AbortController();
		const listeners = new Set<(progress: LoadProgress) => void>();
		this.#show({ phase: "loading", model: model.id, loading: undefined, usedBytes: 0, error: undefined });
		const loading = openEnds(model, this.#init.source(model), {
			memoryBytes: memoryBytes ?? sensibleBytes(),
			signal: abort.signal,
			onProgress: (progress) => {
				if (this.#part === part) this.#show({ loading: progress });
				for (const listener of listeners) listener(progress);
			},
		});
		const part: Part = { model, loading, abort, listeners, users: 0 };
		loading.then(
			({ ends, usedBytes }) => {
				ends.engine.addEventListener("devicelost", () => {
					if (this.#part === part) this.#part = undefined;
					this.#show({ phase: "off", model: undefined, usedBytes: 0 });
					void ends.engine.close();
				});
				if (this.#part === part) this.#show({ phase: "ready", loading: undefined, usedBytes });
			},
			(error) => {
				if (this.#part !== part) return;
				this.#part = undefined;
				this.#show({ phase: "failed", loading: undefined, error: typed(error) });
			},
		);
		return part;
	}

	#show(change: Partial<PrivateView>): void {
		this.#view = { ...this.#view, ...change };
		this.dispatchEvent(new Event("change"));
	}
}

/** Loads the ends of a model in the format that runs best here, or in fewer bits where they do not fit otherwise. */
async function openEnds(
	model: NetworkModel,
	source: ShardSource,
	{
		memoryBytes,
		signal,
		onProgress,
	}: { memoryBytes: number; signal: AbortSignal; onProgress: (progress: LoadProgress) => void },
): Promise<Loaded> {
	// Who does not ask in private never loads an engine.
	const { createEngine } = await import("@tabmesh/inference");
	let offered = model.formats;
	let weights: WeightFormat | undefined;
	for (;;) {
		signal.throwIfAborted();
		const choice = weightChoice(offered);
		const best = { cpu: choice.cpu[0], webgpu: choice.webgpu[0], wasm: choice.wasm[0] };
		let engine: Engine;
		try {
			engine = await createEngine({ memoryBytes, weights: weights ?? best });
		} catch (error) {
			const refused = error instanceof WeightFormatError ? error.details.weights : undefined;
			if (!offered.some((format) => format === refused)) throw error;
			offered = offered.filter((format) => format !== refused);
			weights = undefined;
			continue;
		}
		try {
			const ends = await OwnEnds.load({ engine, source, model, signal, onProgress });
			return { ends, usedBytes: await engine.usedBytes() };
		} catch (error) {
			const { backend } = engine.info;
			// Behind whatever it does: a thread of Node that is ended while its run time starts takes the process along.
			await engine.release("").catch(() => {});
			await engine.close();
			const next = choice[backend][choice[backend].indexOf(weights ?? best[backend]) + 1];
			if (!(error instanceof OutOfMemoryBudgetError) || next === undefined) throw error;
			weights = next;
		}
	}
}

function sensibleBytes(): number {
	if (!("document" in globalThis)) return NODE_BYTES;
	const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
	return deviceMemory === undefined ? PAGE_BYTES : Math.min(PAGE_BYTES, DEVICE_SHARE * deviceMemory * GiB);
}

function typed(error: unknown): TabmeshError {
	if (error instanceof TabmeshError) return error;
	return new TabmeshError("This device's own part could not be loaded because of an error inside Tabmesh.", {
		cause: error,
	});
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
	if (!signal) return promise;
	const { promise: aborted, reject } = Promise.withResolvers<never>();
	const onAbort = (): void => reject(signal.reason);
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		signal.removeEventListener("abort", onAbort);
	}
}
