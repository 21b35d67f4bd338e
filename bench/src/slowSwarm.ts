import { connect, type Tabmesh } from "@tabmesh/client";
import type { Browser, Page } from "playwright-core";
import { type LatencyLab, labFlags, relayOnly, startLatencyLab } from "../../e2e/lab/latencyLab.ts";
import { ensureCoturn } from "../../e2e/setup/ensureCoturn.ts";
import { joinTab, launchBrowser, untilServing } from "./browser.ts";
import { rawRoundTripMs } from "./dataChannel.ts";
import { within } from "./deadline.ts";
import { startNetwork } from "./network.ts";
import type { OpenThings } from "./openThings.ts";
import { note } from "./report.ts";

/** The site may have to be built, and a model to be fetched. */
const startMs = 120_000;
const serveMs = 120_000;

/** Chromium tabs that hold a model together and reach each other through the latency lab only. */
export interface SlowSwarm {
	readonly lab: LatencyLab;
	readonly browser: Browser;
	readonly tabs: readonly Page[];
	/** Of the asker, in this process, as far away from the tabs as they from each other. */
	readonly mesh: Tabmesh;
	/** Round trip of `bytes` over a bare data channel between two of the tabs. */
	roundTripMs(bytes: number, pauseMs: number): Promise<number>;
}

/** Starts everything without delay: set `lab` when it is to count. */
export async function startSlowSwarm(
	open: OpenThings,
	model: string,
	{ tabs: count, threads, memoryBytes }: { tabs: number; threads: number; memoryBytes: number },
): Promise<SlowSwarm> {
	const coturn = ensureCoturn();
	if (coturn === undefined)
		throw new Error(
			"The latency lab needs coturn: install it, or name its turnserver in TABMESH_TURNSERVER.",
		);
	const lab = open.add(await startLatencyLab(coturn), (lab) => lab.stop());
	const network = open.add(
		await within(
			startMs,
			"The start of the network",
			startNetwork("--model", model, "--min-stages", String(count), "--ice-server", lab.iceServerUri),
		),
		(network) => network.stop(),
	);
	const browser = open.add(await launchBrowser(...labFlags), (browser) => browser.close());
	const tabs: Page[] = [];
	for (let i = 0; i < count; i++) {
		const context = await browser.newContext();
		await relayOnly(context);
		const tab = await joinTab(context, network.url, {
			backend: "wasm",
			threads,
			memoryBytes,
		});
		tabs.push(tab);
	}
	await within(serveMs, "Loading the model", Promise.all(tabs.map(untilServing)));
	note(`${count} tabs serve`);
	const mesh = open.add(await connect({ relay: network.url }), (mesh) => mesh.close());
	await within(serveMs, "The model's coverage", complete(mesh));
	const { urls, username, credential } = lab.iceServer;
	return {
		lab,
		browser,
		tabs,
		mesh,
		roundTripMs: (bytes, pauseMs) =>
			rawRoundTripMs(tabs[0]!, tabs[1]!, bytes, 20, pauseMs, [{ urls, username, credential }]),
	};
}

async function complete(mesh: Tabmesh): Promise<void> {
	while (!mesh.models[0]?.coverage.complete) {
		await new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true }));
	}
}
