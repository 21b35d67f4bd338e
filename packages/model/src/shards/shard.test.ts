import { ShardIntegrityError } from "@tabmesh/wire";
import { beforeAll, describe, expect, test } from "vitest";
import { type PublishedModel, publishModel } from "../manifest/publishModel.ts";
import type { ShardSource } from "../shardSource.ts";
import { sourceOfModel } from "../sources/sourceOfModel.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { readShard, shardLayout, writeShard } from "./shard.ts";

let model: PublishedModel;
let source: ShardSource;
beforeAll(async () => {
	const opened = await openSeededModel({ layers: 2 });
	model = await publishModel(opened);
	source = sourceOfModel(opened);
});

async function shardOf(part: string): Promise<Uint8Array<ArrayBuffer>> {
	const pieces: Uint8Array[] = [];
	for await (const piece of writeShard(model, part, source)) pieces.push(piece);
	return new Uint8Array(Buffer.concat(pieces));
}

describe("shards", () => {
	test("every part has one, and its tensors come out of it as they went in", async () => {
		for (const part of model.manifest.parts) {
			const shard = await shardOf(part.name);
			expect(shard.byteLength).toBe(shardLayout(model.manifest, part.name).bytes);
			const tensors = await readShard(model, part.name, shard);
			expect([...tensors.keys()]).toEqual(part.tensors);
			for (const [name, bytes] of tensors) {
				const entry = model.manifest.tensors.find((tensor) => tensor.name === name)!;
				expect(bytes).toEqual(await source.read(model, entry));
			}
		}
	});

	test("are safetensors: a length, a JSON header, then the bytes that it points to", async () => {
		const shard = await shardOf("layer.1");
		const length = Number(new DataView(shard.buffer).getBigUint64(0, true));
		expect(length % 8).toBe(0);
		const header = JSON.parse(new TextDecoder().decode(shard.subarray(8, 8 + length)));
		const { dtype, shape, data_offsets } = header["model.layers.1.mlp.up_proj.weight"];
		expect([dtype, shape]).toEqual(["F32", [96, 64]]);
		expect(data_offsets[1] - data_offsets[0]).toBe(4 * 96 * 64);
		const last = Object.values<{ data_offsets?: number[] }>(header).at(-1)!;
		expect(8 + length + last.data_offsets![1]!).toBe(shard.byteLength);
	});

	test("another part's, a shorter, a longer or a damaged one is refused", async () => {
		const shard = await shardOf("layer.0");
		const damaged = shard.slice();
		damaged[damaged.length - 1]! ^= 1;
		const otherHeader = shard.slice();
		otherHeader[20]! ^= 1;
		const wrong = [await shardOf("layer.1"), shard.slice(1), new Uint8Array(0), damaged, otherHeader];
		for (const each of wrong) {
			await expect(readShard(model, "layer.0", each)).rejects.toThrow(ShardIntegrityError);
		}
		await expect(readShard(model, "layer.9", shard)).rejects.toThrow(ShardIntegrityError);
	});
});
