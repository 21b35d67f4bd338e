import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenGallery, openGallery } from "../gallery/openGallery.ts";
import { states } from "../gallery/states.ts";

describe("every state of every panel", () => {
	let gallery: OpenGallery;
	let axe: string;
	beforeAll(async () => {
		[gallery, axe] = await Promise.all([
			openGallery(),
			readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8"),
		]);
	});
	afterAll(() => gallery.close());

	it.each(Object.keys(states))(
		"%s has no axe violation by day or night, and fits a phone of 360 px",
		async (state) => {
			const page = await gallery.show(state, { viewport: { width: 360, height: 740 } });
			await page.evaluate(axe);
			for (const colorScheme of ["light", "dark"] as const) {
				await page.emulateMedia({ colorScheme });
				const violations = await page.evaluate(async () => {
					const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
					const results = await axe.run();
					return results.violations.map(
						({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
					);
				});
				expect(violations, colorScheme).toEqual([]);
			}
			expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
			expect(gallery.complaints).toEqual([]);
			await page.close();
		},
	);
});
