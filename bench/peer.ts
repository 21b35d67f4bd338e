import { connect, type Tabmesh } from "@tabmesh/client";
import { joinTab, launchBrowser, untilServing } from "./src/browser.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";
import { prompt, tinyLlamaFile } from "./src/tinyLlama.ts";
import { openWllama, type TimedAnswer } from "./src/wllamaTab.ts";

// TinyLlama-1.1B-Chat (IQ2_XXS GGUF) over three Chromium tabs against wllama, llama.cpp in one tab: the same file, the same
// threads per tab, no GPU for either, by turns.
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const threads = Number(process.env.BENCH_THREADS ?? 2);
const tokens = 20;
/** Gaps before this one still contain the end of the prefill. */
const firstGap = 4;

async function askTabs(mesh: Tabmesh): Promise<TimedAnswer> {
	const start = performance.now();
	const generation = mesh.generate({
		promptTokens: [...prompt.tokens],
		maxTokens: tokens,
		temperature: 0,
		// One lap brings one token.
		speculation: false,
		minStages: 3,
	});
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now() - start);
	const { text, stages } = await generation.summary;
	if (stages.length !== 3) throw new Error(`${stages.length} stages instead of 3`);
	engineMs.push(stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0));
	return { text, firstMs: arrivals[0]!, arrivals };
}
const engineMs: number[] = [];

function msPerToken({ arrivals }: TimedAnswer): number {
	const steady = arrivals.slice(firstGap);
	return median(steady.slice(1).map((arrival, i) => arrival - steady[i]!));
}

const gguf = await tinyLlamaFile();
const network = await startNetwork("--model", gguf, "--min-stages", "3");
const browser = await launchBrowser();
try {
	const context = await browser.newContext();
	for (let i = 0; i < 3; i++)
		await joinTab(context, network.url, { backend: "wasm", threads, memoryBytes: 4e9 });
	await Promise.all(context.pages().map(untilServing));
	note("three tabs serve");
	const mesh = await connect({ relay: network.url });
	while (!mesh.models[0]?.coverage.complete) {
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	}
	const peer = await openWllama(browser, gguf, threads);
	note("wllama is loaded");

	const ours: TimedAnswer[] = [];
	const theirs: TimedAnswer[] = [];
	for (let round = 0; round < rounds; round++) {
		ours.push(await askTabs(mesh));
		theirs.push(await peer.ask(prompt.text, tokens));
		note(
			`round ${round + 1}: ${msPerToken(ours.at(-1)!).toFixed(0)} against ${msPerToken(theirs.at(-1)!).toFixed(0)} ms per token, ` +
				`first ${ours.at(-1)!.firstMs.toFixed(0)} against ${theirs.at(-1)!.firstMs.toFixed(0)} ms`,
		);
	}
	const [our, their] = [ours, theirs].map((answers) => ({
		msPerToken: median(answers.map(msPerToken)),
		firstMs: median(answers.map(({ firstMs }) => firstMs)),
	}));
	print(
		{
			bench: "peer",
			figures: {
				decode_ratio: their!.msPerToken / our!.msPerToken,
				first_token_ratio: our!.firstMs / their!.firstMs,
			},
			details: {
				tabmesh: our,
				wllama: their,
				threads,
				rounds,
				tokens,
				engineMs: median(engineMs),
				texts: { tabmesh: ours[0]!.text, wllama: theirs[0]!.text },
			},
		},
		{ decode_ratio: "≥ 1.7", first_token_ratio: "≤ 0.35" },
	);
	await mesh.close();
	await peer.close();
} finally {
	await browser.close();
	await network.stop();
}
process.exit(0);
