import { type ChunkStore, cachedSource, httpSource, type ShardSource } from "@tabmesh/model";
import { type ShardIntegrityError, StorageQuotaError, type TabmeshError } from "@tabmesh/wire";
import type { NetworkModel } from "./networkModel.ts";

export interface WeightSourceOptions {
	/** What this device keeps between visits; undefined where it keeps nothing for us. */
	store: Promise<ChunkStore | undefined>;
	/** Told of what goes wrong without ending anything: an origin with wrong bytes, a device without room. */
	onNotice: (error: TabmeshError) => void;
}

/** Where a model's weights come from: this device first, then the model's origins over HTTP, every byte checked. */
export async function weightSource(model: NetworkModel, options: WeightSourceOptions): Promise<ShardSource> {
	const upstream = httpSource({
		origins: model.origins,
		onBadOrigin: (_origin, error: ShardIntegrityError) => options.onNotice(error),
	});
	const store = await options.store;
	return store ? cachedSource(store, upstream, { onStorageFull: options.onNotice }) : upstream;
}

/** A device that keeps nothing (private windows, a denied IndexedDB) still works: everything is fetched each time. */
export function storeOrNone(
	opening: Promise<ChunkStore>,
	onNotice: (error: TabmeshError) => void,
): Promise<ChunkStore | undefined> {
	return opening.catch((cause) => {
		onNotice(
			new StorageQuotaError(
				"This device keeps no files for this page: weights are fetched again at every visit.",
				{ cause },
			),
		);
		return undefined;
	});
}
