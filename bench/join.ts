import type { Page } from "playwright-core";
import { launchBrowser, untilServing } from "./src/browser.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";

// What a volunteer waits for and pays: kilobytes before Join is pressed, and the time from Join to serving on a second
// visit, when the shards are in this device's store.
const visits = 5;

/** Waits for a heading of the panel, looking with every frame: Playwright's own waits look twice a second. */
async function shows(page: Page, heading: string): Promise<void> {
	await page.waitForFunction((wanted) => {
		const panel = document.querySelector("tabmesh-lend")?.shadowRoot;
		return [...(panel?.querySelectorAll("h1, h2") ?? [])].some((h) => h.textContent?.trim() === wanted);
	}, heading);
}

const network = await startNetwork("--model", "stories15m");
const browser = await launchBrowser();
try {
	const context = await browser.newContext();
	const page = await context.newPage();
	const session = await context.newCDPSession(page);
	await session.send("Network.enable");
	let received = 0;
	const requests: string[] = [];
	session.on("Network.requestWillBeSent", ({ request }) => requests.push(request.url));
	session.on("Network.loadingFinished", ({ encodedDataLength }) => {
		received += encodedDataLength;
	});
	await page.goto(`${network.url}/lend`, { waitUntil: "networkidle" });
	await page.waitForTimeout(2_000);
	const pageKb = received / 1024;
	const modelRequests = requests.filter((url) => /\/models\/|\.wasm|\.safetensors|\.data$/.test(url));
	if (modelRequests.length > 0) throw new Error(`Before Join the page fetched ${modelRequests.join(", ")}.`);
	if (page.workers().length > 0) throw new Error("Before Join the page started a worker.");
	note(`${pageKb.toFixed(0)} KB in ${requests.length} requests before Join`);

	const start = performance.now();
	await page.getByRole("button", { name: /^Join/ }).click();
	await untilServing(page);
	const coldSeconds = (performance.now() - start) / 1000;
	note(`first visit: ${coldSeconds.toFixed(2)} s`);

	const warm: number[] = [];
	for (let visit = 0; visit < visits; visit++) {
		await page.close().catch(() => {});
		const again = await context.newPage();
		await again.goto(`${network.url}/lend`, { waitUntil: "networkidle" });
		const fetched: string[] = [];
		again.on("request", (request) => fetched.push(request.url()));
		const begin = performance.now();
		await again.getByRole("button", { name: /^Join/ }).click();
		await shows(again, "Serving");
		warm.push((performance.now() - begin) / 1000);
		const refetched = fetched.filter((url) => url.endsWith(".data"));
		if (refetched.length > 0) throw new Error("A second visit fetched weights again.");
		note(`visit ${visit + 2}: ${warm.at(-1)!.toFixed(2)} s`);
		await again.close();
	}
	print(
		{
			bench: "join",
			figures: { warm_join_s: median(warm), page_kb: pageKb },
			details: { coldSeconds, warmSeconds: warm, requests: requests.length },
		},
		{ warm_join_s: "≤ 2", page_kb: "≤ 300" },
	);
} finally {
	await browser.close();
	await network.stop();
}
process.exit(0);
