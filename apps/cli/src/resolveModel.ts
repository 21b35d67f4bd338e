import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { ModelSource } from "@tabmesh/model";
import { openModelFile } from "@tabmesh/model/node";

/** A model that was found, whatever it was called by. */
export interface ResolvedModel {
	readonly source: ModelSource;
	/** Catalogue id, or the name of the file or folder. */
	readonly name: string;
	readonly license?: string;
	/** The folder that it lies in, where that is the person's own and not our cache. */
	readonly folder?: string;
}

/**
 * Finds a model by what a person calls it: a local folder or file, a URL, or an id of `models/catalog.json`. What has to
 * be fetched lands in the cache folder, checked, with a progress bar; a second call finds it there.
 *
 * @throws ModelNotFoundError, ModelFileError, ModelSourceError
 */
export async function resolveModel(
	spec: string,
	options: { cacheDir: string; signal: AbortSignal },
): Promise<ResolvedModel> {
	const { signal } = options;
	const path = resolve(spec);
	const stats = await stat(path).catch(() => undefined);
	if (stats) {
		const folder = stats.isDirectory() ? path : dirname(path);
		return { source: await openModelFile(path, { signal }), name: basename(path), folder };
	}
	throw new Error("TODO catalogue");
}
