import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type ModelSource, publishModel, type SourceFile } from "@tabmesh/model";
import { encodeCbor, equalBytes, InvalidParameterError } from "@tabmesh/wire";
import { progressBar } from "../progressBar.ts";
import { resolveModel } from "../resolveModel.ts";

/** `tabmesh publish`: what the command line gave. */
export interface PublishCommandOptions {
	source: string;
	/** Folder to write to; absent: beside the source. */
	out?: string;
	cacheDir: string;
	force?: boolean;
}

/** What was written where. */
export interface Publication {
	readonly id: string;
	readonly folder: string;
	readonly files: readonly string[];
}

const pieceBytes = 4 * 1024 * 1024;

async function copySource(file: SourceFile, path: string, signal: AbortSignal): Promise<void> {
	await using handle = await open(path, "wx");
	for (let offset = 0; offset < file.bytes; offset += pieceBytes) {
		const piece = await file.read(offset, Math.min(pieceBytes, file.bytes - offset), signal);
		await handle.writeFile(piece);
	}
	await handle.sync();
}

/** A folder that holds another model's manifest is somebody's publication: not ours to overwrite. */
async function refuseForeign(folder: string, manifestBytes: Uint8Array): Promise<void> {
	const there = await readFile(join(folder, "manifest.cbor")).catch(() => undefined);
	if (there === undefined || equalBytes(there, manifestBytes)) return;
	throw new InvalidParameterError(`${folder} already holds another model's manifest.`, {
		metaMessages: ["Choose another folder with --out, or replace it with --force."],
	});
}

/**
 * Writes a model's manifest, its origin record and the files it needs, so that the folder can be put on any static host.
 * Everything is written under other names first and appears together at the end, the manifest last: an error or a
 * Ctrl-C leaves the folder as it was.
 *
 * @throws ModelNotFoundError, ModelFileError, InvalidParameterError
 */
export async function publish(options: PublishCommandOptions, signal: AbortSignal): Promise<Publication> {
	const model = await resolveModel(options.source, { cacheDir: options.cacheDir, signal });
	const { source } = model;
	const beside = model.folder !== undefined && options.out === undefined;
	const folder = resolve(options.out ?? model.folder ?? model.name);
	const bar = progressBar("Hashing");
	let done = false;
	const published = await publishModel(source, {
		signal,
		onProgress: ({ hashedBytes, totalBytes }) => bar.update(hashedBytes, totalBytes),
	})
		.then((result) => {
			done = true;
			return result;
		})
		.finally(() => bar.end(done));
	if (!options.force) await refuseForeign(folder, published.manifestBytes);

	const existed = (await stat(folder).catch(() => undefined)) !== undefined;
	const draft = join(dirname(folder), `.tabmesh-${randomUUID()}`);
	await mkdir(draft, { recursive: true });
	try {
		const names: string[] = [];
		for (const file of filesToWrite(source, beside)) {
			await copySource(file, join(draft, file.name), signal);
			names.push(file.name);
		}
		await writeFile(join(draft, "origins.json"), `${JSON.stringify([published.origin])}\n`);
		await writeFile(join(draft, "manifest.cbor"), encodeCbor(published.manifest));
		names.push("origins.json", "manifest.cbor");
		signal.throwIfAborted();
		await mkdir(folder, { recursive: true });
		for (const name of names) await rename(join(draft, name), join(folder, name));
		return { id: published.id, folder, files: names };
	} catch (error) {
		if (!existed) await rm(folder, { recursive: true, force: true });
		throw error;
	} finally {
		await rm(draft, { recursive: true, force: true });
	}
}

/** Beside its source a publication only adds what had to be made; elsewhere it brings the source's files along. */
function filesToWrite(source: ModelSource, beside: boolean): SourceFile[] {
	const made = new Set(source.derived.map(({ name }) => name));
	return source.files.filter(({ name }) => !beside || made.has(name));
}
