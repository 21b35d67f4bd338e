import type { Tabmesh } from "@tabmesh/client";
import { type ModelRef, openManifest, spanSize, type WeightFormat } from "@tabmesh/model";
import { limits, type Span } from "@tabmesh/wire";

/** A span that a tab holds, and what it weighs there. */
export interface HeldSpan {
	readonly span: Span;
	/** Format that its numerics class names. */
	readonly weights: WeightFormat;
	readonly weightBytes: number;
	/** The largest of its shards (embedding, a layer, head) as it is stored, and as it runs. */
	readonly largestShard: { readonly sourceBytes: number; readonly weightBytes: number };
}

/** The first model that a network offers. */
export async function offeredModel(url: string): Promise<ModelRef> {
	const site = (await (await fetch(`${url}/tabmesh.json`)).json()) as {
		models: { id: string; manifest: string }[];
	};
	const [listed] = site.models;
	const bytes = new Uint8Array(await (await fetch(new URL(listed!.manifest, url))).arrayBuffer());
	if (bytes.byteLength > limits.manifestBytes) throw new Error("The manifest is too long to be one.");
	return openManifest(bytes, listed!.id);
}

/** What each lender holds ready of a model. */
export function heldSpans(mesh: Tabmesh, model: ModelRef): HeldSpan[] {
	return mesh.members.flatMap(({ lends }) =>
		(lends?.spans ?? [])
			.filter(({ ready }) => ready)
			.map(({ from, to, embed, head }) => {
				const weights = lends!.numericsClass.split("/")[3] as WeightFormat;
				const size = (span: Span) => spanSize(model.manifest, span, { weights, keyValues: "rows" });
				const span = { from, to, embed, head };
				const parts: Span[] = Array.from({ length: to - from }, (_, i) => ({
					from: from + i,
					to: from + i + 1,
					embed: false,
					head: false,
				}));
				if (embed) parts.push({ from, to: from, embed, head: false });
				if (head) parts.push({ from: to, to, embed: false, head });
				const sizes = parts.map(size);
				return {
					span,
					weights,
					weightBytes: size(span).weightBytes,
					largestShard: {
						sourceBytes: Math.max(...sizes.map(({ sourceBytes }) => sourceBytes)),
						weightBytes: Math.max(...sizes.map(({ weightBytes }) => weightBytes)),
					},
				};
			}),
	);
}
