import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seeded } from "../../../e2e/lab/seeded.ts";
import { denyStorage, killTabs, openBrowser, openPage } from "../../../e2e/setup/openBrowser.ts";
import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";
import type { CstoreHarness } from "./harness.page.ts";

declare const harness: CstoreHarness;

// Enough to notice a store that breaks; `npm run test:large` kills fifty times.
const kills = process.env.TABMESH_LARGE === "1" ? 50 : 3;
/** What a few writes of ten records take. */
const spreadMs = 60;

describe("in Chromium, records in IndexedDB", () => {
	let served: ServedPage;
	let browser: Browser;
	beforeAll(async () => {
		[served, browser] = await Promise.all([servePage(new URL(".", import.meta.url)), openBrowser()]);
	});
	afterAll(async () => {
		await browser?.close();
		await served?.close();
	});

	test("are there after a restart, each room's apart, and gone when removed", async () => {
		const context = await browser.newContext();
		const page = await openPage(context, served.url);
		expect(await page.evaluate(() => harness.open())).toBeUndefined();
		await page.evaluate(async () => {
			await harness.apply("a", [1, 2, 7], []);
			await harness.apply("b", [3], []);
			await harness.apply("a", [4], [1]);
		});
		await page.reload();
		await page.waitForFunction(() => "harness" in globalThis);
		await page.evaluate(() => harness.open());
		expect(await page.evaluate(() => harness.load("a"))).toEqual([2, 4, 7]);
		expect(await page.evaluate(() => harness.load("b"))).toEqual([3]);
		await context.close();
	});

	test("are the same for two tabs that write at once", async () => {
		const context = await browser.newContext();
		const tabs = [await openPage(context, served.url), await openPage(context, served.url)];
		for (const tab of tabs) expect(await tab.evaluate(() => harness.open())).toBeUndefined();
		await Promise.all(
			tabs.map((tab, i) =>
				tab.evaluate(async (first) => {
					// Each takes away what the other has just written, and both write the same now and then.
					for (let n = 0; n < 40; n++)
						await harness.apply("shared", [n * 2 + first, 1000 + n], [n * 2 - 1 + first]);
				}, i),
			),
		);
		const [one, two] = await Promise.all(tabs.map((tab) => tab.evaluate(() => harness.load("shared"))));
		expect(one).toEqual(two);
		expect(one!.filter((n) => n >= 1000)).toEqual(Array.from({ length: 40 }, (_, n) => 1000 + n));
		await context.close();
	});

	test(
		`outlive a tab that is killed at ${kills} random moments while writing: every write is there as a whole or not at all`,
		async () => {
			const context = await browser.newContext();
			const random = seeded(4_711);
			let last = 0;
			await context.exposeFunction("acknowledged", (n: string) => {
				last = Number(n);
			});
			for (let kill = 0; kill < kills; kill++) {
				const page = await openPage(context, served.url);
				expect(await page.evaluate(() => harness.open()), `opening ${kill + 1}`).toBeUndefined();
				const from = last + 20;
				await page.evaluate(
					(last) =>
						harness.apply(
							"killed",
							[],
							Array.from({ length: 40 }, (_, i) => last - 10 + i),
						),
					last,
				);
				let failed: unknown;
				page
					.evaluate((from) => harness.replaceUntilKilled(from), from)
					.catch((error) => {
						failed = error;
					});
				while (last < from) {
					if (failed) throw failed;
					await new Promise((resolve) => setTimeout(resolve, 2));
				}
				await new Promise((resolve) => setTimeout(resolve, random() * spreadMs));
				await killTabs(context);
				await page.close();
				const next = await openPage(context, served.url);
				expect(await next.evaluate(() => harness.open())).toBeUndefined();
				const kept = await next.evaluate(() => harness.load("killed"));
				// Ten records of one write: the last that was acknowledged, or the one after it.
				expect(kept).toHaveLength(10);
				expect(kept[9]! - kept[0]!).toBe(9);
				expect(kept[0]!).toBeGreaterThanOrEqual(last);
				last = kept[0]!;
				await next.close();
			}
			await context.close();
		},
		60_000 + kills * 15_000,
	);

	test("are refused politely where the browser keeps nothing for a site: the page goes on, and says why", async () => {
		const context = await browser.newContext();
		await denyStorage(context);
		const page = await openPage(context, served.url);
		expect(await page.evaluate(() => harness.open())).toMatch(
			/keeps nothing for this site \(SecurityError\)/,
		);
		await page.evaluate(() => harness.apply("a", [1], []));
		expect(await page.evaluate(() => harness.load("a"))).toEqual([]);
		await context.close();
	});
});
