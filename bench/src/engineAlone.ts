import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchCatalogModel } from "@tabmesh/model/node";
import type { Span } from "@tabmesh/wire";
import type { Browser } from "playwright-core";
import { createServer, defaultClientConditions } from "vite";
import type { EngineTab } from "./engineTab/tab.page.ts";
import { median } from "./report.ts";

declare const harness: EngineTab;

/** Steps before the first that counts. */
const warm = 8;

/** What is decoded. */
export interface AloneOptions {
	readonly memoryBytes: number;
	/** Positions before the first token. */
	readonly prompt: number;
	readonly tokens: number;
}

/**
 * Median milliseconds of a decode step of each span: by an engine in a tab, one thread, that computes one step behind the
 * other while nothing else runs.
 *
 * @param model - catalogue id
 */
export async function engineAloneMs(
	browser: Browser,
	model: string,
	spans: readonly Span[],
	{ memoryBytes, prompt, tokens }: AloneOptions,
): Promise<number[]> {
	const folder = await fetchCatalogModel(model, {
		cacheDir: join(process.env.TABMESH_CACHE ?? join(homedir(), ".cache", "tabmesh"), "models"),
	});
	const server = await createServer({
		configFile: false,
		root: fileURLToPath(new URL("engineTab", import.meta.url)),
		logLevel: "error",
		resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
		server: { host: "127.0.0.1", port: 0, fs: { strict: false }, hmr: false, watch: null },
		// onnxruntime-web finds its files by URL; bundled into a cache it does not.
		optimizeDeps: { exclude: ["onnxruntime-web"] },
	});
	await server.listen();
	const page = await browser.newPage();
	try {
		await page.goto(server.resolvedUrls!.local[0]!);
		await page.waitForFunction(() => "harness" in globalThis);
		const files = (await readdir(folder)).map((name) => join(folder, name));
		await page.locator("input").setInputFiles(files);
		await page.evaluate(() => harness.open());
		const alone: number[] = [];
		for (const span of spans) {
			const times = await page.evaluate(
				([span, memoryBytes, prompt, tokens]) => harness.decodeMs(span, memoryBytes, prompt, tokens),
				[span, memoryBytes, prompt, tokens] as const,
			);
			alone.push(median(times.slice(warm)));
		}
		return alone;
	} finally {
		await page.close();
		await server.close();
	}
}
