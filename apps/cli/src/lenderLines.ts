import type { LenderView } from "@tabmesh/client";
import type { Span } from "@tabmesh/wire";
import { formatSize } from "./optionValues.ts";

/** Layers as people count them, from one, as the pages do. */
function layersOf({ from, to }: Span): string {
	return to - from === 1 ? `layer ${to}` : `layers ${from + 1}–${to}`;
}

function bitsOf({ bitsPerWeight, sparing }: LenderView): string {
	if (bitsPerWeight === undefined) return "";
	return ` in ${bitsPerWeight} bits${sparing ? ", since memory is short," : ""}`;
}

function draftsOf({ draftsWith }: LenderView): string {
	return draftsWith === undefined ? "" : `, guessing with ${draftsWith}`;
}

function growthOf({ growingTo }: LenderView): string {
	return growingTo ? `, on the way to ${layersOf(growingTo)}` : "";
}

function streamsOf({ streams, tokensServed, msPerToken }: LenderView): string {
	if (streams > 0) return `, ${streams} stream${streams === 1 ? "" : "s"}`;
	return tokensServed > 0 ? `, ${tokensServed} tokens so far, ${msPerToken.toFixed(1)} ms each` : "";
}

/** One line about a lender's state; the same state gives the same line, so that repetitions can be left out. */
export function stateLine(view: LenderView): string {
	const { phase, span, model, loading, error } = view;
	const name = model?.name ?? "the model";
	const what = span ? `${layersOf(span)} of ${name}` : name;
	switch (phase) {
		case "joining":
			return "joining the network";
		case "waiting":
			return `waiting: ${error?.shortMessage ?? "no layers need a holder yet"}`;
		case "loading":
			return `fetching and compiling ${what}${loading ? ` (${formatSize(loading.totalBytes)})` : ""}`;
		case "serving":
			return `serving ${what}${bitsOf(view)} with ${view.threads} thread${view.threads === 1 ? "" : "s"} (${view.backend ?? "?"})${draftsOf(view)}${growthOf(view)}${streamsOf(view)}`;
		case "paused":
			return `paused${streamsOf(view)}`;
		case "left":
			return "left the network";
		case "failed":
			return `failed: ${error?.message ?? "for no known reason"}`;
	}
}

/** The same for programs: one JSON object, in the words and units of `LenderView`. */
export function stateRecord(view: LenderView): Record<string, unknown> {
	const { phase, model, span, growingTo, backend, threads, bitsPerWeight, memoryBytes, usedBytes } = view;
	const { draftsWith, streams, tokensServed, msPerToken, error } = view;
	return {
		phase,
		...(model ? { model: model.id, name: model.name } : {}),
		...(span ? { span: [span.from, span.to] } : {}),
		...(growingTo ? { growingTo: [growingTo.from, growingTo.to] } : {}),
		...(backend ? { backend, threads } : {}),
		...(bitsPerWeight === undefined ? {} : { bitsPerWeight }),
		...(draftsWith === undefined ? {} : { draftsWith }),
		memoryBytes,
		usedBytes,
		streams,
		tokensServed,
		msPerToken,
		...(error ? { error: error.message } : {}),
	};
}

/** What has to change before another line is worth printing: sizes and figures move all the time. */
export function stateKey({ phase, span, growingTo, streams, error }: LenderView): string {
	return JSON.stringify([phase, span, growingTo, streams, error?.message]);
}
