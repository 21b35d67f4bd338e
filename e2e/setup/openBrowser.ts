import { type Browser, type BrowserContext, chromium, type LaunchOptions, type Page } from "playwright-core";
import { chromiumFlags } from "./chromiumFlags.ts";
import { chromiumPath } from "./ensureChromium.ts";

function options(flags: readonly string[] = []): LaunchOptions {
	return { executablePath: chromiumPath(), args: [...chromiumFlags, "--js-flags=--expose-gc", ...flags] };
}

/** Chromium, headless. Its contexts are private windows, with the little storage of one. */
export function openBrowser(...flags: readonly string[]): Promise<Browser> {
	return chromium.launch(options(flags));
}

/** Chromium with a profile in `folder`, which keeps as much as the disk gives. */
export function openProfile(folder: string): Promise<BrowserContext> {
	return chromium.launchPersistentContext(folder, options());
}

/** A page that puts a `harness` into its global scope, once it has; pages of one context share their storage. */
export async function openPage(context: Browser | BrowserContext, url: string): Promise<Page> {
	const page = await context.newPage();
	page.on("pageerror", (error) => console.error(error));
	await page.goto(url);
	await page.waitForFunction(() => "harness" in globalThis);
	return page;
}

/** Pages of this context may keep nothing: a sandboxed document has no origin, and is denied what belongs to one. */
export async function denyStorage(context: BrowserContext): Promise<void> {
	await context.route("**/*", async (route) => {
		const response = await route.fetch();
		await route.fulfill({
			response,
			headers: {
				...response.headers(),
				"content-security-policy": "sandbox allow-scripts",
				"access-control-allow-origin": "*",
			},
		});
	});
}

/** Ends the processes of all tabs at once, as the system does when it needs their memory; returns when the browser knows that they are gone. */
export async function killTabs(context: BrowserContext): Promise<void> {
	const crashes = context.pages().map((page) => new Promise((resolve) => page.once("crash", resolve)));
	const session = await context.browser()!.newBrowserCDPSession();
	const renderers = async (): Promise<number[]> => {
		const { processInfo } = await session.send("SystemInfo.getProcessInfo");
		return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
	};
	const killed = await renderers();
	for (const id of killed) process.kill(id, "SIGKILL");
	await Promise.all(crashes);
	// Among them are processes that wait for a next page: that must not be given a dead one.
	while ((await renderers()).some((id) => killed.includes(id))) {
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	await session.detach();
}
