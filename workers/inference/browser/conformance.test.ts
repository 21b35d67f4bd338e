import { publishModel, sourceOfModel } from "@tabmesh/model";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { softwareGpu } from "../../../e2e/setup/chromiumFlags.ts";
import { openBrowser, openPage } from "../../../e2e/setup/openBrowser.ts";
import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";
import { conformanceCases, lastLogits, openTinyOf, type TinyModel } from "../src/conformance.ts";
import { createEngine } from "../src/createEngine.ts";
import type { ConformanceHarness } from "./conformance.page.ts";

declare const harness: ConformanceHarness;

const setups: readonly {
	readonly backend: "wasm" | "webgpu";
	readonly threads: number;
	readonly weights: "f32" | "q8" | "i8" | "q4";
	readonly model: TinyModel;
	/** 1 byte for a piece: a session for every layer. 360,000 for a heap: three workers for the model. */
	readonly sizes?: {
		readonly memoryBytes?: number;
		readonly heapBytes?: number;
		readonly pieceBytes?: number;
	};
}[] = [
	{ backend: "wasm", threads: 1, weights: "f32", model: "llama" },
	{ backend: "wasm", threads: 1, weights: "f32", model: "odd" },
	{ backend: "wasm", threads: 2, weights: "f32", model: "llama", sizes: { pieceBytes: 1 } },
	{ backend: "wasm", threads: 1, weights: "i8", model: "llama" },
	{
		backend: "wasm",
		threads: 2,
		weights: "f32",
		model: "llama",
		sizes: { memoryBytes: 1_500_000, heapBytes: 360_000 },
	},
	{ backend: "webgpu", threads: 1, weights: "f32", model: "llama", sizes: { pieceBytes: 1 } },
	// SwiftShader takes half a minute for each further format, and the other models are Node's test, too.
	...(process.env.TABMESH_LARGE === "1"
		? ([
				{ backend: "wasm", threads: 1, weights: "f32", model: "qwen2" },
				{ backend: "wasm", threads: 1, weights: "f32", model: "qwen3" },
				{ backend: "wasm", threads: 1, weights: "q8", model: "llama" },
				{ backend: "webgpu", threads: 1, weights: "q8", model: "llama" },
				{ backend: "webgpu", threads: 1, weights: "q4", model: "llama" },
				{ backend: "webgpu", threads: 1, weights: "f32", model: "qwen2" },
				{ backend: "webgpu", threads: 1, weights: "f32", model: "qwen3" },
				{ backend: "webgpu", threads: 1, weights: "f32", model: "odd" },
				{ backend: "webgpu", threads: 1, weights: "q8", model: "odd" },
			] as const)
		: []),
];

describe("in a browser, too, the engine keeps the promises of every engine", () => {
	let served: ServedPage;
	let browser: Browser;
	beforeAll(async () => {
		[served, browser] = await Promise.all([
			servePage(new URL(".", import.meta.url)),
			openBrowser(...softwareGpu),
		]);
	}, 60_000);
	afterAll(async () => {
		await browser?.close();
		await served?.close();
	});

	describe.each(setups)(
		"on $backend with $threads thread(s), weights in $weights, of the $model model, sizes $sizes",
		({ backend, threads, weights, model, sizes }) => {
			let page: Page;
			beforeAll(async () => {
				page = await openPage(browser, served.url);
				const info = await page.evaluate(([b, t, w, m, s]) => harness.open(b, t, w, m, s), [
					backend,
					threads,
					weights,
					model,
					sizes,
				] as const);
				expect(info).toMatchObject({ backend, threads });
			}, 120_000);
			afterAll(() => page?.close());

			test.each(conformanceCases.map(({ title }) => ({ title })))(
				"$title",
				async ({ title }) => {
					expect(await page.evaluate((name) => harness.run(name), title)).toBeUndefined();
				},
				300_000,
			);

			test.runIf(weights === "f32")("it says what the engine in Node says", async () => {
				const tokens = [17, 300, 5, 401, 333, 260, 99];
				const source = await openTinyOf(model);
				const engine = await createEngine({ memoryBytes: 16 * 1024 * 1024 });
				const published = await publishModel(source);
				const bench = { engine, model: published, source: sourceOfModel(source) };
				const expected = await lastLogits(bench, tokens);
				await engine.close();
				const got = await page.evaluate((some) => harness.logits(some), tokens);
				expect(got).toHaveLength(expected.length);
				// Logits of the test models are between -20 and 20.
				for (const [i, logit] of expected.entries()) expect(got[i]).toBeCloseTo(logit, 2);
			});
		},
	);

	test("a lost GPU is an event, after which everything works again", async () => {
		// A browser of its own: after a few crashes Chromium gives its GPU up.
		const other = await openBrowser(...softwareGpu);
		try {
			const page = await openPage(other, served.url);
			await page.evaluate(() => harness.open("webgpu", 1, "f32"));
			const session = await other.newBrowserCDPSession();
			await page.exposeFunction("crashGpu", () => session.send("Browser.crashGpuProcess"));
			expect(await page.evaluate(() => harness.loseDevice())).toEqual([
				"a token",
				"devicelost with a reason",
				"EngineInputError for the old span",
				"0 bytes used",
				"a token",
			]);
		} finally {
			await other.close();
		}
	}, 120_000);
});
