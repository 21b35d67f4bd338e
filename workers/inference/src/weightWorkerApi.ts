import { composeSpan, type GraphFormat, type SourceWeight } from "@tabmesh/model";
import type { Manifest, Span } from "@tabmesh/wire";
import { transfer } from "comlink";
import { buffersOf, type Outcome, outcomeOf } from "./engineProtocol.ts";
import { makeWeights } from "./makeWeights.ts";
import type { ExternalWeight } from "./runtime.ts";

/** The weights of a piece, and what they are made of. */
export interface WeightJob {
	readonly manifest: Manifest;
	readonly span: Span;
	readonly format: GraphFormat;
	readonly tensors: ReadonlyMap<string, SourceWeight>;
}

/** What the worker that makes weights offers the inference worker. */
export interface WeightWorkerApi {
	make(job: WeightJob): Promise<Outcome<ExternalWeight[]>>;
}

export const weightWorkerApi: WeightWorkerApi = {
	async make({ manifest, span, format, tensors }) {
		const outcome = await outcomeOf(async () => makeWeights(composeSpan(manifest, span, format), tensors));
		if ("error" in outcome) return outcome;
		return transfer(outcome, buffersOf(outcome.value.map(({ data }) => data)));
	},
};
