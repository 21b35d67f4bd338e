import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { AxeResults, RunOptions } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenGallery, openGallery } from "../gallery/openGallery.ts";
import { states } from "../gallery/states.ts";

/** What another colour scheme can change. */
const ofColours: RunOptions = { runOnly: ["color-contrast", "link-in-text-block"] };

/** What axe, which is in the page, finds there. */
async function violations(options: RunOptions): Promise<string[]> {
	const { axe } = window as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } };
	const results = await axe.run({ ...options, resultTypes: ["violations"] });
	return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

describe("every state of every panel", () => {
	let gallery: OpenGallery;
	let axe: string;
	let page: Page | undefined;
	beforeAll(async () => {
		[gallery, axe] = await Promise.all([
			openGallery({ viewport: { width: 360, height: 740 } }),
			readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8"),
		]);
	});
	afterAll(() => gallery.close());

	it.each(Object.keys(states))(
		"%s has no axe violation by day or night, and fits a phone of 360 px",
		async (state) => {
			page = await gallery.show(state, page);
			await page.evaluate(axe);
			for (const colorScheme of ["light", "dark"] as const) {
				await page.emulateMedia({ colorScheme });
				expect(await page.evaluate(violations, colorScheme === "dark" ? ofColours : {}), colorScheme).toEqual(
					[],
				);
			}
			expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
			expect(gallery.complaints).toEqual([]);
		},
	);
});
