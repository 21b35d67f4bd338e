import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { connect, type GenerationSummary, type Tabmesh } from "@tabmesh/client";
import type { Browser, Page } from "playwright-core";
import { seeded } from "../e2e/lab/seeded.ts";
import { joinTab, launchBrowser, untilServing } from "./src/browser.ts";
import { startNetwork } from "./src/network.ts";
import { median, note, print } from "./src/report.ts";

// Answers over three stages with one headless spare, stories15M: each loses a stage, any of them, at a random token, by a closed
// tab or by the end of its process. Held against the text that nobody disturbed. The stages are Chromium tabs; where a new tab goes
// elsewhere, because the swarm still shows the lost one (for half a minute), a headless peer fills the gap up.
// BENCH_ROUNDS=20 BENCH_SEED=3 is a slice of it.
const rounds = Number(process.env.BENCH_ROUNDS ?? 100);
const seed = Number(process.env.BENCH_SEED ?? 1);
const stages = 3;
const tokens = 96;
/** How long a tab or the spare may take until it serves, and an answer until it is whole: far more than they need. */
const startMs = 45_000;
const answerMs = 60_000;
/** How long the end of what was started may take. */
const endMs = 5_000;
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

interface Living {
	readonly kind: "tab" | "fill-up" | "spare";
	readonly what: string;
	/** Does not wait until it is gone. */
	kill(): void;
}
/** Who lends, by peer id. */
const living = new Map<string, Living>();
const gone = new Set<string>();
/** How to end whatever was started. */
const endings: (() => unknown)[] = [];

/** @throws Error that names `what` when it takes longer */
async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms / 1000} s.`)), ms);
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
	}
}

async function holdsWithin(ms: number, condition: () => boolean): Promise<boolean> {
	const deadline = performance.now() + ms;
	while (!condition()) {
		if (performance.now() > deadline) return false;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return true;
}

async function end(): Promise<void> {
	const all = Promise.allSettled(endings.splice(0).map(async (stop) => stop()));
	await within(endMs, "The end", all).catch((error) => note(String(error)));
}

const serves = (mesh: Tabmesh, peer: string): boolean =>
	mesh.members.some((member) => member.peer === peer && member.lends?.spans.some(({ ready }) => ready));

/** Layers that nobody but the spare serves: the first of them that follow each other. */
function gap(mesh: Tabmesh): { from: number; to: number } | undefined {
	const held = mesh.members
		.filter(({ peer }) => living.has(peer) && living.get(peer)!.kind !== "spare")
		.flatMap(({ lends }) => lends?.spans.filter(({ ready }) => ready) ?? []);
	const isMissing = (layer: number): boolean => !held.some(({ from, to }) => from <= layer && layer < to);
	let from = 0;
	while (from < modelLayers && !isMissing(from)) from++;
	let to = from;
	while (to < modelLayers && isMissing(to)) to++;
	return from < to ? { from, to } : undefined;
}

/** Who holds what, for a message. */
function described(mesh: Tabmesh): string {
	return mesh.members
		.filter(({ lends }) => lends)
		.map(({ peer, kind, lends }) => {
			const spans = lends!.spans.map(({ from, to, ready }) => `${from}-${to}${ready ? "" : " loading"}`);
			return `${living.get(peer)?.kind ?? `gone ${kind}`} …${peer.slice(-4)} [${spans.join(", ")}]`;
		})
		.join("; ");
}

/** Opens a tab that lends, and learns its peer id: it is the new one. */
async function addTab(mesh: Tabmesh, browser: Browser, url: string): Promise<void> {
	// A context each: in one, a new tab would take the key of the tab that is gone.
	const context = await browser.newContext();
	context.setDefaultTimeout(startMs);
	const page = await joinTab(context, url, { threads: 1 });
	await within(startMs, "A tab's way to its layers", untilServing(page));
	const newcomer = (): string | undefined =>
		mesh.members.find(({ peer }) => !living.has(peer) && !gone.has(peer) && serves(mesh, peer))?.peer;
	if (!(await holdsWithin(startMs, () => newcomer() !== undefined))) {
		throw new Error(`Nobody hears of a tab that serves: ${described(mesh)}`);
	}
	const crash = draw() < 0.5;
	const close = (): void => void context.close().catch(() => {});
	living.set(newcomer()!, {
		kind: "tab",
		what: crash ? "its process ended" : "closed",
		kill: () => (crash ? endProcess(page, close) : close()),
	});
}

function endProcess(page: Page, close: () => void): void {
	page.once("crash", close);
	// It never answers.
	const crash = async (): Promise<unknown> => (await page.context().newCDPSession(page)).send("Page.crash");
	crash().catch(() => {});
}

/** Starts a peer of its own process; the spare holds whatever somebody else holds. */
async function addHeadless(mesh: Tabmesh, url: string, span?: { from: number; to: number }): Promise<void> {
	const program = fileURLToPath(new URL("src/sparePeer.ts", import.meta.url));
	const child = spawn(
		process.execPath,
		[program, url, "stories15m", ...(span ? [String(span.from), String(span.to)] : [])],
		{ stdio: ["ignore", "pipe", "inherit", "ipc"] },
	);
	const kill = (): void => void child.kill("SIGKILL");
	endings.push(kill);
	const exit = once(child, "exit").then(([code]) => Promise.reject(new Error(`A peer ended with ${code}.`)));
	exit.catch(() => {});
	const said = Promise.race([once(child.stdout!, "data"), exit]);
	const peer = String((await within(startMs, "A headless peer's way to its layers", said))[0]).trim();
	if (!(await holdsWithin(startMs, () => serves(mesh, peer)))) {
		throw new Error(`Nobody hears of a headless peer: ${described(mesh)}`);
	}
	living.set(peer, { kind: span ? "fill-up" : "spare", what: "its process ended", kill });
}

/** Tabs enough for all places, no place empty, and the spare beside them. */
async function fillUp(mesh: Tabmesh, browser: Browser, url: string): Promise<void> {
	const of = (kind: Living["kind"]): number =>
		[...living.values()].filter((each) => each.kind === kind).length;
	while (of("tab") < stages) await addTab(mesh, browser, url);
	for (let span = gap(mesh); span; span = gap(mesh)) await addHeadless(mesh, url, span);
	if (of("spare") === 0) await addHeadless(mesh, url);
}

interface Run {
	readonly what: string;
	readonly place: number;
	readonly at: number;
	/** Why the answer was not written to its end. */
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
	const read = async (): Promise<GenerationSummary> => {
		for await (const _ of generation) {
			const now = performance.now();
			if (last > 0) stallMs = Math.max(stallMs, now - last);
			last = now;
			if (++count !== killAt) continue;
			place = below(route.length);
			const victim = route[place]!;
			what = `${living.get(victim)!.kind}: ${living.get(victim)!.what}`;
			gone.add(victim);
			living.get(victim)!.kill();
			living.delete(victim);
		}
		return generation.summary;
	};
	try {
		const summary = await within(answerMs, "The answer", read());
		return { what, place, at: killAt ?? 0, summary, stallMs };
	} catch (error) {
		generation.cancel();
		return { what, place, at: killAt ?? 0, error, stallMs };
	}
}

const runs: (Run & { readonly changed: boolean })[] = [];

async function lose(): Promise<void> {
	const network = await startNetwork("--model", "stories15m", "--min-stages", String(stages));
	endings.push(() => network.stop());
	const browser = await launchBrowser();
	endings.push(() => browser.close());
	const mesh = await connect({ relay: network.url });
	endings.push(() => mesh.close());
	await fillUp(mesh, browser, network.url);
	note(described(mesh));
	const texts: string[] = [];
	for (const prompt of prompts) {
		const { summary, error } = await ask(mesh, prompt);
		if (!summary) throw error;
		texts.push(summary.tokens.join(" "));
	}
	for (let round = 0; round < rounds; round++) {
		await fillUp(mesh, browser, network.url);
		const which = below(prompts.length);
		const run = await ask(mesh, prompts[which]!, 2 + below(tokens - 10));
		const changed = run.summary !== undefined && run.summary.tokens.join(" ") !== texts[which];
		runs.push({ ...run, changed });
		const outcome = run.error ?? (changed ? "another text" : `${run.stallMs.toFixed(0)} ms`);
		note(`${round + 1}: stage ${run.place + 1} at token ${run.at}, ${run.what}: ${outcome}`);
	}
}

function report(): void {
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
				rounds: runs.length,
				seed,
				longestMs: Math.round(stalls.at(-1) ?? Number.NaN),
				/** Nothing is taken off for the prompt that the spare computes. */
				byWay: ways.map((way) => {
					const own = runs.filter(({ what }) => what === way);
					return { way, runs: own.length, medianMs: Math.round(median(own.map(({ stallMs }) => stallMs))) };
				}),
				byPlace: Array.from({ length: stages }, (_, place) => {
					const own = runs.filter((run) => run.place === place);
					return {
						stage: place + 1,
						runs: own.length,
						medianMs: Math.round(median(own.map(({ stallMs }) => stallMs))),
					};
				}),
				stallsMs: stalls.map(Math.round),
				numericsChanged: runs.filter(({ summary }) =>
					summary?.replays.some((replay) => replay.numericsChanged),
				).length,
			},
		},
		{ lost: "0", changed: "0", median_stall_ms: "≤ 1000", p95_stall_ms: "≤ 3000" },
	);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
	process.once(signal, async () => {
		await end();
		process.exit(1);
	});
}
try {
	await lose();
} catch (error) {
	process.exitCode = 1;
	note(`After ${runs.length} of ${rounds}: ${error instanceof Error ? error.stack : error}`);
}
if (runs.length > 0) report();
await end();
process.exit();
