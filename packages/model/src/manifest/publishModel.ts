import {
	encodeCbor,
	limits,
	type Manifest,
	ModelFileError,
	type Origin,
	type TensorEntry,
} from "@tabmesh/wire";
import { expectedParts, tokenizerName } from "../format/llamaTensors.ts";
import type { ModelSource, SourceTensor } from "../format/modelSource.ts";
import { chunkCount, chunkRange } from "./chunks.ts";
import { manifestBytesId } from "./modelId.ts";
import { checkManifest } from "./openManifest.ts";
import { sha256 } from "./sha256.ts";

/** What a publisher puts where others can fetch it. */
export interface PublishedModel {
	readonly id: string;
	readonly manifest: Manifest;
	/** The deterministic encoding that the id is the hash of. */
	readonly manifestBytes: Uint8Array<ArrayBuffer>;
	/** Where the tensors lie in `source.files`, under the base URL that was given. */
	readonly origin: Origin;
}

export interface PublishOptions {
	/** Where the source's files (and its derived ones) will lie; relative URLs are resolved by whoever reads. @default "./" */
	baseUrl?: string;
	signal?: AbortSignal;
	onProgress?: (progress: { readonly hashedBytes: number; readonly totalBytes: number }) => void;
}

/**
 * Reads a model file once and describes it: every 1 MiB of it by its hash, all of it by one id.
 *
 * @throws ModelFileError when the source is not a complete model
 */
export async function publishModel(
	source: ModelSource,
	options: PublishOptions = {},
): Promise<PublishedModel> {
	const totalBytes = source.tensors.reduce((sum, tensor) => sum + length(tensor), 0);
	let hashedBytes = 0;
	const tensors: TensorEntry[] = [];
	for (const tensor of source.tensors) {
		const chunks: Uint8Array<ArrayBuffer>[] = [];
		const bytes = length(tensor);
		for (let index = 0; index < chunkCount(bytes); index++) {
			options.signal?.throwIfAborted();
			const range = chunkRange(bytes, index);
			chunks.push(await sha256(await readSourceTensor(source, tensor, range, options.signal)));
			hashedBytes += range.length;
			options.onProgress?.({ hashedBytes, totalBytes });
		}
		tensors.push({ name: tensor.name, type: tensor.type, shape: [...tensor.shape], bytes, chunks });
	}
	const { bos, eos, chatTemplate } = source.tokenizer;
	const manifest: Manifest = {
		format: "tabmesh-model/1",
		config: source.config,
		boundary: source.boundary,
		tokenizer: {
			...(bos === undefined ? {} : { bos }),
			eos: [...eos],
			...(chatTemplate === undefined ? {} : { chatTemplate }),
		},
		tensors,
		parts: [
			...expectedParts(source.config).map((part) => ({
				name: part.name,
				tensors: part.tensors.map((tensor) => tensor.name),
			})),
			{ name: "tokenizer", tensors: [tokenizerName] },
		],
	};
	checkManifest(manifest);
	const manifestBytes = encodeCbor(manifest);
	if (manifestBytes.byteLength > limits.manifestBytes) {
		throw new ModelFileError("The model is larger than a manifest can describe.");
	}
	const id = await manifestBytesId(manifestBytes);
	const origin: Origin = {
		model: id,
		baseUrl: options.baseUrl ?? "./",
		files: source.files.map((file) => file.name),
		ranges: source.tensors.map((tensor) =>
			tensor.ranges.map((range) => [...range] as [number, number, number]),
		),
	};
	return { id, manifest, manifestBytes, origin };
}

/** Bytes `[offset, offset + length)` of a tensor, put together from its ranges. */
export async function readSourceTensor(
	source: ModelSource,
	tensor: SourceTensor,
	wanted: { offset: number; length: number },
	signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
	const pieces: Uint8Array<ArrayBuffer>[] = [];
	let start = 0;
	for (const [file, offset, bytes] of tensor.ranges) {
		const from = Math.max(wanted.offset, start);
		const to = Math.min(wanted.offset + wanted.length, start + bytes);
		if (from < to) pieces.push(await source.files[file]!.read(offset + from - start, to - from, signal));
		start += bytes;
	}
	const [only] = pieces;
	if (pieces.length === 1 && only) return checkLength(tensor, only, wanted.length);
	const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
	let at = 0;
	for (const piece of pieces) {
		whole.set(piece, at);
		at += piece.byteLength;
	}
	return checkLength(tensor, whole, wanted.length);
}

function checkLength(
	tensor: SourceTensor,
	bytes: Uint8Array<ArrayBuffer>,
	expected: number,
): Uint8Array<ArrayBuffer> {
	if (bytes.byteLength === expected) return bytes;
	throw new ModelFileError(`The model file ends inside ${tensor.name}: it has changed since it was opened.`);
}

function length(tensor: SourceTensor): number {
	return tensor.ranges.reduce((sum, [, , bytes]) => sum + bytes, 0);
}
