import type { BrowserContextOptions, Page } from "playwright-core";
import { openBrowser } from "../../../e2e/setup/openBrowser.ts";
import { serveGallery } from "./serve.ts";

/** The gallery in a real browser. */
export interface OpenGallery {
	/** The state, drawn and at rest, in `page` or in a new one. */
	show(state: string, page?: Page): Promise<Page>;
	/** What went wrong in any page so far: errors, and whatever the Content-Security-Policy refused. */
	readonly complaints: readonly string[];
	close(): Promise<void>;
}

/** @param options - the screen of all its pages */
export async function openGallery(options: BrowserContextOptions = {}): Promise<OpenGallery> {
	const [served, browser] = await Promise.all([serveGallery(), openBrowser()]);
	// One context, not one for each page: they share what the browser has fetched and compiled.
	const context = await browser.newContext({
		viewport: { width: 1280, height: 800 },
		reducedMotion: "reduce",
		...options,
	});
	const complaints: string[] = [];
	context.on("weberror", (error) => complaints.push(`${error.page()?.url()}: ${error.error().message}`));
	context.on("console", (message) => {
		if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico"))
			complaints.push(`${message.page()?.url()}: ${message.text()}`);
	});
	return {
		complaints,
		async show(state, shown) {
			const page = shown ?? (await context.newPage());
			await page.goto(`${served.url}?state=${state}`);
			await page.waitForFunction(() => window.gallery?.ready);
			return page;
		},
		async close() {
			await browser.close();
			await served.close();
		},
	};
}
