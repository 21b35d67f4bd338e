import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { chromiumPath } from "../../e2e/setup/ensureChromium.ts";

/** Chromium as the tests run it: headless, no traffic of its own, loopback addresses visible to WebRTC. */
export async function launchBrowser(...args: string[]): Promise<Browser> {
	return chromium.launch({
		executablePath: chromiumPath(),
		args: [
			"--no-sandbox",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-quic",
			"--disable-features=WebRtcHideLocalIpsWithMdns",
			// Every tab of a ring is a background tab to all others; on three devices none would be.
			"--disable-background-timer-throttling",
			"--disable-backgrounding-occluded-windows",
			"--disable-renderer-backgrounding",
			...args,
		],
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
