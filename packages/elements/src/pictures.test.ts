import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
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
const screens = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

async function violations(): Promise<string[]> {
	const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
	return (await axe.run()).violations.map(
		({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
	);
}

/** `npm run test:large`, or `TABMESH_LARGE=1 npx vitest run packages/elements/src/pictures.test.ts [-t STATE]`. */
describe.runIf(process.env.TABMESH_LARGE === "1").each(Object.entries(screens))(
	"on a %s",
	(screen, viewport) => {
		let axe: string;
		beforeAll(async () => {
			await Promise.all(Object.values(folders).map((folder) => mkdir(folder, { recursive: true })));
			axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
		});

		describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
			let gallery: OpenGallery;
			beforeAll(async () => {
				gallery = await openGallery({ viewport, colorScheme });
			});
			afterAll(() => gallery.close());

			it.each(Object.keys(states))(
				"%s is no wider than the screen, has no axe violation, and is drawn",
				async (state) => {
					const page = await gallery.show(state);
					expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
						viewport.width,
					);
					await page.evaluate(axe);
					expect(await page.evaluate(violations)).toEqual([]);
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
					await page.close();
				},
			);
		});
	},
);
