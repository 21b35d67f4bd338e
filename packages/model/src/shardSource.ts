import type { Manifest, TensorEntry } from "@tabmesh/wire";

/** A model that can be loaded: its id and its verified manifest. */
export interface ModelRef {
	/** CID of the manifest. */
	readonly id: string;
	readonly manifest: Manifest;
}

export interface ReadOptions {
	signal?: AbortSignal;
	/** Bytes of this tensor that are here and checked. */
	onProgress?: (loadedBytes: number) => void;
}

/**
 * Where verified weights come from. HTTP origins, files and a store on this device are implemented here; the client
 * adapts R1FS to it. Whatever it returns has the hashes that the manifest gives.
 */
export interface ShardSource {
	/**
	 * The source bytes of one tensor, as they stand in the model's file. The array and its whole buffer belong to the caller, who may
	 * transfer it to a worker.
	 *
	 * @throws ShardIntegrityError when every origin gave wrong bytes, ModelSourceError when none could be reached
	 */
	read(model: ModelRef, tensor: TensorEntry, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
}
