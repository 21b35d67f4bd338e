import {
	type Engine,
	type EngineHandle,
	type EngineInfo,
	type ForwardOptions,
	type ForwardResult,
	type ForwardRow,
	type GraphFormat,
	keyValueBytesPerToken,
	type LoadProgress,
	type LoadSpec,
	type ShardSource,
	type StreamKey,
	tensorsOfSpan,
} from "@tabmesh/model";
import { DeviceLostError, EngineInputError, OutOfMemoryBudgetError, type Span } from "@tabmesh/wire";
import { checkMaxTokens, checkSpan } from "./engineCalls.ts";
import { EngineEventTarget } from "./engineEventTarget.ts";
import { defaultPieceBytes, type EngineOptions, weightsOn } from "./engineOptions.ts";
import { fetchProgress } from "./fetchProgress.ts";
import { byPlace, gapsBetween, partsWithin } from "./partsOfSpan.ts";
import { type SpanShare, splitSpan } from "./splitSpan.ts";

/** 56 GB in all: more than any model that this network can run in float32 takes. */
const mostWorkers = 16;

/** One worker, started when a span first needs it. */
interface Place {
	engine: Promise<Engine> | undefined;
	/** How often all that was in it was lost. */
	losses: number;
}

/** A span over several workers, whole or on its way. */
interface Split {
	readonly spec: LoadSpec;
	/** One behind the other. */
	readonly shares: readonly SpanShare[];
	/** Those shares that are loaded. */
	readonly loaded: Map<SpanShare, EngineHandle>;
}

interface Stream {
	readonly split: Split;
	maxTokens: number;
}

/**
 * One engine out of several workers, for a device that lends more than a WebAssembly heap holds: a span that is too large for one lies
 * in several, and hidden states pass from one to the next. They run one after the other, so each has all threads: TinyLlama in float32,
 * on two cores, takes 470 ms a token over two workers with one thread each, 300 with two. (Over four workers it is 490 and 380: threads
 * that have done their part wait at full speed for a while, which nothing in onnxruntime-web stops.)
 *
 * When a worker is lost, all handles and streams are gone, as the `Engine` interface has it; but what the others hold of a span stays,
 * and when that span is loaded again, only the lost part is fetched and compiled.
 */
export class SplitEngine extends EngineEventTarget implements Engine {
	readonly info: EngineInfo;
	readonly #startWorker: () => Promise<Engine>;
	readonly #heapBytes: number;
	readonly #pieceBytes: number;
	readonly #format: GraphFormat;
	readonly #places: readonly Place[];
	readonly #loading = new Set<Split>();
	readonly #splits = new Map<number, Split>();
	/** Spans that lost a part. */
	#remains: readonly Split[] = [];
	readonly #streams = new Map<StreamKey, Stream>();
	#lastHandle = 0;
	/** Calls are taken in order, through all workers. */
	#last: Promise<unknown> = Promise.resolve();
	#closed = false;

	/**
	 * @param first - the first worker's engine, whose `memoryBytes` are what one worker holds
	 * @param startWorker - starts a further one of the same kind
	 */
	constructor(first: Engine, startWorker: () => Promise<Engine>, options: EngineOptions) {
		super();
		const { memoryBytes, pieceBytes = defaultPieceBytes } = options;
		this.info = { ...first.info, memoryBytes };
		this.#startWorker = startWorker;
		this.#heapBytes = first.info.memoryBytes;
		this.#pieceBytes = pieceBytes;
		this.#format = { weights: weightsOn(first.info.backend, options), keyValues: "rows" };
		// A heap without room for one layer more is half full at least, where a layer takes no more than half a heap.
		const count = Math.min(mostWorkers, 2 * Math.ceil(memoryBytes / this.#heapBytes));
		this.#places = Array.from({ length: count }, () => ({ engine: undefined, losses: 0 }));
		this.#places[0]!.engine = Promise.resolve(first);
		this.#watch(this.#places[0]!, first);
	}

	async usedBytes(): Promise<number> {
		return this.#usedBytes();
	}

	async load(
		spec: LoadSpec,
		source: ShardSource,
		options: { signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void } = {},
	): Promise<EngineHandle> {
		checkSpan(spec.span, spec.model.manifest.config);
		options.signal?.throwIfAborted();
		const split = (await this.#takeRemains(spec)) ?? this.#share(spec);
		this.#loading.add(split);
		try {
			await this.#loadShares(split, source, options);
			const handle: EngineHandle = {
				id: ++this.#lastHandle,
				span: spec.span,
				weightBytes: split.shares.reduce((sum, { bytes }) => sum + bytes, 0),
				keyValueBytesPerToken: keyValueBytesPerToken(spec.model.manifest.config, spec.span),
			};
			this.#splits.set(handle.id, split);
			return handle;
		} catch (error) {
			await this.#unloadShares(split);
			throw error;
		} finally {
			this.#loading.delete(split);
		}
	}

	async unload(handle: EngineHandle): Promise<void> {
		await this.#inTurn(async () => {
			const split = this.#find(handle);
			await this.#unloadShares(split);
			this.#splits.delete(handle.id);
			for (const [key, stream] of this.#streams) if (stream.split === split) this.#streams.delete(key);
		});
	}

	async reserve(handle: EngineHandle, stream: StreamKey, maxTokens: number): Promise<void> {
		const split = this.#find(handle);
		if (this.#streams.has(stream)) throw new EngineInputError("This stream has its memory already.");
		checkMaxTokens(maxTokens, split.spec.model.manifest.config);
		await this.#begin(stream, split, maxTokens, (engine, share) =>
			engine.reserve(split.loaded.get(share)!, stream, maxTokens),
		);
	}

	async resize(stream: StreamKey, maxTokens: number): Promise<void> {
		await this.#inTurn(async () => {
			const state = this.#streamOf(stream);
			const { split, maxTokens: before } = state;
			this.#checkRoom(split, maxTokens - before);
			state.maxTokens = maxTokens;
			try {
				await this.#onAll(split, (engine) => engine.resize(stream, maxTokens));
			} catch (error) {
				state.maxTokens = before;
				await this.#onAll(split, (engine) => engine.resize(stream, before)).catch(() => {});
				throw error;
			}
		});
	}

	async fork(stream: StreamKey, from: StreamKey, positions: number, maxTokens: number): Promise<void> {
		await this.#inTurn(async () => {
			const { split } = this.#streamOf(from);
			if (this.#streams.has(stream)) throw new EngineInputError("This stream has its memory already.");
			await this.#begin(stream, split, maxTokens, (engine) =>
				engine.fork(stream, from, positions, maxTokens),
			);
		});
	}

	/** Sets memory for a new stream aside in all workers or, where one of them refuses, in none. */
	async #begin(
		stream: StreamKey,
		split: Split,
		maxTokens: number,
		reserve: (engine: Engine, share: SpanShare) => Promise<void>,
	): Promise<void> {
		this.#checkRoom(split, maxTokens);
		const state = { split, maxTokens };
		this.#streams.set(stream, state);
		try {
			await this.#onAll(split, reserve);
		} catch (error) {
			if (this.#streams.get(stream) === state) this.#streams.delete(stream);
			await this.#release(stream, split);
			throw error;
		}
	}

	/** @throws the first worker's error, when all have answered */
	async #onAll({ shares }: Split, call: (engine: Engine, share: SpanShare) => Promise<void>): Promise<void> {
		const calls = shares.map(async (share) => call(await this.#engine(share), share));
		const failed = (await Promise.allSettled(calls)).find(({ status }) => status === "rejected");
		if (failed) throw (failed as PromiseRejectedResult).reason;
	}

	/** @throws OutOfMemoryBudgetError when the device lends no memory for so many positions more */
	#checkRoom({ spec }: Split, positions: number): void {
		const freeBytes = this.info.memoryBytes - this.#usedBytes();
		const bytes = positions * keyValueBytesPerToken(spec.model.manifest.config, spec.span);
		if (bytes > freeBytes) {
			throw new OutOfMemoryBudgetError(
				`Memory for the stream takes ${bytes} bytes, and ${freeBytes} are free.`,
				{
					details: { bytes, freeBytes },
				},
			);
		}
	}

	async forward(
		handle: EngineHandle,
		rows: readonly ForwardRow[],
		options: ForwardOptions,
	): Promise<ForwardResult[]> {
		return this.#inTurn(async () => {
			const split = this.#find(handle);
			const { shares, loaded } = split;
			// Workers cannot tell: what they hold may be a part of several spans.
			if (rows.some(({ stream }) => this.#streams.get(stream)?.split !== split))
				throw new EngineInputError("There is no such stream in this span.");
			let inputs = rows;
			for (const [i, share] of shares.entries()) {
				const isLast = i === shares.length - 1;
				const logits = isLast ? options.logits : "none";
				try {
					// The first makes sure that every row fits its stream: all of them have the same streams.
					const engine = await this.#engine(share);
					const results = await engine.forward(loaded.get(share)!, inputs, { ...options, logits });
					if (isLast) return results;
					inputs = rows.map((row, at) => ({ ...row, input: results[at]!.hidden! }));
				} catch (error) {
					await this.#goBack(shares.slice(0, i), rows);
					throw error;
				}
			}
			return [];
		});
	}

	async truncate(stream: StreamKey, position: number): Promise<void> {
		await this.#inTurn(async () => {
			const { shares } = this.#streamOf(stream).split;
			await Promise.all(shares.map(async (share) => (await this.#engine(share)).truncate(stream, position)));
		});
	}

	async release(stream: StreamKey): Promise<void> {
		await this.#inTurn(async () => {
			const state = this.#streams.get(stream);
			if (!state) return;
			await this.#release(stream, state.split);
			this.#streams.delete(stream);
		});
	}

	async close(): Promise<void> {
		this.#closed = true;
		await Promise.all(
			this.#places.map(async ({ engine }) => (await engine?.catch(() => undefined))?.close()),
		);
	}

	/** The engine of the worker in which a share lies. @throws EngineUnavailableError when it does not start */
	#engine({ place: index }: SpanShare): Promise<Engine> {
		const place = this.#places[index]!;
		place.engine ??= this.#startWorker().then(
			async (engine) => {
				this.#watch(place, engine);
				if (this.#closed) await engine.close();
				return engine;
			},
			(error: unknown) => {
				// Whoever needs it next tries once more.
				place.engine = undefined;
				throw error;
			},
		);
		return place.engine;
	}

	#watch(place: Place, engine: Engine): void {
		const index = this.#places.indexOf(place);
		engine.addEventListener("devicelost", ({ detail }) => {
			place.losses++;
			for (const split of this.#splits.values()) {
				for (const share of split.shares) if (share.place === index) split.loaded.delete(share);
			}
			this.#remains = [...this.#remains, ...this.#splits.values()];
			this.#splits.clear();
			const streams = [...this.#streams];
			this.#streams.clear();
			void this.#inTurn(() => Promise.all(streams.map(([key, { split }]) => this.#release(key, split))));
			this.dispatchEvent(new CustomEvent("devicelost", { detail }));
		});
	}

	/** Bytes in use, in one place or in all. */
	#usedBytes(place?: number): number {
		const isHere = (share: SpanShare): boolean => place === undefined || share.place === place;
		let bytes = 0;
		const shares = new Set([...this.#loading, ...this.#splits.values()].flatMap((split) => split.shares));
		for (const { loaded } of this.#remains) for (const share of loaded.keys()) shares.add(share);
		for (const share of shares) if (isHere(share)) bytes += share.bytes;
		for (const { split, maxTokens } of this.#streams.values()) {
			const { config } = split.spec.model.manifest;
			for (const share of split.shares)
				if (isHere(share)) bytes += maxTokens * keyValueBytesPerToken(config, share.span);
		}
		return bytes;
	}

	/**
	 * Where a span is to lie: what other spans have in memory of it stays there and becomes a part of this one.
	 *
	 * @throws OutOfMemoryBudgetError when it finds no room
	 */
	#share(spec: LoadSpec): Split {
		const { model, span } = spec;
		const handles = new Map(
			[...this.#splits.values()]
				.filter((split) => split.spec.model.id === model.id)
				.flatMap(({ loaded }) => [...loaded]),
		);
		const here = partsWithin(span, handles.keys());
		const freeBytes = this.info.memoryBytes - this.#usedBytes();
		const rooms = this.#places.map((_, place) => this.#heapBytes - this.#usedBytes(place));
		const shares: SpanShare[] = [];
		for (const gap of gapsBetween(
			span,
			here.map((share) => share.span),
		)) {
			const parts = splitSpan(model.manifest, gap, this.#format, this.#pieceBytes, rooms);
			if (!parts) {
				throw new OutOfMemoryBudgetError("The span does not fit in this device's workers.", {
					details: { freeBytes, heapBytes: this.#heapBytes },
				});
			}
			for (const { place, bytes } of parts) rooms[place]! -= bytes;
			shares.push(...parts);
		}
		const bytes = shares.reduce((sum, share) => sum + share.bytes, 0);
		if (bytes > freeBytes) {
			throw new OutOfMemoryBudgetError(
				`Memory for the span takes ${bytes} bytes, and ${freeBytes} are free.`,
				{
					details: { bytes, freeBytes },
				},
			);
		}
		return {
			spec,
			shares: [...here, ...shares].sort(byPlace),
			loaded: new Map(here.map((share) => [share, handles.get(share)!])),
		};
	}

	/** Loads what is not loaded yet of a split, one share after the other, while the workers of all of them start. */
	async #loadShares(
		{ spec: { model }, shares, loaded }: Split,
		source: ShardSource,
		{ signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: LoadProgress) => void },
	): Promise<void> {
		const losses = shares.map(({ place }) => this.#places[place]!.losses);
		const throwIfLost = (): void => {
			if (shares.some(({ place }, i) => this.#places[place]!.losses !== losses[i])) {
				throw new DeviceLostError("A worker went away while the model was being loaded.");
			}
		};
		const engines = await Promise.all(shares.map((share) => this.#engine(share)));
		const missing = shares.filter((share) => !loaded.has(share));
		const sourceBytes = missing
			.flatMap(({ span }) => tensorsOfSpan(model.manifest, span))
			.reduce((sum, tensor) => sum + tensor.bytes, 0);
		const fetched = fetchProgress(() => sourceBytes, onProgress);
		const totalBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
		for (const [i, share] of missing.entries()) {
			const isLast = i === missing.length - 1;
			const handle = await engines[shares.indexOf(share)]!.load({ model, span: share.span }, source, {
				...(signal ? { signal } : {}),
				onProgress: (now) => {
					if (now.phase === "fetch") fetched(String(i), now.loadedBytes);
					// While a share is compiled others are still to be fetched: that is what people wait for.
					else if (isLast)
						onProgress?.({ ...now, loadedBytes: totalBytes - now.totalBytes + now.loadedBytes, totalBytes });
				},
			});
			loaded.set(share, handle);
			throwIfLost();
		}
		throwIfLost();
	}

	/** What is left of this very span; what is left of others goes. */
	async #takeRemains({ model, span }: LoadSpec): Promise<Split | undefined> {
		const remains = this.#remains;
		this.#remains = [];
		// Their streams are forgotten first: the next ones may have the same names.
		if (remains.length > 0) await this.#inTurn(async () => {});
		const same = remains.find(({ spec }) => spec.model.id === model.id && sameSpan(spec.span, span));
		if (same) this.#loading.add(same);
		await Promise.all(remains.map((split) => (split === same ? undefined : this.#unloadShares(split))));
		return same;
	}

	/** What other spans are made of, too, stays. */
	async #unloadShares({ loaded }: Split): Promise<void> {
		const all = [...loaded];
		loaded.clear();
		const others = [...this.#loading, ...this.#splits.values(), ...this.#remains];
		await Promise.all(
			all.map(async ([share, handle]) => {
				if (others.some((split) => split.loaded.has(share))) return;
				// A worker that was lost meanwhile does not know the handle any more.
				await (await this.#engine(share)).unload(handle).catch(() => {});
			}),
		);
	}

	/** Makes a stream's workers forget it. */
	async #release(stream: StreamKey, { shares }: Split): Promise<void> {
		await Promise.all(
			shares.map(async (share) => {
				await (await this.#engine(share)).release(stream).catch(() => {});
			}),
		);
	}

	/** Takes back what the first workers added before one behind them failed. */
	async #goBack(shares: readonly SpanShare[], rows: readonly ForwardRow[]): Promise<void> {
		await Promise.all(
			shares.flatMap((share) =>
				rows.map(async ({ stream, position }) => {
					await (await this.#engine(share)).truncate(stream, position).catch(() => {});
				}),
			),
		);
	}

	#streamOf(stream: StreamKey): Stream {
		const state = this.#streams.get(stream);
		if (!state) throw new EngineInputError("There is no such stream.");
		return state;
	}

	#find(handle: EngineHandle): Split {
		const split = this.#splits.get(handle.id);
		if (!split) throw new EngineInputError("This span is not loaded.", { details: { handle: handle.id } });
		return split;
	}

	/** Runs `task` when all before it have ended, whether well or not. */
	#inTurn<T>(task: () => Promise<T>): Promise<T> {
		const turn = this.#last.then(task, task);
		this.#last = turn;
		// The caller has the same rejection; this one only keeps the queue going.
		turn.catch(() => {});
		return turn;
	}
}

function sameSpan(a: Span, b: Span): boolean {
	return a.from === b.from && a.to === b.to && a.embed === b.embed && a.head === b.head;
}
