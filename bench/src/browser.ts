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

/** What is chosen on the page before Join is pressed. */
export interface JoinOptions {
	backend?: "wasm" | "webgpu";
	threads?: number;
	/** Rounded down to what the slider offers. */
	memoryBytes?: number;
}

/** Opens `/lend` in a new tab and presses Join. */
export async function joinTab(
	context: BrowserContext,
	url: string,
	options: JoinOptions = {},
): Promise<Page> {
	const page = await context.newPage();
	await page.goto(`${url}/lend`);
	await pressJoin(page, options);
	return page;
}

/** Presses Join on a page that shows `/lend`. */
export async function pressJoin(
	page: Page,
	{ backend, threads, memoryBytes }: JoinOptions = {},
): Promise<void> {
	if (memoryBytes !== undefined) {
		const slider = page.locator("#memory");
		const most = Number(await slider.getAttribute("max"));
		await slider.fill(String(Math.min(most, memoryBytes)));
	}
	if (backend !== undefined || threads !== undefined) {
		await page.getByText("Details", { exact: true }).click();
		if (backend !== undefined) await page.getByLabel("Computes on").selectOption(backend);
		if (threads !== undefined) await page.getByLabel("Threads").fill(String(threads));
	}
	await page.getByRole("button", { name: /^Join/ }).click();
}

/** Waits until the tab holds its layers and takes streams. */
export async function untilServing(page: Page): Promise<void> {
	await page.getByRole("heading", { name: "Serving" }).waitFor({ timeout: 300_000 });
}
