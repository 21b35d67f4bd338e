import {
	equalBytes,
	type Manifest,
	ShardIntegrityError,
	type SourceType,
	type TensorEntry,
} from "@tabmesh/wire";
import { verifyChunks } from "../manifest/chunks.ts";
import type { ModelRef, ReadOptions, ShardSource } from "../shardSource.ts";

/** Float formats have a name in safetensors; everything else is bytes there, and the manifest says of what kind. */
const floats: Partial<Record<SourceType, string>> = { F32: "F32", F16: "F16", BF16: "BF16" };

/** safetensors readers want tensors to begin at multiples of eight. */
const alignment = 8;

/** One part's layout: the same from the same manifest, so that a shard needs no hash of its own. */
export interface ShardLayout {
	/** Length of the header as a little-endian uint64, and the header. */
	readonly header: Uint8Array<ArrayBuffer>;
	/** The part's tensors, each with the offset of its first byte in the shard. */
	readonly tensors: readonly { readonly entry: TensorEntry; readonly offset: number }[];
	/** Length of the shard. */
	readonly bytes: number;
}

/**
 * What the safetensors shard of one part looks like.
 *
 * @param partName - `embed`, `layer.0`, …, `head` or `tokenizer`
 * @throws ShardIntegrityError when the model has no such part
 * @see https://github.com/huggingface/safetensors#format
 */
export function shardLayout(manifest: Manifest, partName: string): ShardLayout {
	const part = manifest.parts.find(({ name }) => name === partName);
	if (!part) throw new ShardIntegrityError(`The model has no part ${partName}.`);
	const entries = part.tensors.map((name) => manifest.tensors.find((tensor) => tensor.name === name)!);
	const json: Record<string, unknown> = { __metadata__: { format: "tabmesh-shard/1", part: partName } };
	let at = 0;
	const placed = entries.map((entry) => {
		const { name, type, shape, bytes } = entry;
		const dtype = floats[type];
		json[name] = {
			dtype: dtype ?? "U8",
			shape: dtype ? shape : [bytes],
			data_offsets: [at, at + bytes],
		};
		const start = at;
		at += bytes;
		return { entry, start };
	});
	const text = new TextEncoder().encode(JSON.stringify(json));
	const padded = Math.ceil(text.byteLength / alignment) * alignment;
	// The format asks for spaces as padding.
	const header = new Uint8Array(8 + padded).fill(0x20);
	new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
	header.set(text, 8);
	const tensors = placed.map(({ entry, start }) => ({ entry, offset: header.byteLength + start }));
	return { header, tensors, bytes: header.byteLength + at };
}

/**
 * The safetensors shard of one part, piece by piece: its header, then each tensor's source bytes.
 *
 * @throws ShardIntegrityError, ModelSourceError from the source
 */
export async function* writeShard(
	model: ModelRef,
	partName: string,
	source: ShardSource,
	options: Pick<ReadOptions, "signal"> = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
	const { header, tensors } = shardLayout(model.manifest, partName);
	yield header;
	for (const { entry } of tensors) yield await source.read(model, entry, options);
}

/**
 * The tensors of a shard, by name, as views of `shard`.
 *
 * @throws ShardIntegrityError when it is not exactly the shard of that part
 */
export async function readShard(
	model: ModelRef,
	partName: string,
	shard: Uint8Array<ArrayBuffer>,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
	const { header, tensors, bytes } = shardLayout(model.manifest, partName);
	if (shard.byteLength !== bytes || !equalBytes(shard.subarray(0, header.byteLength), header)) {
		throw new ShardIntegrityError(`This is not the shard of ${partName}.`, {
			details: { bytes: shard.byteLength, expectedBytes: bytes },
		});
	}
	const read = new Map<string, Uint8Array<ArrayBuffer>>();
	for (const { entry, offset } of tensors) {
		const content = shard.subarray(offset, offset + entry.bytes);
		await verifyChunks(entry, 0, content);
		read.set(entry.name, content);
	}
	return read;
}
