import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fetchCatalogModel } from "@tabmesh/model/node";
import type { Span } from "@tabmesh/wire";
import type { Browser } from "playwright-core";
import { servePage } from "../../e2e/setup/servePage.ts";
import type { EngineTab } from "./engineTab/tab.page.ts";
import { median } from "./report.ts";

declare const harness: EngineTab;

/** Steps before the first that counts. */
const warm = 4;

/** Engines in a tab of their own, which nobody asks for anything else. */
export interface EngineAlone {
	/**
	 * Median milliseconds of a decode step, of all spans together.
	 *
	 * @param prompt - positions before the first step
	 * @param lapMs - time from one step of a span to its next, 0 for at once: an engine that rests in between finds its weights
	 * no longer in a cache, and the processor's clock low
	 */
	decodeMs(prompt: number, tokens: number, lapMs: number): Promise<number>;
	close(): Promise<void>;
}

/**
 * Loads spans of a model, each in an engine.
 *
 * @param model - catalogue id
 */
export async function openEngineAlone(
	browser: Browser,
	model: string,
	spans: readonly Span[],
	options: { memoryBytes: number; threads: number },
): Promise<EngineAlone> {
	const folder = await fetchCatalogModel(model, {
		cacheDir: join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models"),
	});
	const served = await servePage(new URL("engineTab/", import.meta.url));
	const page = await browser.newPage();
	await page.goto(served.url);
	await page.waitForFunction(() => "harness" in globalThis);
	const files = (await readdir(folder)).map((name) => join(folder, name));
	await page.locator("input").setInputFiles(files);
	await page.evaluate(([spans, options]) => harness.open(spans, options), [spans, options] as const);
	const ofSpan = async (which: number, prompt: number, tokens: number, restMs: number): Promise<number> => {
		const times = await page.evaluate((call) => harness.decodeMs(...call), [
			which,
			prompt,
			warm + tokens,
			restMs,
		] as [number, number, number, number]);
		return median(times.slice(warm));
	};
	return {
		async decodeMs(prompt, tokens, lapMs) {
			let sum = 0;
			for (const which of spans.keys()) {
				const guess = lapMs === 0 ? 0 : await ofSpan(which, prompt, warm, 0);
				sum += await ofSpan(which, prompt, tokens, Math.max(0, lapMs - guess));
			}
			return sum;
		},
		async close() {
			await page.close();
			await served.close();
		},
	};
}
