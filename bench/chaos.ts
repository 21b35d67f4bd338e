import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { connect, type GenerationSummary, type Tabmesh } from "@tabmesh/client";
import type { Browser, Page } from "playwright-core";
import { seeded } from "../e2e/lab/seeded.ts";
import { joinTab, launchBrowser, untilServing } from "./src/browser.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";

// Answers over three Chromium tabs with one headless spare, stories15M: each loses a stage, any of them, at a random token, by
// a closed tab or by the end of its process. Held against the text that nobody disturbed.
const rounds = Number(process.env.BENCH_ROUNDS ?? 100);
const seed = Number(process.env.BENCH_SEED ?? 1);
const stages = 3;
const tokens = 96;
/** How long a swarm may take to deal its layers after a tab came. */
const settleMs = 4_000;
/** Of stories15M. */
const modelLayers = 6;
/** Beginnings of stories in tokens of the model's vocabulary. */
const prompts = [
	[1, 9038, 2501, 263, 931],
	[1, 9038, 2501, 263, 931, 29892, 727, 471, 263, 2217, 11203],
	[1],
];

const draw = seeded(seed);
const below = (count: number): number => Math.floor(draw() * count);

/** Who lends, by peer id, and how to end it. */
const killers = new Map<string, { what: string; kill(): Promise<unknown> }>();

function lending(mesh: Tabmesh): string[] {
	return mesh.members.filter(({ lends }) => lends?.spans.some(({ ready }) => ready)).map(({ peer }) => peer);
}

async function until(mesh: Tabmesh, condition: () => boolean): Promise<void> {
	while (!condition()) {
		await Promise.race([
			new Promise((resolve) => mesh.addEventListener("swarm", resolve, { once: true })),
			new Promise((resolve) => setTimeout(resolve, 100)),
		]);
	}
}

/** Whether tabs alone hold all layers, and the spare serves. */
function isWhole(mesh: Tabmesh): boolean {
	const layers = new Set<number>();
	let spares = 0;
	for (const { peer, kind, lends } of mesh.members) {
		if (!killers.has(peer)) continue;
		const spans = lends?.spans.filter(({ ready }) => ready) ?? [];
		if (kind === "node" && spans.length > 0) spares++;
		if (kind === "page") {
			for (const { from, to } of spans) for (let layer = from; layer < to; layer++) layers.add(layer);
		}
	}
	return layers.size === modelLayers && spares > 0;
}

async function isWholeWithin(mesh: Tabmesh, ms: number): Promise<boolean> {
	const deadline = performance.now() + ms;
	await until(mesh, () => isWhole(mesh) || performance.now() > deadline);
	return isWhole(mesh);
}

/** Opens a tab that lends, and learns its peer id: it is the new one. */
async function addTab(mesh: Tabmesh, browser: Browser, url: string): Promise<void> {
	// A context each: in one, a new tab would take the key of the tab that is gone.
	const context = await browser.newContext();
	const page = await joinTab(context, url, { threads: 1 });
	await untilServing(page);
	const isNew = (peer: string): boolean => !killers.has(peer) && !gone.has(peer);
	await until(mesh, () => lending(mesh).some(isNew));
	const peer = lending(mesh).find(isNew)!;
	const crash = draw() < 0.5;
	killers.set(peer, {
		what: crash ? "a tab's process ended" : "a tab closed",
		kill: () => (crash ? endProcess(page) : context.close()),
	});
}
const gone = new Set<string>();

async function endProcess(page: Page): Promise<void> {
	const session = await page.context().newCDPSession(page);
	// It never answers.
	session.send("Page.crash").catch(() => {});
	await new Promise((resolve) => page.once("crash", resolve));
	void page.context().close();
}

async function addSpare(mesh: Tabmesh, url: string): Promise<ChildProcess> {
	const child = spawn(
		process.execPath,
		[fileURLToPath(new URL("src/sparePeer.ts", import.meta.url)), url, "stories15m"],
		{ stdio: ["ignore", "pipe", "inherit"] },
	);
	const [line] = await once(child.stdout!, "data");
	const peer = String(line).trim();
	killers.set(peer, {
		what: "the spare's process ended",
		kill: async () => {
			child.kill("SIGKILL");
			await once(child, "exit");
		},
	});
	await until(mesh, () => lending(mesh).includes(peer));
	return child;
}

interface Run {
	readonly what: string;
	readonly place: number;
	readonly at: number;
	readonly error?: unknown;
	readonly summary?: GenerationSummary;
	/** The longest gap between two tokens. */
	readonly stallMs: number;
}

async function ask(mesh: Tabmesh, promptTokens: number[], killAt?: number): Promise<Run> {
	let route: readonly string[] = [];
	const generation = mesh.generate({
		promptTokens,
		maxTokens: tokens,
		temperature: 0,
		minStages: stages,
		onStages: (views) => {
			route = views.map(({ peer }) => peer);
		},
	});
	let what = "";
	let place = 0;
	let count = 0;
	let last = 0;
	let stallMs = 0;
	try {
		for await (const _ of generation) {
			const now = performance.now();
			if (last > 0) stallMs = Math.max(stallMs, now - last);
			last = now;
			if (++count !== killAt) continue;
			place = below(route.length);
			const victim = route[place]!;
			const killer = killers.get(victim)!;
			what = killer.what;
			killers.delete(victim);
			gone.add(victim);
			void killer.kill();
		}
		return { what, place, at: killAt ?? 0, summary: await generation.summary, stallMs };
	} catch (error) {
		return { what, place, at: killAt ?? 0, error, stallMs };
	}
}

const network = await startNetwork("--model", "stories15m", "--min-stages", String(stages));
const browser = await launchBrowser();
let spare: ChildProcess | undefined;
try {
	const mesh = await connect({ relay: network.url });
	for (let i = 0; i < stages; i++) {
		await addTab(mesh, browser, network.url);
		note(`tab ${i + 1} serves`);
	}
	await until(mesh, () => mesh.models[0]?.coverage.complete === true);
	spare = await addSpare(mesh, network.url);
	note("the spare stands by");
	const texts: string[] = [];
	for (const prompt of prompts) {
		const { summary, error } = await ask(mesh, prompt);
		if (!summary) throw error;
		texts.push(summary.tokens.join(" "));
	}

	const runs: (Run & { readonly changed: boolean })[] = [];
	for (let round = 0; round < rounds; round++) {
		const which = below(prompts.length);
		const run = await ask(mesh, prompts[which]!, 2 + below(tokens - 10));
		const changed = run.summary !== undefined && run.summary.tokens.join(" ") !== texts[which];
		runs.push({ ...run, changed });
		const outcome = run.error ?? (changed ? "another text" : `${run.stallMs.toFixed(0)} ms`);
		note(`${round + 1}: stage ${run.place + 1} at token ${run.at}, ${run.what}: ${outcome}`);
		if (spare.exitCode !== null || spare.signalCode !== null) spare = await addSpare(mesh, network.url);
		while (killers.size < stages + 1) await addTab(mesh, browser, network.url);
		// Tabs again in all places, and the spare beside them. A newcomer may have doubled another place: then one more comes.
		while (!(await isWholeWithin(mesh, settleMs))) await addTab(mesh, browser, network.url);
	}
	const stalls = runs
		.filter(({ error }) => error === undefined)
		.map(({ stallMs }) => stallMs)
		.sort((a, b) => a - b);
	const percentile = (share: number): number => stalls[Math.ceil(share * stalls.length) - 1] ?? Number.NaN;
	const ways = [...new Set(runs.map(({ what }) => what))];
	print(
		{
			bench: "chaos",
			figures: {
				lost: runs.filter(({ error }) => error !== undefined).length,
				changed: runs.filter(({ changed }) => changed).length,
				median_stall_ms: percentile(0.5),
				p95_stall_ms: percentile(0.95),
			},
			details: {
				rounds,
				seed,
				longestMs: stalls.at(-1),
				/** Nothing is taken off for the prompt that the spare computes. */
				byWay: ways.map((way) => {
					const own = runs.filter(({ what }) => what === way);
					return { way, runs: own.length, medianMs: Math.round(median(own.map(({ stallMs }) => stallMs))) };
				}),
				numericsChanged: runs.filter(({ summary }) =>
					summary?.replays.some((replay) => replay.numericsChanged),
				).length,
			},
		},
		{ lost: "0", changed: "0", median_stall_ms: "≤ 1000", p95_stall_ms: "≤ 3000" },
	);
	await mesh.close();
} finally {
	spare?.kill("SIGKILL");
	await browser.close();
	await network.stop();
}
process.exit(0);
