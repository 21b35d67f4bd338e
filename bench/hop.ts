import { connect, type GenerationSummary, type Tabmesh } from "@tabmesh/client";
import { joinTab, launchBrowser, untilServing } from "./src/browser.ts";
import { rawRoundTripMs } from "./src/dataChannel.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";
import { restedReadMs } from "./src/restedRead.ts";

// What distance inside one machine costs: stories15M, its layers in one, two and three Chromium tabs, measured in turn
// in one run. The model's layers take 2 to 3 ms in all, so this is nearly pure overhead.
const rounds = Number(process.env.BENCH_ROUNDS ?? 11);
const tokens = 96;
/** About one lap: a data channel of a ring rests so long between two frames. */
const lapMs = 8;
/** Tokens of one timed stretch. */
const window = 8;
/** Weights that a token of stories15M reads: six layers and the head, in float32. */
const weightBytes = 60_700_000;
/** Hidden state of stories15M on the wire: 288 × f16, and the frame's header. */
const frameBytes = 660;

/** Time per token after the first few. */
async function decode(mesh: Tabmesh, stages: number): Promise<{ ms: number; summary: GenerationSummary }> {
	const generation = mesh.generate({
		promptTokens: [1, 9038, 2501, 263, 931],
		maxTokens: tokens,
		temperature: 0,
		// One lap brings one token.
		speculation: false,
		minStages: stages,
	});
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now());
	const summary = await generation.summary;
	if (summary.stages.length !== stages)
		throw new Error(`${summary.stages.length} stages instead of ${stages}`);
	// Medians over windows of eight tokens: single gaps mislead (tokens reach a late asker in pairs), and the mean of all
	// measures the neighbours on a shared machine.
	const steady = arrivals.slice(8);
	const windows = steady.slice(window).map((arrival, i) => (arrival - steady[i]!) / window);
	return { ms: median(windows), summary };
}

const network = await startNetwork("--model", "stories15m");
const browser = await launchBrowser();
try {
	const context = await browser.newContext();
	const tabs = [];
	for (let i = 0; i < 3; i++) {
		const tab = await joinTab(context, network.url);
		await untilServing(tab);
		tabs.push(tab);
		note(`tab ${i + 1} serves`);
	}
	const mesh = await connect({ relay: network.url });
	while (!mesh.models[0]?.coverage.complete) {
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	}
	const texts = new Set<string>();
	const times: Record<1 | 2 | 3, number[]> = { 1: [], 2: [], 3: [] };
	/** What the stages themselves say their engines took, summed up. */
	const compute: Record<1 | 2 | 3, number[]> = { 1: [], 2: [], 3: [] };
	const raw: number[] = [];
	const paced: number[] = [];
	const memory: number[] = [];
	for (let round = -1; round < rounds; round++) {
		const rawMs = await rawRoundTripMs(tabs[0]!, tabs[1]!, frameBytes, 300);
		const pacedMs = await rawRoundTripMs(tabs[0]!, tabs[1]!, frameBytes, 100, lapMs);
		if (round >= 0) {
			raw.push(rawMs);
			paced.push(pacedMs);
			memory.push((await restedReadMs(weightBytes, lapMs)) - (await restedReadMs(weightBytes, 0)));
		}
		for (const stages of [1, 2, 3] as const) {
			const { ms, summary } = await decode(mesh, stages);
			texts.add(summary.tokens.join(" "));
			// The first round loads the parts of the spans and warms everything up.
			if (round >= 0) {
				times[stages].push(ms);
				compute[stages].push(summary.stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0));
			}
		}
		note(
			`round ${round + 1}: ${[1, 2, 3].map((n) => times[n as 1]?.at(-1)?.toFixed(2)).join(" / ")} ms, raw ${rawMs.toFixed(2)} ms`,
		);
	}
	if (texts.size !== 1) throw new Error("One, two and three tabs did not write the same text.");
	const [one, two, three] = [median(times[1]), median(times[2]), median(times[3])];
	const rawMs = median(raw);
	// Within a round: how fast a shared machine reads memory drifts by a factor of two from minute to minute.
	const added = raw.map((ms, round) => (times[3][round]! - times[1][round]!) / 2 - ms);
	print(
		{
			bench: "hop",
			figures: {
				added_ms_per_stage: median(added),
				three_tabs_ratio: median(times[1].map((ms, round) => ms / times[3][round]!)),
			},
			details: {
				msPerToken: { one, two, three },
				engineMs: { one: median(compute[1]), two: median(compute[2]), three: median(compute[3]) },
				rawRoundTripMs: rawMs,
				/** The same with the rest between two messages that a ring has: threads and caches are cold then. */
				rawPacedMs: median(paced),
				/** What two more stages cost if nothing but this machine's memory grew colder between two laps, for each of them. */
				coldMemoryMsPerStage: median(memory) / 2,
				added_over_paced: (three - one) / 2 - median(paced),
				frameBytes,
				rounds,
				tokens,
				added,
				runs: times,
			},
		},
		{ added_ms_per_stage: "≤ 1.5", three_tabs_ratio: "≥ 0.35" },
	);
	await mesh.close();
} finally {
	await browser.close();
	await network.stop();
}
process.exit(0);
