import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { chromiumFlags } from "../../e2e/setup/chromiumFlags.ts";
import { chromiumPath } from "../../e2e/setup/ensureChromium.ts";

/** Chromium as the tests run it: headless, no traffic of its own, loopback addresses visible to WebRTC. */
export async function launchBrowser(...args: string[]): Promise<Browser> {
	return chromium.launch({
		executablePath: chromiumPath(),
		args: [...chromiumFlags, ...args],
	});
}

/** Opens `/lend` in a new tab and presses Join. */
export async function joinTab(context: BrowserContext, url: string): Promise<Page> {
	const page = await context.newPage();
	await page.goto(`${url}/lend`);
	await page.getByRole("button", { name: /^Join/ }).click();
	return page;
}

/** Waits until the tab holds its layers and takes streams. */
export async function untilServing(page: Page): Promise<void> {
	await page.getByRole("heading", { name: "Serving" }).waitFor({ timeout: 300_000 });
}
