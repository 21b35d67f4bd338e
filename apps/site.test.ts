import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Relay, startRelay } from "@tabmesh/relay";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBrowser } from "../e2e/setup/openBrowser.ts";

/** Building takes ten seconds on two idle cores, several times that beside other tests. */
const buildMs = 180_000;

describe("the built site, as a relay without models serves it", () => {
	let folder: string;
	let relay: Relay;
	let browser: Browser;
	let axe: string;

	beforeAll(async () => {
		folder = await mkdtemp(join(tmpdir(), "tabmesh-site-"));
		await build({
			configFile: fileURLToPath(new URL("../vite.config.ts", import.meta.url)),
			build: { outDir: folder },
			logLevel: "error",
		});
		[relay, browser, axe] = await Promise.all([
			startRelay({ port: 0, siteDir: folder, site: () => ({ room: "public", models: [], minStages: 1 }) }),
			openBrowser(),
			readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8"),
		]);
	}, buildMs);
	afterAll(async () => {
		await browser?.close();
		await relay?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	/** A page, and everything that its console and its policy complained about. */
	async function visit(
		path: string,
	): Promise<{ page: Page; complaints: string[]; bytes: () => Promise<number> }> {
		const page = await browser.newPage();
		const complaints: string[] = [];
		const sizes: Promise<number>[] = [];
		page.on("pageerror", (error) => complaints.push(error.message));
		page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
		page.on("requestfinished", (request) =>
			sizes.push(request.sizes().then((size) => size.responseBodySize)),
		);
		await page.goto(`${relay.url}${path}`, { waitUntil: "networkidle" });
		return {
			page,
			complaints,
			bytes: async () => (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0),
		};
	}

	it.each(["/", "/lend", "/chat", "/storage"])(
		"%s works under the site's own policy, isolated, named, and readable to everybody",
		async (path) => {
			const { page, complaints } = await visit(path);
			await page.getByRole("heading", { level: 1 }).first().waitFor();
			await page.evaluate(axe);
			for (const colorScheme of ["light", "dark"] as const) {
				await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
				const violations = await page.evaluate(async () => {
					const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
					return (await axe.run()).violations.map(
						({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
					);
				});
				expect(violations, colorScheme).toEqual([]);
			}
			const facts = await page.evaluate(() => ({
				isolated: crossOriginIsolated,
				title: document.title,
				description: document.querySelector<HTMLMetaElement>("meta[name=description]")?.content,
			}));
			expect(facts).toEqual({
				isolated: true,
				title: expect.stringContaining("Tabmesh"),
				description: expect.stringMatching(/\w{3}/),
			});
			expect(complaints).toEqual([]);
			await page.close();
		},
	);

	it("loads no more than 300 KB before Join, nothing of the network among it", async () => {
		const { page, bytes } = await visit("/lend");
		await page.getByRole("button", { name: /^Join/ }).waitFor();
		const loaded = await bytes();
		console.log(`/lend before Join: ${(loaded / 1000).toFixed(1)} KB`);
		expect(loaded).toBeGreaterThan(1000);
		expect(loaded).toBeLessThanOrEqual(300_000);
		const scripts = await page.evaluate(() =>
			performance.getEntriesByType("resource").map(({ name }) => name),
		);
		expect(scripts.filter((name) => /client|inference|worker|wasm|tabmesh\.json/.test(name))).toEqual([]);
		await page.close();
	});

	it("shows what the device keeps without reaching for any network", async () => {
		const page = await browser.newPage();
		let sockets = 0;
		page.on("websocket", () => sockets++);
		await page.goto(`${relay.url}/storage`, { waitUntil: "networkidle" });
		await page.getByRole("heading", { name: "Nothing is kept yet" }).waitFor();
		const resources = await page.evaluate(() =>
			performance.getEntriesByType("resource").map(({ name }) => name),
		);
		expect(resources.filter((name) => /transport|client|inference|wasm|tabmesh\.json/.test(name))).toEqual(
			[],
		);
		expect(sockets).toBe(0);
		await page.close();
	});

	it("tells an asker that the network has no model", async () => {
		const { page } = await visit("/chat");
		await page.getByRole("heading", { name: "No model here yet" }).waitFor();
		await page.close();
	});
});
