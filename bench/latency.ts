import type { GenerationSummary, Tabmesh } from "@tabmesh/client";
import { within } from "./src/deadline.ts";
import { openEngineAlone } from "./src/engineAlone.ts";
import { startFarSwarm } from "./src/farSwarm.ts";
import { OpenThings } from "./src/openThings.ts";
import { median, note, print } from "./src/report.ts";
import { startSlowSwarm } from "./src/slowSwarm.ts";
import { gainOf, measureSpeculation, readPrompts } from "./src/speculative.ts";

// What a ring over slow lines costs beyond what nobody can save: three Chromium tabs, every way from one to the next
// delayed, stories15M, whose engines take so little that whatever else costs time shows. The ideal is what the engines
// take alone in a tab at the ring's pace, and the delays as the line kept them, measured in turn with the ring: a shared
// machine drifts by a factor of two from minute to minute.
//
// What drafts bring is measured on TinyLlama: stories15M does not do what the prompts ask for, so there is nothing to look up. Three
// headless lenders hold it in whole numbers, because three tabs on two cores compute a third of a second for each token, which hides the
// distance.
const delays = [20, 50] as const;
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const model = "stories15m";
const threads = 1;
const memoryBytes = 1e9;
const stages = 3;
const tokens = 64;
/** Tokens before the first that counts: the prompt's end, and windows that open. */
const warm = 8;
/** Steps of each engine alone. */
const aloneTokens = 20;
const answerMs = 60_000;
/** Hidden state of stories15M on the wire: 288 × f16, and the frame's header. */
const frameBytes = 660;
const promptTokens = [1, 9038, 2501, 263, 931];

/** Where TinyLlama's layers are cut; the last lender has the head, too, which weighs as much as one and a half. */
const draftBounds = [0, 8, 15, 22];
const draftTokens = Number(process.env.BENCH_DRAFT_TOKENS ?? 96);

/** One answer, in milliseconds per token, and `over` the ideal. */
type Run = Record<"ms" | "heldMs" | "aloneMs" | "stageMs" | "over", number>;

/** Time per token, all of it: nothing is left out once the answer runs. */
async function decode(mesh: Tabmesh): Promise<{ ms: number; summary: GenerationSummary }> {
	const generation = mesh.generate({
		promptTokens,
		maxTokens: tokens,
		temperature: 0,
		minStages: stages,
		// A lap for each token: that is what is held to the ideal.
		speculation: false,
	});
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now());
	const summary = await generation.summary;
	if (summary.stages.length !== stages) throw new Error(`${summary.stages.length} stages, not ${stages}`);
	return { ms: (arrivals.at(-1)! - arrivals[warm]!) / (arrivals.length - 1 - warm), summary };
}

/** Everything behind a part of the figures. */
interface Part {
	readonly figures: Record<string, number>;
	readonly details: Record<string, unknown>;
}

async function measureRing(open: OpenThings): Promise<Part> {
	const swarm = await startSlowSwarm(open, model, { tabs: stages, threads, memoryBytes });
	const { browser, lab, mesh } = swarm;
	const { summary: first } = await within(answerMs, "The first answer", decode(mesh));
	const spans = first.stages.map(({ span }) => span);
	const alone = open.add(
		await within(
			answerMs,
			"Loading the engines alone",
			openEngineAlone(browser, model, spans, { memoryBytes, threads }),
		),
		(alone) => alone.close(),
	);
	const hotMs = await within(answerMs, "The engines alone", alone.decodeMs(promptTokens.length, tokens, 0));

	const figures: Record<string, number> = {};
	const details: Record<string, unknown> = { model, rounds, tokens };
	for (const delayMs of delays) {
		await lab.set({ delayMs });
		const rawMs = await within(answerMs, "The bare channel", swarm.roundTripMs(frameBytes, 0));
		if (rawMs < 2 * delayMs) throw new Error(`A round trip of ${rawMs} ms over two delays of ${delayMs} ms.`);
		const runs: Run[] = [];
		for (let round = 0; round < rounds; round++) {
			await lab.counts();
			const { ms, summary } = await within(answerMs, "An answer", decode(mesh));
			const { heldMs } = await lab.counts();
			if (summary.text !== first.text) throw new Error("Another text than without a delay.");
			const aloneMs = await within(
				answerMs,
				"The engines alone",
				alone.decodeMs(promptTokens.length, aloneTokens, ms),
			);
			const stageMs = summary.stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0);
			const run: Run = { ms, heldMs, aloneMs, stageMs, over: ms / (aloneMs + stages * heldMs) };
			runs.push(run);
			note(
				Object.entries(run)
					.map(([name, value]) => `${name} ${value.toFixed(2)}`)
					.join(", "),
			);
		}
		const middle = (of: (run: Run) => number): number => median(runs.map(of));
		figures[`over_ideal_${delayMs}`] = middle(({ over }) => over);
		details[`at${delayMs}`] = {
			msPerToken: middle(({ ms }) => ms),
			heldMs: middle(({ heldMs }) => heldMs),
			engineMsAlone: middle(({ aloneMs }) => aloneMs),
			/** What the stages say that their engines took in the ring. */
			engineMsInRing: middle(({ stageMs }) => stageMs),
			rawRoundTripMs: rawMs,
			/** Engines without any rest, and the delay that was asked for. */
			overHotIdeal: middle(({ ms }) => ms) / (hotMs + stages * delayMs),
		};
	}
	return { figures, details: { ...details, engineMsHot: hotMs } };
}

async function measureDrafts(open: OpenThings): Promise<Part> {
	const swarm = await startFarSwarm(open, draftBounds, { weights: "i8", threads: 2 });
	const base = { maxTokens: draftTokens, temperature: 0, minStages: draftBounds.length - 1 };
	const figures: Record<string, number> = {};
	const details: Record<string, unknown> = {};
	const speculation = (await readPrompts("speculation")).map(({ kind, text }) => ({
		kind,
		request: { ...base, messages: [{ role: "user" as const, content: text }] },
	}));
	for (const delayMs of delays) {
		await swarm.lab.set({ delayMs });
		const drafted = await measureSpeculation(swarm.mesh, speculation);
		figures[`speculative_${delayMs}`] = gainOf(drafted);
		details[`draftsAt${delayMs}`] = drafted;
	}
	await swarm.draftWithModel(true);
	const stories = (await readPrompts("stories")).map(({ kind, text }) => ({
		kind,
		request: { ...base, prompt: text },
	}));
	const drafted = await measureSpeculation(swarm.mesh, stories);
	figures.draft_pair_50 = gainOf(drafted);
	details.draftPairAt50 = drafted;
	return { figures, details };
}

async function measured(part: (open: OpenThings) => Promise<Part>): Promise<Part> {
	const open = new OpenThings();
	try {
		return await part(open);
	} finally {
		await open.close();
	}
}

const ring = await measured(measureRing);
const drafts = await measured(measureDrafts);
print(
	{
		bench: "latency",
		figures: { ...ring.figures, ...drafts.figures },
		details: { ...ring.details, ...drafts.details },
	},
	{
		...Object.fromEntries(delays.map((delayMs) => [`over_ideal_${delayMs}`, "≤ 1.15"])),
		speculative_20: "≥ 2.0",
		speculative_50: "≥ 2.5",
		draft_pair_50: "≥ 1.2",
	},
);
process.exit(0);
