import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
	type ModelSource,
	type PublishedModel,
	requantisedSource,
	shardLayout,
	sourceOfModel,
	writeShard,
} from "@tabmesh/model";
import { encodeCbor, equalBytes, InvalidParameterError, type Origin, StorageQuotaError } from "@tabmesh/wire";
import { describeModel } from "../describeModel.ts";
import { type ResolvedModel, resolveModel } from "../resolveModel.ts";

/** `tabmesh publish`: what the command line gave. */
export interface PublishCommandOptions {
	source: string;
	/** Folder to write to; absent: beside the source. */
	out?: string;
	cacheDir: string;
	force?: boolean;
	/** What the published weights are: the source's own bytes, or those rounded to blocks. @default "source" */
	weights?: "source" | "q8" | "q4";
	/** Where `hf:` names are looked up. */
	hub?: string;
}

/** What was written where. */
export interface Publication {
	readonly id: string;
	readonly folder: string;
	readonly files: readonly string[];
	/** Weight formats that were tried, each with the share of next tokens that it names as float32 does. */
	readonly formats: readonly { readonly weights: string; readonly agreement: number }[];
}

/** A file to write: its name and its content, piece by piece. */
interface Draft {
	readonly name: string;
	readonly pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const pieceBytes = 4 * 1024 * 1024;

/**
 * Writes a model's manifest, its origin and gate records and the files it needs, so that the folder can be put on any static
 * host. Beside its source, and for a model behind an address, only what had to be made is written: the origin record names the
 * files where they lie. Rounded weights are written as safetensors shards, one for each part.
 *
 * Everything is written under other names first and appears together at the end, the manifest last: an error or a
 * Ctrl-C leaves the folder as it was.
 *
 * @throws ModelNotFoundError, ModelFileError, InvalidParameterError; StorageQuotaError when the disk fills up
 */
export async function publish(options: PublishCommandOptions, signal: AbortSignal): Promise<Publication> {
	const { weights = "source", cacheDir } = options;
	const model = await resolveModel(options.source, {
		cacheDir,
		signal,
		...(options.hub === undefined ? {} : { hub: options.hub }),
	});
	const source = weights === "source" ? model.source : requantisedSource(model.source, weights);
	const name = weights === "source" ? model.name : `${model.name}-${weights}`;
	const { published, gate, gateBytes } = await describeModel(source, { name, cacheDir, signal });

	const folder = resolve(options.out ?? (weights === "source" ? model.folder : undefined) ?? name);
	if (!options.force) await refuseForeign(folder, published.manifestBytes);
	const { files, origin } =
		weights === "source"
			? sourceFiles(model, published, options.out === undefined)
			: shardFiles(source, published, signal);
	const text = (content: string): Uint8Array[] => [new TextEncoder().encode(content)];
	const drafts: Draft[] = [
		...files,
		{ name: "origins.json", pieces: text(`${JSON.stringify([origin])}\n`) },
		{ name: "gate.cbor", pieces: [gateBytes] },
		{ name: "manifest.cbor", pieces: [encodeCbor(published.manifest)] },
	];
	await writeTogether(folder, drafts, signal);
	const formats = gate.formats.map(({ weights, agreed }) => ({
		weights,
		agreement: agreed / gate.positions,
	}));
	return { id: published.id, folder, files: drafts.map(({ name }) => name), formats };
}

/** A folder that holds another model's manifest is somebody's publication: not ours to overwrite. */
async function refuseForeign(folder: string, manifestBytes: Uint8Array): Promise<void> {
	const there = await readFile(join(folder, "manifest.cbor")).catch(() => undefined);
	if (there === undefined || equalBytes(there, manifestBytes)) return;
	throw new InvalidParameterError(`${folder} already holds another model's manifest.`, {
		metaMessages: ["Choose another folder with --out, or replace it with --force."],
	});
}

/** The source's own files: those that are not where the publication will lie, and an origin that names them all. */
function sourceFiles(
	{ source, folder, baseUrl }: ResolvedModel,
	published: PublishedModel,
	beside: boolean,
): { files: Draft[]; origin: Origin } {
	const made = new Set(source.derived.map(({ name }) => name));
	const stays = (name: string): boolean =>
		!made.has(name) && (baseUrl !== undefined || (folder !== undefined && beside));
	const files = source.files
		.filter(({ name }) => !stays(name))
		.map(
			(file): Draft => ({
				name: file.name,
				pieces: (async function* () {
					for (let offset = 0; offset < file.bytes; offset += pieceBytes)
						yield file.read(offset, Math.min(pieceBytes, file.bytes - offset));
				})(),
			}),
		);
	const addresses = source.files.map(({ name }) =>
		baseUrl !== undefined && stays(name) ? new URL(name, baseUrl).href : name,
	);
	return { files, origin: { ...published.origin, files: addresses } };
}

/** A safetensors shard for each part, and the tokenizer's files as they are. */
function shardFiles(
	source: ModelSource,
	published: PublishedModel,
	signal: AbortSignal,
): { files: Draft[]; origin: Origin } {
	const { manifest, id } = published;
	const shards = sourceOfModel(source);
	const ranges = new Map<string, [number, number, number]>();
	const files: Draft[] = [];
	for (const part of manifest.parts) {
		if (part.name === "tokenizer") continue;
		// A tied head is the embedding's tensor again: it lies in both shards, and is fetched from the first.
		for (const { entry, offset } of shardLayout(manifest, part.name).tensors)
			if (!ranges.has(entry.name)) ranges.set(entry.name, [files.length, offset, entry.bytes]);
		files.push({
			name: `${part.name}.safetensors`,
			pieces: writeShard({ id, manifest }, part.name, shards, { signal }),
		});
	}
	for (const entry of manifest.tensors.filter(({ type }) => type === "BLOB")) {
		ranges.set(entry.name, [files.length, 0, entry.bytes]);
		files.push({
			name: entry.name,
			pieces: (async function* () {
				yield await shards.read(published, entry, { signal });
			})(),
		});
	}
	const origin: Origin = {
		model: id,
		baseUrl: "./",
		files: files.map(({ name }) => name),
		ranges: manifest.tensors.map(({ name }) => [ranges.get(name)!]),
	};
	return { files, origin };
}

/** Writes files beside their folder and moves them there when all are complete. */
async function writeTogether(folder: string, drafts: readonly Draft[], signal: AbortSignal): Promise<void> {
	const existed = (await stat(folder).catch(() => undefined)) !== undefined;
	const draft = join(dirname(folder), `.tabmesh-${randomUUID()}`);
	try {
		await mkdir(draft, { recursive: true });
		for (const { name, pieces } of drafts) {
			await using handle = await open(join(draft, name), "wx");
			for await (const piece of pieces) {
				signal.throwIfAborted();
				await handle.writeFile(piece);
			}
			await handle.sync();
		}
		signal.throwIfAborted();
		await mkdir(folder, { recursive: true });
		for (const { name } of drafts) await rename(join(draft, name), join(folder, name));
	} catch (error) {
		if (!existed) await rm(folder, { recursive: true, force: true });
		throw isOutOfSpace(error)
			? new StorageQuotaError(`There is not enough room for the publication in ${dirname(folder)}.`, {
					cause: error,
					metaMessages: ["Nothing was published. Free some space, or choose another place with --out."],
				})
			: error;
	} finally {
		await rm(draft, { recursive: true, force: true });
	}
}

/** A full disk, a quota, or a limit on the size of files. */
function isOutOfSpace(error: unknown): boolean {
	return ["ENOSPC", "EDQUOT", "EFBIG"].includes((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}
