import { defineConfig } from "vitest/config";
import { LongestFirst } from "./e2e/setup/longestFirst.ts";

/** Unit tests lie beside the code they hold to its promises. What needs several browser tabs lies in e2e/. */
export default defineConfig({
	test: {
		include: [
			"packages/**/*.test.ts",
			"workers/**/*.test.ts",
			"relay/**/*.test.ts",
			"apps/**/*.test.ts",
			"bench/**/*.test.ts",
			"contracts/**/*.test.ts",
		],
		environment: "node",
		// Native add-ons (onnxruntime-node, node-datachannel) do not survive worker threads: one process per file.
		pool: "forks",
		// Two cores are what a small CI machine has. One more worker has something to do while others wait for peers; with more still, peers
		// time out on each other.
		maxWorkers: 3,
		sequence: { sequencer: LongestFirst },
		// Real peers, real models and real Chromium: a minute is far beyond what any of them takes when it works.
		testTimeout: 60_000,
		hookTimeout: 60_000,
		teardownTimeout: 20_000,
		// A shared machine stalls now and then; what fails twice is broken.
		retry: process.env.CI ? 1 : 0,
	},
});
