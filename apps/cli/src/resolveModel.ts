import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { catalogEntry, type ModelSource } from "@tabmesh/model";
import { fetchCatalogModel, openModelPath, openModelUrl } from "@tabmesh/model/node";
import { ModelNotFoundError } from "@tabmesh/wire";
import { openPublication } from "./openPublication.ts";
import { progressBar } from "./progressBar.ts";

/** A model that was found, whatever it was called by. */
export interface ResolvedModel {
	readonly source: ModelSource;
	/** Catalogue id, or the name of the file or folder. */
	readonly name: string;
	readonly license?: string;
	/** The folder that it lies in, where that is the person's own and not our cache. */
	readonly folder?: string;
	/** What the names of its files are relative to, where they stay behind an address. */
	readonly baseUrl?: string;
}

export interface ResolveModelOptions {
	cacheDir: string;
	signal: AbortSignal;
	/** Where `hf:` names and the catalogue's Hugging Face models are looked up. @default "https://huggingface.co/" */
	hub?: string;
}

function openAddress(address: string, { signal, hub }: ResolveModelOptions): ReturnType<typeof openModelUrl> {
	return openModelUrl(address, { signal, ...(hub === undefined ? {} : { hub }) });
}

/**
 * Finds a model by what a person calls it: a local folder or file, a URL or `hf:owner/model`, or an id of
 * `models/catalog.json`. What the catalogue names is fetched into the cache folder, checked, with a progress bar; a
 * second call finds it there. What lies behind a URL stays there: it is read by ranges, once to hash it and then
 * whenever a lender asks for its layers.
 *
 * @throws ModelNotFoundError, ModelFileError, ModelSourceError, ShardIntegrityError
 */
export async function resolveModel(spec: string, options: ResolveModelOptions): Promise<ResolvedModel> {
	const { signal } = options;
	if (/^(https?:\/\/|hf:)/i.test(spec))
		return { ...(await openAddress(spec, options)), name: nameOfAddress(spec) };
	const path = resolve(spec);
	const stats = await stat(path).catch(() => undefined);
	if (stats) {
		const folder = stats.isDirectory() ? path : dirname(path);
		const publication = stats.isDirectory() ? await openPublication(path) : undefined;
		return { source: publication ?? (await openModelPath(path, { signal })), name: basename(path), folder };
	}
	if (/[\\/]|\.(bin|gguf|safetensors)$/.test(spec)) {
		throw new ModelNotFoundError(`There is no file or folder ${path}.`, {
			metaMessages: ["Give a folder or file that exists, a URL, or an id of the catalogue."],
		});
	}
	const { license, hub } = catalogEntry(spec);
	if (hub !== undefined) return { ...(await openAddress(`hf:${hub}`, options)), name: spec, license };
	const bar = progressBar(`Fetching ${spec}`);
	let done = false;
	try {
		const folder = await fetchCatalogModel(spec, {
			cacheDir: join(options.cacheDir, "models"),
			signal,
			onProgress: ({ loadedBytes, totalBytes }) => bar.update(loadedBytes, totalBytes),
		});
		done = true;
		return { source: await openModelPath(folder, { signal }), name: spec, license };
	} finally {
		bar.end(done);
	}
}

/** `https://hub/owner/tiny/resolve/main/tiny.gguf?x` → `tiny.gguf`; `hf:owner/tiny@v1` → `tiny`. */
export function nameOfAddress(address: string): string {
	const path = address
		.replace(/[?#].*$/, "")
		.replace(/^hf:/i, "")
		.replace(/@[^/]*$/, "");
	const parts = path
		.replace(/\/(resolve|blob|tree)\/[^/]+(\/|$)/, "/")
		.split("/")
		.filter(Boolean);
	return (parts.at(-1) ?? "model").slice(0, 128);
}
