import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenGallery, openGallery } from "../gallery/openGallery.ts";
import { states } from "../gallery/states.ts";

/** What the README and the docs show; all others lie in `test-results`, to be looked at. */
const shown = [
	"lend-before",
	"lend-fetching",
	"lend-serving",
	"chat-missing",
	"chat-stages-compiling",
	"chat-answered",
	"chat-peer-lost",
	"chat-private-answered",
	"wallet-embedded",
	"storage-kept",
	"console-peer",
	"console-many",
];
const folders = {
	shown: fileURLToPath(new URL("../../../docs/pictures", import.meta.url)),
	others: fileURLToPath(new URL("../../../test-results/pictures", import.meta.url)),
};
const screens = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

async function violations(): Promise<string[]> {
	const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
	return (await axe.run()).violations.map(
		({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
	);
}

const large = process.env.TABMESH_LARGE === "1";
/** 400 pictures take ten minutes: `npm test` looks at the states that are shown, `npm run test:large` at all, on desks, too, and draws them. */
const looks = large
	? Object.keys(screens).flatMap((screen) => [`${screen} light`, `${screen} dark`])
	: ["phone light", "phone dark"];

describe.each(looks)("on a %s", (look) => {
	const [screen, colorScheme] = look.split(" ") as [keyof typeof screens, "light" | "dark"];
	const viewport = screens[screen];
	let axe: string;
	let gallery: OpenGallery;
	let page: Page | undefined;
	beforeAll(async () => {
		await Promise.all(Object.values(folders).map((folder) => mkdir(folder, { recursive: true })));
		axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
		gallery = await openGallery({ viewport, colorScheme });
	});
	afterAll(() => gallery.close());

	it.each(large ? Object.keys(states) : shown)(
		"%s is no wider than the screen and has no axe violation",
		async (state) => {
			page = await gallery.show(state, page);
			expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
				viewport.width,
			);
			await page.evaluate(axe);
			expect(await page.evaluate(violations)).toEqual([]);
			expect(gallery.complaints).toEqual([]);
			if (!large) return;
			// A sticky composer belongs at the foot of a long picture, not across its middle.
			const height = await page.evaluate(() => document.documentElement.scrollHeight);
			if (screen === "phone")
				await page.setViewportSize({ ...viewport, height: Math.max(viewport.height, height) });
			await page.screenshot({
				path: join(
					shown.includes(state) ? folders.shown : folders.others,
					`${state}.${screen}.${colorScheme}.png`,
				),
				fullPage: true,
			});
			await page.setViewportSize(viewport);
		},
	);
});
