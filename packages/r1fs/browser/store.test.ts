import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seeded } from "../../../e2e/lab/seeded.ts";
import { denyStorage, killTabs, openBrowser, openPage } from "../../../e2e/setup/openBrowser.ts";
import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";
import { storePromises } from "../src/blockStore.conformance.ts";
import type { R1fsHarness } from "./harness.page.ts";

declare const harness: R1fsHarness;

// Enough to notice a store that breaks; `npm run test:large` kills fifty times.
const kills = process.env.TABMESH_LARGE === "1" ? 50 : 3;
/** What adding a file of some MiB takes: a tab dies anywhere within. */
const spreadMs = 120;

describe("in Chromium", () => {
	let served: ServedPage;
	let browser: Browser;
	beforeAll(async () => {
		[served, browser] = await Promise.all([servePage(new URL(".", import.meta.url)), openBrowser()]);
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

	test("a page that may keep nothing has its files in memory, and says so", async () => {
		const context = await browser.newContext();
		await denyStorage(context);
		const page = await openPage(context, served.url);
		const { read, degraded } = await page.evaluate(() => harness.keepInMemory());
		expect(read).toBe("read again");
		expect(degraded).toMatchObject({
			reason: "denied",
			message: expect.stringMatching(/^Nothing can be kept/),
		});
		await context.close();
	});

	test(
		`a tab killed at ${kills} random moments while writing: the store opens every time, and no acknowledged block or file is lost`,
		async () => {
			const context = await browser.newContext();
			const random = seeded(20_261_121);
			const blocks: string[] = [];
			const files: string[] = [];
			await context.exposeFunction("acknowledged", (kind: "block" | "file", cid: string) => {
				(kind === "block" ? blocks : files).push(cid);
			});
			let checked = { blocks: 0, files: 0 };
			for (let kill = 0; kill < kills; kill++) {
				const page = await openPage(context, served.url);
				const writing = page.evaluate((seed) => harness.addUntilKilled(seed), kill + 1);
				const opened = new Promise<void>((resolve, reject) => {
					writing.catch((error) => (page.isClosed() ? undefined : reject(error)));
					const before = blocks.length;
					const look = (): void => {
						if (blocks.length > before) resolve();
						else setTimeout(look, 2);
					};
					look();
				});
				await opened;
				await new Promise((resolve) => setTimeout(resolve, random() * spreadMs));
				await killTabs(context);
				await page.close();
				const next = await openPage(context, served.url);
				const { lost, usedBytes, storedBytes } = await next.evaluate(
					([blocks, files]) => harness.lost(blocks, files),
					[blocks.slice(checked.blocks), files.slice(checked.files)] as const,
				);
				expect(lost, `after kill ${kill + 1}`).toEqual([]);
				expect(usedBytes).toBeGreaterThanOrEqual(storedBytes);
				checked = { blocks: blocks.length, files: files.length };
				await next.close();
			}
			const page = await openPage(context, served.url);
			// All of them once more: a later kill must not have taken what an earlier one left.
			const { lost } = await page.evaluate(([blocks, files]) => harness.lost(blocks, files), [
				blocks,
				files,
			] as const);
			expect(lost).toEqual([]);
			expect(blocks.length).toBeGreaterThanOrEqual(kills);
			if (kills >= 50) console.log(`${kills} kills, ${blocks.length} blocks, ${files.length} files, 0 lost`);
			await context.close();
		},
		60_000 + kills * 15_000,
	);
});
