import { expect, test } from "@playwright/test";
import type { Browser, Page } from "puppeteer-core";
import { startNetwork, tabmesh, withSeededModel } from "./network.ts";
import { firefoxPath } from "./setup/ensureFirefox.ts";
import { openFirefox } from "./setup/openFirefox.ts";
import { askTokens, joinTab, openChat, untilServing } from "./tabs.ts";

const request = { promptTokens: [1, 300, 301, 302], maxTokens: 24, temperature: 0 };

/** Opens `/lend` in Firefox and presses *Join*; the page is the same as in Chromium, only its driver is another. */
async function lendInFirefox(firefox: Browser, url: string): Promise<Page> {
	const page = await firefox.newPage();
	// As patient as the other browser's driver is.
	page.setDefaultTimeout(60_000);
	await page.goto(`${url}/lend`);
	await page.waitForFunction(() => {
		const buttons = document.querySelector("tabmesh-lend")?.shadowRoot?.querySelectorAll("button") ?? [];
		const join = [...buttons].find(
			({ textContent, disabled }) => /^\s*Join/.test(textContent ?? "") && !disabled,
		);
		join?.click();
		return join !== undefined;
	});
	await page.waitForFunction(() => {
		const headings = document.querySelector("tabmesh-lend")?.shadowRoot?.querySelectorAll("h1, h2, h3") ?? [];
		return [...headings].some(({ textContent }) => textContent?.trim() === "Serving");
	});
	return page;
}

test("Chromium, Firefox and a headless peer write in one ring what one process writes", async ({
	browser,
}) => {
	const executablePath = firefoxPath();
	test.skip(
		executablePath === undefined,
		"No Firefox was found: install firefox-esr or name one in TABMESH_FIREFOX.",
	);
	await withSeededModel({ layers: 6 }, async (model) => {
		const ask = "ask --prompt-tokens 1,300,301,302 --max-tokens 24 --json --relay".split(" ");
		const one = await startNetwork("--model", model, "--lenders", "1", "--memory", "200MB");
		const alone = JSON.parse((await tabmesh(...ask, one.url)).stdout);
		await one.stop();
		expect(alone.peers).toHaveLength(1);

		const args = ["--min-stages", "3", "--lenders", "1", "--memory", "200MB"];
		const network = await startNetwork("--model", model, ...args);
		const firefox = await openFirefox(executablePath!);
		try {
			const chromium = await joinTab(await browser.newContext(), network.url);
			await Promise.all([untilServing(chromium), lendInFirefox(firefox, network.url)]);
			const chat = await openChat(browser, network.url);
			const answer = await askTokens(chat, { ...request, minStages: 3 });
			expect(new Set(answer.peers).size).toBe(3);
			expect(answer.tokens).toEqual(alone.tokens);
			expect(answer.tokens.length).toBeGreaterThan(0);
		} finally {
			await firefox.close();
			await network.stop();
		}
	});
});
