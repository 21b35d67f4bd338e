import type { Tabmesh } from "@tabmesh/client";
import { seeded } from "../e2e/lab/seeded.ts";
import { within } from "./src/deadline.ts";
import { OpenThings } from "./src/openThings.ts";
import { median, note, print } from "./src/report.ts";
import { startSlowSwarm } from "./src/slowSwarm.ts";

// What it costs to serve several people at once. Eight streams against one over three Chromium tabs, stories15M, tokens per
// second in all, far apart (the pipe between two tokens is empty then, and others fill it) and side by side (only
// batching, and stages that work at the same time, help). And a beginning that two streams share: TinyLlama, because the
// small model computes 200 tokens in less time than it takes to agree with five peers on a stream.
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
/** A first token of TinyLlama after 200 others takes half a minute on two slow cores. */
const prefixRounds = 2;
const stages = 3;
const streams = 8;
const tokens = 48;
/** Tokens of each stream before the rate counts: prompts, and streams that find each other in a batch. */
const warm = 8;
const answerMs = 90_000;

/** Beginnings of stories in tokens of the model's vocabulary, one for each stream: "Once upon a time" with further words. */
const prompts = [
	[1, 9038, 2501, 263, 931],
	[1, 9038, 2501, 263, 931, 29892, 727, 471],
	[1, 9038, 2501, 263, 931, 29892, 263, 2217, 7826],
	[1, 9038, 2501, 263, 931, 297, 263, 2919, 2058],
	[1, 9038, 2501, 263, 931, 263, 11203, 471],
	[1, 9038, 2501, 263, 931, 29892, 297, 263, 4802, 29376],
	[1, 9038, 2501, 263, 931, 727, 10600, 263, 9703],
	[1, 9038, 2501, 263, 931, 29892, 263, 8023, 471],
] as const;

interface Timed {
	readonly tokens: readonly number[];
	readonly arrivals: readonly number[];
	/** From the question to the first token. */
	readonly firstMs: number;
}

async function ask(mesh: Tabmesh, promptTokens: readonly number[], maxTokens: number): Promise<Timed> {
	const start = performance.now();
	const generation = mesh.generate({
		promptTokens,
		maxTokens,
		temperature: 0,
		minStages: stages,
		// One stream alone would guess, eight fill the pipe themselves: what is compared is the same work.
		speculation: false,
	});
	const arrivals: number[] = [];
	for await (const _ of generation) arrivals.push(performance.now());
	const summary = await generation.summary;
	if (summary.stages.length !== stages) throw new Error(`${summary.stages.length} stages, not ${stages}`);
	return { tokens: summary.tokens, arrivals, firstMs: arrivals[0]! - start };
}

/** Tokens per second of all streams together, while all of them run. */
function rate(answers: readonly Timed[]): number {
	const from = Math.max(...answers.map(({ arrivals }) => arrivals[warm]!));
	const to = Math.min(...answers.map(({ arrivals }) => arrivals.at(-1)!));
	if (to <= from) throw new Error("The streams did not run at the same time.");
	const counted = answers.flatMap(({ arrivals }) => arrivals.filter((at) => from < at && at <= to));
	return counted.length / ((to - from) / 1000);
}

const open = new OpenThings();
const figures: Record<string, number> = {};
const details: Record<string, unknown> = { rounds, streams, tokens };

async function measureEight(): Promise<void> {
	const { lab, mesh } = await startSlowSwarm(open, "stories15m", {
		tabs: stages,
		threads: 1,
		memoryBytes: 1e9,
	});
	const texts = new Map<number, string>();
	const assertSame = (stream: number, { tokens }: Timed): void => {
		const text = tokens.join(" ");
		if ((texts.get(stream) ?? text) !== text)
			throw new Error(`Stream ${stream} does not write what it wrote before.`);
		texts.set(stream, text);
	};
	for (const [figure, delayMs] of [
		["eight_over_one", 50],
		["eight_over_one_0", 0],
	] as const) {
		await lab.set({ delayMs });
		const runs: { one: number; eight: number }[] = [];
		for (let round = 0; round < rounds; round++) {
			const which = round % streams;
			const alone = await within(answerMs, "One answer", ask(mesh, prompts[which]!, tokens));
			assertSame(which, alone);
			const together = await within(
				answerMs,
				"Eight answers",
				Promise.all(prompts.map((prompt) => ask(mesh, prompt, tokens))),
			);
			for (const [stream, answer] of together.entries()) assertSame(stream, answer);
			const run = { one: rate([alone]), eight: rate(together) };
			runs.push(run);
			note(`${delayMs} ms: ${run.one.toFixed(1)} and ${run.eight.toFixed(1)} tokens per second`);
		}
		figures[figure] = median(runs.map(({ one, eight }) => eight / one));
		details[`at${delayMs}`] = {
			tokensPerSecond: {
				one: median(runs.map(({ one }) => one)),
				eight: median(runs.map(({ eight }) => eight)),
			},
		};
	}
}

async function measurePrefix(): Promise<void> {
	// The stages take turns: none takes another's core.
	const options = { tabs: stages, threads: 2, memoryBytes: 4e9 };
	const { mesh } = await startSlowSwarm(open, "tinyllama-1.1b-chat", options);
	await within(answerMs, "The first answer", ask(mesh, [1, 300], 4));
	const draw = seeded(1);
	/** Any words of the vocabulary: how long a prompt takes does not depend on its sense. */
	const words = (count: number): number[] =>
		Array.from({ length: count }, () => 300 + Math.floor(draw() * 29_000));
	const firsts: { first: number; second: number }[] = [];
	for (let round = 0; round < prefixRounds; round++) {
		const shared = [1, ...words(199)];
		const [first, second] = [
			await within(answerMs, "An answer", ask(mesh, [...shared, ...words(8)], 4)),
			await within(answerMs, "An answer", ask(mesh, [...shared, ...words(8)], 4)),
		];
		firsts.push({ first: first.firstMs, second: second.firstMs });
		note(
			`first token after ${first.firstMs.toFixed(0)} ms, with the same beginning ${second.firstMs.toFixed(0)} ms`,
		);
	}
	figures.prefix_ratio = median(firsts.map(({ first, second }) => second / first));
	details.firstTokenMs = {
		first: median(firsts.map(({ first }) => first)),
		second: median(firsts.map(({ second }) => second)),
	};
}

try {
	await measureEight();
	await open.close();
	await measurePrefix();
	print(
		{ bench: "streams", figures, details },
		{ eight_over_one: "≥ 5", eight_over_one_0: "≥ 1.4", prefix_ratio: "≤ 0.3" },
	);
} finally {
	await open.close();
}
process.exit(0);
