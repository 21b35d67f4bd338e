import type { Engine, EngineHandle, LoadProgress, ModelRef, ShardSource } from "@tabmesh/model";
import { OutOfMemoryBudgetError, RouteRefusedError, type Span } from "@tabmesh/wire";
import { spanContains } from "../plan/modelSizes.ts";
import type { KeptPrefixes } from "./keptPrefixes.ts";

export interface SpanOptions {
	signal?: AbortSignal;
	onProgress?: (progress: LoadProgress) => void;
}

/** A loaded span in use; it stays loaded until `release`. */
export interface SpanLease {
	readonly handle: EngineHandle;
	release(): void;
}

/** One span in the engine, or on its way there. */
interface Entry {
	readonly key: string;
	readonly loading: Promise<EngineHandle>;
	readonly abort: AbortController;
	readonly listeners: Set<(progress: LoadProgress) => void>;
	/** Streams and waiting callers. */
	users: number;
	/** When the last user left, by the order of leaving. */
	idleSince: number;
	loaded: boolean;
}

/**
 * The spans of a lender's engine: those that it holds, which it announces and keeps, and cuts of them, which routes ask
 * for, are loaded on demand and give way when memory is needed.
 */
export class LoadedSpans {
	readonly #engine: Engine;
	readonly #source: ShardSource;
	readonly #prefixes: KeptPrefixes | undefined;
	readonly #entries = new Map<string, Entry>();
	readonly #held = new Map<string, { model: string; span: Span }>();
	/** Spans that are to be held, part by part. */
	readonly #expected = new Set<{ readonly model: string; readonly span: Span }>();
	/** Told of what is being loaded while they wait for a span that is expected. */
	readonly #waiting = new Set<(progress: LoadProgress) => void>();
	#change = Promise.withResolvers<void>();
	#uses = 0;
	readonly #onDeviceLost = (): void => {
		// Handles are void now. What is held is loaded again by whoever holds it, or by the next stream.
		for (const entry of this.#entries.values()) if (entry.loaded) this.#entries.delete(entry.key);
	};

	/** @param prefixes - what is kept beside the spans, and given up before them */
	constructor(engine: Engine, source: ShardSource, prefixes?: KeptPrefixes) {
		this.#engine = engine;
		this.#source = source;
		this.#prefixes = prefixes;
		engine.addEventListener("devicelost", this.#onDeviceLost);
	}

	/**
	 * Loads a span and keeps it until `drop`; from this call on routes may use any part of it.
	 *
	 * @throws what `Engine.load` throws; the span is not held then
	 */
	async hold(model: ModelRef, span: Span, options: SpanOptions = {}): Promise<EngineHandle> {
		const key = keyOf(model.id, span);
		this.#held.set(key, { model: model.id, span });
		this.#changed();
		const onProgress = (progress: LoadProgress): void => {
			options.onProgress?.(progress);
			for (const listener of this.#waiting) listener(progress);
		};
		try {
			const lease = await this.#use(model, span, { ...options, onProgress });
			lease.release();
			return lease.handle;
		} catch (error) {
			this.#held.delete(key);
			throw error;
		} finally {
			this.#changed();
		}
	}

	/**
	 * Lets routes ask for any part of a span that will be held: they wait until it is.
	 *
	 * @returns what ends that
	 */
	expect(model: string, span: Span): () => void {
		const expected = { model, span };
		this.#expected.add(expected);
		return () => {
			this.#expected.delete(expected);
			this.#changed();
		};
	}

	/** Gives a held span up: no new streams for it; it is unloaded when the running ones have ended. */
	drop(model: string, span: Span): void {
		const key = keyOf(model, span);
		this.#held.delete(key);
		this.#changed();
		// Cuts of it are of no use any more, either.
		for (const entry of this.#entries.values()) {
			if (entry.users === 0 && !this.#isServed(entry.key)) void this.#unload(entry);
		}
	}

	/** Whether `span` of `model` is part of something that is held, or is expected to be. */
	serves(model: string, span: Span): boolean {
		return this.#holds(model, span) || [...this.#expected].some((each) => isPartOf(each, model, span));
	}

	#holds(model: string, span: Span): boolean {
		return [...this.#held.values()].some((held) => isPartOf(held, model, span));
	}

	/** Whether `span` has to wait for one that it is a part of: made of that one it takes no memory of its own. */
	#isComing(model: string, span: Span): boolean {
		const key = keyOf(model, span);
		const containing = [...this.#held].filter(([, held]) => isPartOf(held, model, span));
		return containing.every(([held]) => held !== key && this.#entries.get(held)?.loaded === false);
	}

	#changed(): void {
		this.#change.resolve();
		this.#change = Promise.withResolvers();
	}

	/**
	 * The handle of exactly this span, loaded now if need be, or as soon as what it is a part of is here.
	 *
	 * @throws RouteRefusedError when it is part of nothing that is held, and what `Engine.load` throws
	 */
	async acquire(model: ModelRef, span: Span, options: SpanOptions = {}): Promise<SpanLease> {
		const { signal, onProgress } = options;
		while (this.#isComing(model.id, span)) {
			if (!this.serves(model.id, span)) {
				throw new RouteRefusedError("This peer does not hold the layers that the route asks of it.", {
					details: { from: span.from, to: span.to },
				});
			}
			signal?.throwIfAborted();
			if (onProgress) this.#waiting.add(onProgress);
			const { promise } = this.#change;
			try {
				await (signal ? abortable(promise, signal) : promise);
			} finally {
				if (onProgress) this.#waiting.delete(onProgress);
			}
		}
		return this.#use(model, span, options);
	}

	/**
	 * Frees memory: first what is kept of finished streams, then by unloading cuts that no stream uses.
	 *
	 * @returns whether there was some
	 */
	async freeIdle(): Promise<boolean> {
		if (await this.#prefixes?.evict()) return true;
		const idle = [...this.#entries.values()]
			.filter((entry) => entry.users === 0 && entry.loaded && !this.#held.has(entry.key))
			.sort((a, b) => a.idleSince - b.idleSince)[0];
		if (!idle) return false;
		await this.#unload(idle);
		return true;
	}

	/** Unloads everything. */
	async close(): Promise<void> {
		this.#engine.removeEventListener("devicelost", this.#onDeviceLost);
		this.#held.clear();
		this.#expected.clear();
		this.#changed();
		await Promise.all([...this.#entries.values()].map((entry) => this.#unload(entry)));
	}

	async #use(model: ModelRef, span: Span, { signal, onProgress }: SpanOptions): Promise<SpanLease> {
		signal?.throwIfAborted();
		const entry = this.#entry(model, span);
		entry.users++;
		if (onProgress) entry.listeners.add(onProgress);
		let released = false;
		const release = (): void => {
			if (released) return;
			released = true;
			this.#leave(entry);
		};
		try {
			const handle = await (signal ? abortable(entry.loading, signal) : entry.loading);
			return { handle, release };
		} catch (error) {
			release();
			throw error;
		} finally {
			if (onProgress) entry.listeners.delete(onProgress);
		}
	}

	#entry(model: ModelRef, span: Span): Entry {
		const key = keyOf(model.id, span);
		// What has the head computes what comes before it, too.
		const known = this.#entries.get(key) ?? this.#entries.get(keyOf(model.id, { ...span, head: true }));
		if (known) return known;
		const abort = new AbortController();
		const listeners = new Set<(progress: LoadProgress) => void>();
		const load = (): Promise<EngineHandle> =>
			this.#engine.load({ model, span }, this.#source, {
				signal: abort.signal,
				onProgress: (progress) => {
					for (const listener of listeners) listener(progress);
				},
			});
		const loading = (async () => {
			for (;;) {
				try {
					return await load();
				} catch (error) {
					if (!(error instanceof OutOfMemoryBudgetError) || !(await this.freeIdle())) throw error;
				}
			}
		})();
		const entry: Entry = { key, loading, abort, listeners, users: 0, idleSince: 0, loaded: false };
		this.#entries.set(key, entry);
		loading.then(
			() => {
				entry.loaded = true;
				this.#changed();
			},
			() => {
				if (this.#entries.get(key) === entry) this.#entries.delete(key);
				this.#changed();
			},
		);
		return entry;
	}

	#leave(entry: Entry): void {
		entry.users--;
		if (entry.users > 0) return;
		entry.idleSince = ++this.#uses;
		// A load that nobody waits for any more is stopped; a loaded cut stays for the next stream while there is room.
		if (!entry.loaded || !this.#isServed(entry.key)) void this.#unload(entry);
	}

	#isServed(key: string): boolean {
		const { model, span } = spanOfKey(key);
		return this.#holds(model, span);
	}

	async #unload(entry: Entry): Promise<void> {
		if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
		entry.abort.abort();
		const handle = await entry.loading.catch(() => undefined);
		if (handle) this.#prefixes?.forget(handle);
		// After a lost device the engine does not know the handle any more.
		if (handle) await this.#engine.unload(handle).catch(() => {});
	}
}

function isPartOf(
	whole: { readonly model: string; readonly span: Span },
	model: string,
	span: Span,
): boolean {
	return whole.model === model && spanContains(whole.span, span);
}

function keyOf(model: string, { from, to, embed, head }: Span): string {
	return JSON.stringify([model, from, to, embed, head]);
}

function spanOfKey(key: string): { model: string; span: Span } {
	const [model, from, to, embed, head] = JSON.parse(key) as [string, number, number, boolean, boolean];
	return { model, span: { from, to, embed, head } };
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
	return new Promise((resolve, reject) => {
		const onAbort = (): void => reject(signal.reason);
		signal.addEventListener("abort", onAbort, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
	});
}
