import { connect } from "@tabmesh/client";
import { joinTab, launchBrowser, untilServing } from "./src/browser.ts";
import { heldSpans, offeredModel } from "./src/heldSpan.ts";
import { startNetwork } from "./src/network.ts";
import { processBytes, watchNewRenderer } from "./src/rendererMemory.ts";
import { note, print } from "./src/report.ts";
import { prompt, tinyLlamaFile } from "./src/tinyLlama.ts";

// What lending costs a device: TinyLlama over three tabs, each tab's process while it loads its layers and while it serves them.
// The tabs come one by one, so that the largest process of each load is known.
const tabs = 3;
const threads = Number(process.env.BENCH_THREADS ?? 1);
/** What a tab may take besides its weights: the page, WebRTC, WebAssembly's code, KV of a few streams. */
const besideBytes = 300e6;
/** Time after an answer in which garbage is collected. */
const settleMs = 10_000;

const network = await startNetwork("--model", await tinyLlamaFile(), "--min-stages", String(tabs));
const browser = await launchBrowser();
try {
	const model = await offeredModel(network.url);
	const mesh = await connect({ relay: network.url });
	const measured = [];
	for (let tab = 1; tab <= tabs; tab++) {
		const watch = watchNewRenderer(
			browser,
			measured.map(({ pid }) => pid),
			50,
		);
		const others = new Set(heldSpans(mesh, model).map(({ span }) => span.from));
		// A context of its own: nothing in its store, as on another device.
		const page = await joinTab(await browser.newContext(), network.url, {
			backend: "wasm",
			threads,
			memoryBytes: 4e9,
		});
		await untilServing(page);
		const { pid, peakBytes } = await watch.stop();
		const held = () => heldSpans(mesh, model).find(({ span }) => !others.has(span.from));
		while (!held()) await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
		measured.push({ pid, peakBytes, ...held()! });
		note(
			`tab ${tab}: ${held()!.span.from}–${held()!.span.to}, at most ${(peakBytes / 1e6).toFixed(0)} MB while loading`,
		);
	}
	const { text } = await mesh.generate({ promptTokens: [...prompt.tokens], maxTokens: 16, temperature: 0 })
		.summary;
	note(text);
	await new Promise((resolve) => setTimeout(resolve, settleMs));

	const results = [];
	for (const { pid, peakBytes, span, weights, weightBytes, largestShard } of measured) {
		const steadyBytes = await processBytes(pid);
		results.push({
			layers: `${span.from}–${span.to}`,
			weights,
			weightBytes,
			steadyBytes,
			peakBytes,
			steadyOverWeights: steadyBytes / (weightBytes + besideBytes),
			peakShards: Math.max(0, peakBytes - steadyBytes) / largestShard.weightBytes,
			peakSourceShards: Math.max(0, peakBytes - steadyBytes) / largestShard.sourceBytes,
		});
	}
	print(
		{
			bench: "memory",
			figures: {
				steady_over_weights: Math.max(...results.map(({ steadyOverWeights }) => steadyOverWeights)),
				load_peak_shards: Math.max(...results.map(({ peakShards }) => peakShards)),
			},
			details: { threads, tabs: results },
		},
		{ steady_over_weights: "≤ 1.25", load_peak_shards: "≤ 3" },
	);
	await mesh.close();
} finally {
	await browser.close();
	await network.stop();
}
process.exit(0);
