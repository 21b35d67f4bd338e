import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openBrowser } from "../../../e2e/setup/openBrowser.ts";
import { serveGallery } from "./serve.ts";

/** What the README and the docs show; the rest is drawn by `--all`. */
const shown = [
	"lend-before",
	"lend-fetching",
	"lend-serving",
	"chat-missing",
	"chat-stages-compiling",
	"chat-answered",
	"chat-markdown",
	"chat-list",
	"chat-settings",
	"chat-peer-lost",
	"chat-private-answered",
	"wallet-embedded",
	"storage-kept",
	"console-peer",
	"console-many",
];

/**
 * `npm run pictures -w @tabmesh/elements -- [--out FOLDER] [--all | STATE…]`: draws states on a desk and on a phone,
 * by day and by night, into docs/pictures.
 */
const args = process.argv.slice(2);
const outAt = args.indexOf("--out");
const out =
	outAt < 0 ? fileURLToPath(new URL("../../../docs/pictures", import.meta.url)) : args.splice(outAt, 2)[1]!;
const all = args.includes("--all");
const wanted = args.length > 0 ? args : shown;
const screens = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

await mkdir(out, { recursive: true });
const served = await serveGallery();
const browser = await openBrowser();
try {
	for (const [screen, viewport] of Object.entries(screens))
		for (const colorScheme of ["light", "dark"] as const) {
			const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
			const page = await context.newPage();
			page.on("pageerror", (error) => console.error(screen, error));
			await page.goto(served.url);
			const names = await page.locator("#stage a").allTextContents();
			for (const name of names.filter((each) => all || wanted.includes(each))) {
				await page.goto(`${served.url}?state=${name}`);
				await page.waitForFunction(() => window.gallery?.ready);
				// Nothing may be wider than the screen.
				const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				if (wide > 0) console.error(`${name} on ${screen} is ${wide} px too wide`);
				// A sticky composer belongs at the foot of a long picture, not across its middle.
				const height = await page.evaluate(() => document.documentElement.scrollHeight);
				if (screen === "phone" || height > 1.5 * viewport.height)
					await page.setViewportSize({ ...viewport, height: Math.max(viewport.height, height) });
				await page.screenshot({ path: `${out}/${name}.${screen}.${colorScheme}.png`, fullPage: true });
				await page.setViewportSize(viewport);
			}
			await context.close();
		}
} finally {
	await browser.close();
	await served.close();
}
