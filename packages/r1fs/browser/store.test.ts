import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { storePromises } from "../src/blockStore.conformance.ts";
import type { R1fsHarness } from "./harness.page.ts";
import { openBrowser, openPage } from "./openBrowser.ts";
import { servePage } from "./servePage.ts";

declare const harness: R1fsHarness;

// Enough to notice a store that breaks; TABMESH_KILLS=50 for the whole of it.
const kills = Number(process.env.TABMESH_KILLS ?? 5);

describe("in Chromium", () => {
	let served: Awaited<ReturnType<typeof servePage>>;
	let browser: Browser;
	beforeAll(async () => {
		[served, browser] = await Promise.all([servePage(), openBrowser()]);
	});
	afterAll(async () => {
		await browser?.close();
		await served?.close();
	});

	test("a block store on IndexedDB keeps the promises of every block store", async () => {
		const context = await browser.newContext();
		const page = await openPage(context, served.url);
		for (const { title } of storePromises({ lasting: true })) {
			expect(await page.evaluate((name) => harness.hold(name), title), title).toBeUndefined();
		}
		await context.close();
	});

	test(
		`a tab killed at ${kills} moments while writing: the store opens every time, and no acknowledged file is lost`,
		async () => {
			const context = await browser.newContext();
			const acknowledged: string[] = [];
			await context.exposeFunction("acknowledged", (cid: string) => void acknowledged.push(cid));
			for (let kill = 0; kill < kills; kill++) {
				const page = await openPage(context, served.url);
				const before = acknowledged.length;
				page.evaluate((seed) => harness.addUntilKilled(seed), kill + 1).catch(() => {});
				while (acknowledged.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
				// Spread over what adding one file takes, the same at every run.
				await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 101));
				const session = await context.newCDPSession(page);
				// The renderer's process is gone at once, as when the system kills it.
				const crashed = new Promise((resolve) => page.once("crash", resolve));
				session.send("Page.crash").catch(() => {});
				await crashed;
				await page.close();
			}
			const page = await openPage(context, served.url);
			const { lost, usedBytes, storedBytes } = await page.evaluate(
				(cids) => harness.lost(cids),
				acknowledged,
			);
			expect(lost).toEqual([]);
			expect(acknowledged.length).toBeGreaterThanOrEqual(kills);
			expect(usedBytes).toBeGreaterThanOrEqual(storedBytes);
			await context.close();
		},
		20_000 + kills * 8_000,
	);
});
