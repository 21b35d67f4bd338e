import type { SourceWeight, SpanGraph } from "@tabmesh/model";
import type { ExternalWeight } from "./runtime.ts";

/** The weights of a graph, out of the source tensors that they need. */
export function makeWeights(
	{ weights }: SpanGraph,
	tensors: ReadonlyMap<string, SourceWeight>,
): ExternalWeight[] {
	return weights.map(({ name, sources, make }) => ({
		path: name,
		data: make(sources.map((source) => tensors.get(source)!)),
	}));
}
