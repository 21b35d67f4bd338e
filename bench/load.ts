import { connect } from "@tabmesh/client";
import { launchBrowser, pressJoin, untilServing } from "./src/browser.ts";
import { heldSpans, offeredModel } from "./src/heldSpan.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";
import { tinyLlamaFile } from "./src/tinyLlama.ts";

// From shards in this device's store to serving them: a third of TinyLlama in one tab.
const visits = Number(process.env.BENCH_ROUNDS ?? 3);
const threads = Number(process.env.BENCH_THREADS ?? 2);

const network = await startNetwork("--model", await tinyLlamaFile(), "--min-stages", "3");
const browser = await launchBrowser();
try {
	const model = await offeredModel(network.url);
	const context = await browser.newContext();
	const seconds: number[] = [];
	let weightBytes = 0;
	let weights = "";
	// The first visit fills the store.
	for (let visit = 0; visit <= visits; visit++) {
		const page = await context.newPage();
		await page.goto(`${network.url}/lend`, { waitUntil: "networkidle" });
		const start = performance.now();
		await pressJoin(page, { backend: "wasm", threads, memoryBytes: 4e9 });
		await untilServing(page);
		const took = (performance.now() - start) / 1000;
		note(`visit ${visit + 1}: ${took.toFixed(2)} s`);
		if (visit > 0) seconds.push(took);
		const mesh = await connect({ relay: network.url });
		while (heldSpans(mesh, model).length === 0) {
			await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
		}
		[{ weightBytes, weights }] = heldSpans(mesh, model) as [ReturnType<typeof heldSpans>[number]];
		await page.close();
		await mesh.close();
	}
	print(
		{
			bench: "load",
			figures: { warm_load_s_per_gb: median(seconds) / (weightBytes / 1e9) },
			details: { warmSeconds: seconds, weightBytes, weights, threads },
		},
		{ warm_load_s_per_gb: "≤ 6" },
	);
} finally {
	await browser.close();
	await network.stop();
}
process.exit(0);
