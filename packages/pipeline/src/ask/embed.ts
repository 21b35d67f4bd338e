import { type AskInit, Generation, type TokenSummary } from "./generate.ts";

/** As `GenerateInit`, less what is about what is written. */
export type EmbedInit = Omit<
	AskInit,
	"sampling" | "maxTokens" | "stopTokens" | "constraint" | "logprobs" | "speculation" | "resume"
> & { embedFrom: number };

/** What a text became. */
export interface Embedded extends Pick<TokenSummary, "promptTokens" | "stages" | "receipts"> {
	/** The mean of the final hidden states, behind the last layer's norm, from `embedFrom` on. */
	readonly mean: Float32Array;
}

/**
 * Lets the swarm read `promptTokens` and returns the mean of the final hidden states. The last stage takes it, in private the asker; nothing
 * is begun with what was kept of other streams, since the states of that are gone, and where a stage is lost all of it is computed anew.
 *
 * @throws what `generate` throws, and the signal's reason where it was aborted
 */
export async function embed(init: EmbedInit): Promise<Embedded> {
	const run = new Generation({ ...init, maxTokens: 1, speculation: false });
	const { promptTokens, receipts, stages } = await run.summary;
	if (!run.mean) throw init.signal?.reason ?? new DOMException("The embedding was cancelled.", "AbortError");
	return { promptTokens, receipts, stages, mean: run.mean };
}
