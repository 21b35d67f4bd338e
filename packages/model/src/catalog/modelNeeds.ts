import type { Manifest } from "@tabmesh/wire";
import { expectedParts } from "../format/llamaTensors.ts";
import { tensorBytes } from "../format/tensorBytes.ts";
import type { WeightFormat } from "../graph/spanGraph.ts";
import { spanSize } from "../graph/spanSize.ts";
import { weightFormats } from "../quality/offeredFormats.ts";
import type { CatalogEntry } from "./catalog.ts";

/** What a model of the catalogue asks of a swarm. */
export interface ModelNeeds {
	/** To be fetched, by all devices together. */
	readonly downloadBytes: number;
	/** The weights in each format, on all devices together. */
	readonly weightBytes: Readonly<Record<WeightFormat, number>>;
	/** Keys and values of one answer over the whole context. */
	readonly keyValueBytes: number;
}

/** What a model needs, before anything of it is fetched: {@link spanSize} of a manifest as its configuration gives it. */
export function modelNeeds(entry: CatalogEntry): ModelNeeds {
	const { config } = entry;
	const parts = expectedParts(config);
	const tensors = new Map<string, Manifest["tensors"][number]>();
	for (const { name, shape } of parts.flatMap((part) => part.tensors)) {
		// Norms and biases are no whole number of blocks; in files of blocks they are float32.
		const bytes = tensorBytes(entry.embedding, shape) ?? tensorBytes("F32", shape)!;
		tensors.set(name, { name, type: entry.embedding, shape: [...shape], bytes, chunks: [] });
	}
	const manifest: Manifest = {
		format: "tabmesh-model/1",
		config,
		boundary: "f16",
		tokenizer: { eos: [] },
		tensors: [...tensors.values()],
		parts: parts.map(({ name, tensors: named }) => ({ name, tensors: named.map((tensor) => tensor.name) })),
	};
	const whole = { from: 0, to: config.layers, embed: true, head: true };
	const size = (weights: WeightFormat) => spanSize(manifest, whole, { weights, keyValues: "rows" });
	const { sourceBytes, keyValueBytesPerToken } = size("f32");
	return {
		downloadBytes:
			entry.hub === undefined ? entry.archives.reduce((sum, { bytes }) => sum + bytes, 0) : sourceBytes,
		weightBytes: Object.fromEntries(
			weightFormats.map((weights) => [weights, size(weights).weightBytes]),
		) as Record<WeightFormat, number>,
		keyValueBytes: keyValueBytesPerToken * config.contextLength,
	};
}
