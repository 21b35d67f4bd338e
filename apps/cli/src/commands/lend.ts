import { connect, type LenderView } from "@tabmesh/client";
import type { Span } from "@tabmesh/wire";
import { formatSize } from "../optionValues.ts";

/** `tabmesh lend`: what the command line gave. */
export interface LendCommandOptions {
	relay: string;
	/** Bytes. */
	memory: number;
	model?: string;
	threads?: number;
}

/** Layers as people count them, from one, as the pages do. */
function layersOf({ from, to }: Span): string {
	return to - from === 1 ? `layer ${to}` : `layers ${from + 1}–${to}`;
}

function bitsOf({ bitsPerWeight, sparing }: LenderView): string {
	if (bitsPerWeight === undefined) return "";
	return ` in ${bitsPerWeight} bits${sparing ? ", since memory is short," : ""}`;
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
			return `serving ${what}${bitsOf(view)} with ${view.threads} thread${view.threads === 1 ? "" : "s"} (${view.backend ?? "?"})`;
		case "paused":
			return "paused";
		case "left":
			return "left the network";
		case "failed":
			return `failed: ${error?.message ?? "for no known reason"}`;
	}
}

/**
 * Lends this machine until `signal` says stop, and prints each new state. Says goodbye before it returns.
 *
 * @returns the exit status: 0 after a stop that was asked for
 * @throws what ended the lender where it failed
 */
export async function lend(
	options: LendCommandOptions,
	print: (line: string) => void,
	signal: AbortSignal,
): Promise<number> {
	const mesh = await connect({ relay: options.relay, signal });
	try {
		const lender = mesh.lend({
			memoryBytes: options.memory,
			...(options.model === undefined ? {} : { model: options.model }),
			...(options.threads === undefined ? {} : { threads: options.threads }),
		});
		let last = "";
		await new Promise<void>((resolve, reject) => {
			const show = (): void => {
				const { view } = lender;
				// Sizes become known, and change from what is fetched to what is compiled: one line per span is enough.
				const state = JSON.stringify([view.phase, view.span, view.error?.message]);
				const known = view.phase !== "loading" || view.loading !== undefined;
				if (known && state !== last) {
					last = state;
					print(stateLine(view));
				}
				if (lender.view.phase === "failed") reject(lender.view.error ?? new Error("The lender failed."));
				if (lender.view.phase === "left") resolve();
			};
			lender.addEventListener("change", show);
			const leave = (): void => {
				lender.leave().then(resolve, reject);
			};
			signal.addEventListener("abort", leave, { once: true });
			if (signal.aborted) leave();
			show();
		});
		return 0;
	} finally {
		await mesh.close();
	}
}
