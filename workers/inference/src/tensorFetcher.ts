import type { ModelRef, ShardSource, SourceWeight } from "@tabmesh/model";
import type { TensorEntry } from "@tabmesh/wire";

/** The source tensors of a load, each kept from when it is fetched until nobody needs it any more. */
export class TensorFetcher {
	readonly #model: ModelRef;
	readonly #source: ShardSource;
	readonly #signal: AbortSignal;
	readonly #onBytes: (tensor: string, loadedBytes: number) => void;
	readonly #entries: ReadonlyMap<string, TensorEntry>;
	readonly #here = new Map<string, SourceWeight>();
	/** One failure ends the other fetches too. */
	readonly #failure = new AbortController();

	/** @param onBytes - told what of a tensor is here */
	constructor(
		model: ModelRef,
		source: ShardSource,
		options: { signal: AbortSignal; onBytes: (tensor: string, loadedBytes: number) => void },
	) {
		this.#model = model;
		this.#source = source;
		this.#signal = AbortSignal.any([options.signal, this.#failure.signal]);
		this.#onBytes = options.onBytes;
		this.#entries = new Map(model.manifest.tensors.map((tensor) => [tensor.name, tensor]));
	}

	/**
	 * Fetches tensors, except those that are here: all at once, as the thread may soon be too busy to ask for more. Whoever reads
	 * them knows how much a link can take.
	 *
	 * @throws ShardIntegrityError, ModelSourceError from the source
	 */
	async fetch(names: Iterable<string>): Promise<void> {
		const missing = [...new Set(names)].filter((name) => !this.#here.has(name));
		const fetchOne = async (name: string): Promise<void> => {
			const tensor = this.#entries.get(name)!;
			const bytes = await this.#source.read(this.#model, tensor, {
				signal: this.#signal,
				onProgress: (loaded) => this.#onBytes(tensor.name, loaded),
			});
			this.#onBytes(name, tensor.bytes);
			this.#here.set(name, { type: tensor.type, shape: tensor.shape, bytes });
		};
		try {
			await Promise.all(missing.map(fetchOne));
		} catch (error) {
			this.stop(error);
			throw error;
		}
	}

	/** A tensor that has been fetched. */
	get(name: string): SourceWeight {
		return this.#here.get(name)!;
	}

	/** Forgets all tensors but those of `names`. */
	keep(names: ReadonlySet<string>): void {
		for (const name of this.#here.keys()) if (!names.has(name)) this.#here.delete(name);
	}

	/** Ends what is still being fetched. */
	stop(reason: unknown): void {
		this.#failure.abort(reason);
	}
}
