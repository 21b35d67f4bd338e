import type { BrowserContextOptions, Page } from "playwright-core";
import { launchChromium } from "./browser.ts";
import { serveGallery } from "./serve.ts";

/** The gallery in a real browser, one fresh page for each state. */
export interface OpenGallery {
	/** The state, drawn and at rest. */
	show(state: string, options?: BrowserContextOptions): Promise<Page>;
	/** What went wrong in any page so far: errors, and whatever the Content-Security-Policy refused. */
	readonly complaints: readonly string[];
	close(): Promise<void>;
}

export async function openGallery(): Promise<OpenGallery> {
	const [{ server, address }, browser] = await Promise.all([serveGallery(), launchChromium()]);
	const complaints: string[] = [];
	return {
		complaints,
		async show(state, options = {}) {
			const page = await browser.newPage({
				viewport: { width: 1280, height: 800 },
				reducedMotion: "reduce",
				...options,
			});
			page.on("pageerror", (error) => complaints.push(`${state}: ${error.message}`));
			page.on("console", (message) => {
				if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico"))
					complaints.push(`${state}: ${message.text()}`);
			});
			await page.goto(`${address}?state=${state}`);
			await page.waitForFunction(() => window.gallery?.ready);
			return page;
		},
		async close() {
			await browser.close();
			await server.close();
		},
	};
}
