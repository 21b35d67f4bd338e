import {
	encodeCbor,
	MalformedMessageError,
	type Manifest,
	ModelFileError,
	ShardIntegrityError,
	TabmeshError,
} from "@tabmesh/wire";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { manifestBytesId, modelId } from "./modelId.ts";
import { openManifest } from "./openManifest.ts";
import { type PublishedModel, publishModel } from "./publishModel.ts";

let published: PublishedModel;
beforeAll(async () => {
	published = await publishModel(await openSeededModel({ layers: 2 }));
});

/** Opens a manifest that was changed, under the id that it has after the change. */
async function openChanged(change: (manifest: Manifest) => void): Promise<unknown> {
	const changed = structuredClone(published.manifest);
	change(changed);
	const bytes = encodeCbor(changed);
	return openManifest(bytes, await manifestBytesId(bytes));
}

describe("publishModel", () => {
	test("gives the same model the same id, wherever its bytes lie", async () => {
		const elsewhere = await publishModel(await openSeededModel({ layers: 2 }), {
			baseUrl: "https://example.org/x/",
		});
		expect(elsewhere.id).toBe(published.id);
		expect(elsewhere.origin.baseUrl).not.toBe(published.origin.baseUrl);
		expect(await modelId(published.manifest)).toBe(published.id);
	});

	test("gives another model another id", async () => {
		const other = await publishModel(await openSeededModel({ layers: 2, seed: 2 }));
		expect(other.id).not.toBe(published.id);
	});

	test("the id is a CIDv1 of dag-cbor by SHA-256, in base32", () => {
		expect(published.id).toMatch(/^bafyrei[a-z2-7]{52}$/);
	});

	test("names every part in the order of a token's trip", () => {
		expect(published.manifest.parts.map(({ name }) => name)).toEqual([
			"embed",
			"layer.0",
			"layer.1",
			"head",
			"tokenizer",
		]);
		expect(published.manifest.parts[3]!.tensors).toEqual(["model.norm.weight", "model.embed_tokens.weight"]);
	});

	test("reports progress up to the end, and stops when told to", async () => {
		const seen: number[] = [];
		const source = await openSeededModel({ layers: 2 });
		await publishModel(source, {
			onProgress: ({ hashedBytes, totalBytes }) => seen.push(hashedBytes / totalBytes),
		});
		expect(seen.at(-1)).toBe(1);
		await expect(publishModel(source, { signal: AbortSignal.abort() })).rejects.toThrow("aborted");
	});
});

describe("openManifest", () => {
	test("opens what publishModel made", async () => {
		const opened = await openManifest(published.manifestBytes, published.id);
		expect(opened).toEqual({ id: published.id, manifest: published.manifest });
	});

	test("refuses another model's manifest", async () => {
		const other = await publishModel(await openSeededModel({ layers: 3 }));
		await expect(openManifest(other.manifestBytes, published.id)).rejects.toThrow(ShardIntegrityError);
	});

	const changes: [string, (manifest: Manifest) => void][] = [
		["a tensor with too many chunks", (m) => void m.tensors[0]!.chunks.push(new Uint8Array(32))],
		[
			"a tensor longer than its shape",
			(m) => {
				m.tensors[0]!.bytes += 4;
			},
		],
		[
			"a tensor of another type",
			(m) => {
				m.tensors[0]!.type = "F16";
			},
		],
		["a tensor of another shape", (m) => void m.tensors[0]!.shape.reverse()],
		["a missing tensor", (m) => void m.tensors.shift()],
		["a tensor twice", (m) => void m.tensors.push(m.tensors[0]!)],
		["a tensor that no part needs", (m) => void m.tensors.push({ ...m.tensors[1]!, name: "extra" })],
		["a missing part", (m) => void m.parts.shift()],
		["parts in another order", (m) => void m.parts.reverse()],
		["a part without one of its tensors", (m) => void m.parts[1]!.tensors.pop()],
		[
			"a part with a tensor of another layer",
			(m) => {
				m.parts[1]!.tensors[0] = m.parts[2]!.tensors[0]!;
			},
		],
		[
			"more layers than it has",
			(m) => {
				m.config.layers = 3;
			},
		],
		[
			"a head that is not tied",
			(m) => {
				m.config.tiedHead = false;
			},
		],
		[
			"heads that do not divide",
			(m) => {
				m.config.keyValueHeads = 3;
			},
		],
		[
			"heads of a size that cannot be run",
			(m) => {
				m.config.headSize = 8;
			},
		],
		["an ending token outside the vocabulary", (m) => void m.tokenizer.eos.push(512)],
		[
			"an architecture whose tensors it does not have",
			(m) => {
				m.config.architecture = "qwen3";
			},
		],
	];
	test.each(changes)("refuses %s", async (_what, change) => {
		await expect(openChanged(change)).rejects.toThrow(ModelFileError);
	});

	test("refuses a tensor without chunks, and what is no manifest", async () => {
		await expect(openChanged((m) => void m.tensors[0]!.chunks.pop())).rejects.toThrow(MalformedMessageError);
		const bytes = encodeCbor({ format: "tabmesh-model/1" });
		await expect(openManifest(bytes, await manifestBytesId(bytes))).rejects.toThrow(MalformedMessageError);
	});

	test("any bytes are a manifest or a typed error", async () => {
		const numRuns = Number(process.env.FUZZ_RUNS ?? 10_000);
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.nat(), async (noise, at) => {
				const bytes = published.manifestBytes.slice();
				bytes.set(noise.slice(0, bytes.length), at % Math.max(1, bytes.length - noise.length));
				try {
					await openManifest(bytes, await manifestBytesId(bytes));
				} catch (error) {
					expect(error).toBeInstanceOf(TabmeshError);
				}
			}),
			{ numRuns },
		);
	});
});
