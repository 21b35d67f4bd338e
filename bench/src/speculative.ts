import { readFile } from "node:fs/promises";
import type { GenerateOptions, GenerationSummary, Tabmesh } from "@tabmesh/client";
import { within } from "./deadline.ts";
import { note } from "./report.ts";

const answerMs = 120_000;

/** A prompt that was fixed before anything was tuned to it. */
interface Prompt {
	readonly kind: string;
	readonly text: string;
}

/** What drafting brought on one prompt. */
interface Drafted {
	readonly kind: string;
	/** Time per token without drafts over that with them. */
	readonly gain: number;
	readonly plainMs: number;
	readonly draftedMs: number;
	/** Share of the drafted tokens that were accepted, and what a trip around the ring carried and brought. */
	readonly acceptance: number;
	readonly draftsPerLap: number;
	readonly tokensPerLap: number;
	readonly tokens: number;
	/** What the stages say that their engines took for a token, all together. */
	readonly stageMs: number;
}

/** Prompts that quote, copy code and extract, or that tell stories. */
export async function readPrompts(name: "speculation" | "stories"): Promise<Prompt[]> {
	return JSON.parse(await readFile(new URL(`../prompts/${name}.json`, import.meta.url), "utf8")) as Prompt[];
}

/**
 * Every request with and without drafts; the same text both times.
 *
 * @throws Error where the texts differ, or a wait was too long
 */
export async function measureSpeculation(
	mesh: Tabmesh,
	requests: readonly { readonly kind: string; readonly request: GenerateOptions }[],
): Promise<Drafted[]> {
	const results: Drafted[] = [];
	for (const { kind, request } of requests) {
		const plain = await within(answerMs, "A plain answer", decode(mesh, { ...request, speculation: false }));
		const drafted = await within(answerMs, "A drafted answer", decode(mesh, request));
		if (plain.summary.text !== drafted.summary.text) throw new Error(`Drafts changed the answer (${kind}).`);
		const { laps, tokens } = drafted.summary;
		const result: Drafted = {
			kind,
			gain: plain.ms / drafted.ms,
			plainMs: plain.ms,
			draftedMs: drafted.ms,
			acceptance: laps.drafted > 0 ? laps.accepted / laps.drafted : 0,
			draftsPerLap: laps.drafted / laps.count,
			tokensPerLap: (laps.count + laps.accepted) / laps.count,
			tokens: tokens.length,
			stageMs: plain.summary.stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0),
		};
		results.push(result);
		note(
			`${kind}: ${result.plainMs.toFixed(0)} and ${result.draftedMs.toFixed(0)} ms per token (${result.gain.toFixed(2)}), ` +
				`accepted ${(100 * result.acceptance).toFixed(0)} % of ${result.draftsPerLap.toFixed(1)} drafts a lap, ` +
				`${result.tokensPerLap.toFixed(1)} tokens a lap`,
		);
	}
	return results;
}

/** All answers' time without drafts over their time with them. */
export function gainOf(drafted: readonly Drafted[]): number {
	const total = (of: (one: Drafted) => number): number =>
		drafted.reduce((sum, one) => sum + one.tokens * of(one), 0);
	return total(({ plainMs }) => plainMs) / total(({ draftedMs }) => draftedMs);
}

/** Time per token from the first to the last. */
async function decode(
	mesh: Tabmesh,
	request: GenerateOptions,
): Promise<{ ms: number; summary: GenerationSummary }> {
	const generation = mesh.generate(request);
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now());
	const summary = await generation.summary;
	return { ms: (arrivals.at(-1)! - arrivals[0]!) / (arrivals.length - 1), summary };
}
