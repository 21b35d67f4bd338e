import type { ModelRef, ShardSource, SourceWeight } from "@tabmesh/model";
import type { TensorEntry } from "@tabmesh/wire";

/** Tensors fetched at a time: enough to keep a link and the hash threads busy. */
const fetchesAtOnce = 4;

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
	 * Fetches tensors, except those that are here.
	 *
	 * @throws ShardIntegrityError, ModelSourceError from the source
	 */
	async fetch(names: Iterable<string>): Promise<void> {
		const queue = [...new Set(names)].filter((name) => !this.#here.has(name));
		const fetchOn = async (): Promise<void> => {
			for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
				this.#signal.throwIfAborted();
				const tensor = this.#entries.get(name)!;
				const bytes = await this.#source.read(this.#model, tensor, {
					signal: this.#signal,
					onProgress: (loaded) => this.#onBytes(tensor.name, loaded),
				});
				this.#onBytes(name, tensor.bytes);
				this.#here.set(name, { type: tensor.type, shape: tensor.shape, bytes });
			}
		};
		try {
			await Promise.all(Array.from({ length: fetchesAtOnce }, fetchOn));
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
