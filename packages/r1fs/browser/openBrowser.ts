import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type LaunchOptions, type Page } from "playwright-core";
import type { R1fsHarness } from "./harness.page.ts";

/** Where distributions put Chromium. */
const wellKnown = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

declare const harness: R1fsHarness;

function options(): LaunchOptions {
	const executablePath = [process.env.TABMESH_CHROMIUM, ...wellKnown, chromium.executablePath()].find(
		(path) => path && existsSync(path),
	);
	return {
		...(executablePath ? { executablePath } : {}),
		args: [
			"--no-sandbox",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-quic",
			"--disable-features=WebRtcHideLocalIpsWithMdns",
			"--js-flags=--expose-gc",
		],
	};
}

/** Chromium, headless, its WebRTC showing loopback addresses. Its contexts are private windows, with the little storage of one. */
export function openBrowser(): Promise<Browser> {
	return chromium.launch(options());
}

/** Chromium with a profile in `folder`, which keeps as much as the disk gives. */
export function openProfile(folder: string): Promise<BrowserContext> {
	return chromium.launchPersistentContext(folder, options());
}

/** A page of the harness; pages of one context share their storage. */
export async function openPage(context: BrowserContext, url: string): Promise<Page> {
	const page = await context.newPage();
	page.on("pageerror", (error) => console.error(error));
	await page.goto(url);
	await page.waitForFunction(() => typeof harness !== "undefined");
	return page;
}
