import type { GenerationSummary, Tabmesh } from "@tabmesh/client";
import { within } from "./src/deadline.ts";
import { engineAloneMs } from "./src/engineAlone.ts";
import { OpenThings } from "./src/openThings.ts";
import { median, note, print } from "./src/report.ts";
import { startSlowSwarm } from "./src/slowSwarm.ts";

// What a ring over slow lines costs beyond what nobody can save: three Chromium tabs, every way from one to the next
// delayed one way, stories15M. The ideal is each engine's own compute, measured alone in a tab, and the delays as the line
// kept them.
const delays = [20, 50] as const;
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const stages = 3;
const tokens = 64;
/** Tokens before the first that counts: the prompt's end, and windows that open. */
const warm = 8;
const answerMs = 60_000;
/** Hidden state of stories15M on the wire: 288 × f16, and the frame's header. */
const frameBytes = 660;
const promptTokens = [1, 9038, 2501, 263, 931];

/** Time per token, all of it: nothing is left out once the answer runs. */
async function decode(mesh: Tabmesh): Promise<{ ms: number; summary: GenerationSummary }> {
	const generation = mesh.generate({ promptTokens, maxTokens: tokens, temperature: 0, minStages: stages });
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now());
	const summary = await generation.summary;
	if (summary.stages.length !== stages) throw new Error(`${summary.stages.length} stages, not ${stages}`);
	return { ms: (arrivals.at(-1)! - arrivals[warm]!) / (arrivals.length - 1 - warm), summary };
}

const open = new OpenThings();
try {
	const { lab, browser, mesh, roundTripMs } = await startSlowSwarm(open, "stories15m", { tabs: stages });
	const { summary: first } = await within(answerMs, "The first answer", decode(mesh));
	const alone = await within(
		answerMs,
		"Measuring the engines alone",
		engineAloneMs(
			browser,
			"stories15m",
			first.stages.map(({ span }) => span),
			{ memoryBytes: 2e9, prompt: promptTokens.length, tokens },
		),
	);
	const compute = alone.reduce((sum, ms) => sum + ms, 0);
	note(`alone: ${alone.map((ms) => ms.toFixed(2)).join(" + ")} ms`);

	const figures: Record<string, number> = {};
	const details: Record<string, unknown> = { engineMsAlone: alone, rounds, tokens };
	for (const delayMs of delays) {
		await lab.set({ delayMs });
		const rawMs = await within(answerMs, "The bare channel", roundTripMs(frameBytes, 0));
		if (rawMs < 2 * delayMs) throw new Error(`A round trip of ${rawMs} ms over two delays of ${delayMs} ms.`);
		const runs: { ms: number; heldMs: number; stageMs: number }[] = [];
		for (let round = 0; round < rounds; round++) {
			await lab.counts();
			const { ms, summary } = await within(answerMs, "An answer", decode(mesh));
			const { heldMs } = await lab.counts();
			if (summary.text !== first.text) throw new Error("Another text than without a delay.");
			const stageMs = summary.stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0);
			runs.push({ ms, heldMs, stageMs });
			note(
				`${delayMs} ms: ${ms.toFixed(1)} ms per token, held ${heldMs.toFixed(2)}, stages ${stageMs.toFixed(1)}`,
			);
		}
		const ms = median(runs.map(({ ms }) => ms));
		const heldMs = median(runs.map(({ heldMs }) => heldMs));
		figures[`over_ideal_${delayMs}`] = ms / (compute + stages * heldMs);
		details[`at${delayMs}`] = {
			msPerToken: ms,
			heldMs,
			rawRoundTripMs: rawMs,
			/** What the stages say that their engines took in the ring. */
			stageMs: median(runs.map(({ stageMs }) => stageMs)),
			overAskedDelay: ms / (compute + stages * delayMs),
		};
	}
	print(
		{ bench: "latency", figures, details },
		Object.fromEntries(delays.map((delayMs) => [`over_ideal_${delayMs}`, "≤ 1.15"])),
	);
} finally {
	await open.close();
}
process.exit(0);
