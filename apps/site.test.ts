import { createHash } from "node:crypto";
import { appendFile, cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { buildSite } from "@tabmesh/cli";
import { type Relay, startRelay } from "@tabmesh/relay";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBrowser } from "../e2e/setup/openBrowser.ts";

/** Building, where nobody has, takes ten seconds on two idle cores, several times that beside other tests. */
const buildMs = 180_000;

describe("the built site, as a relay without models serves it", () => {
	let folder: string;
	let relay: Relay;
	let browser: Browser;
	let axe: string;

	beforeAll(async () => {
		// A copy: a test puts a new version there.
		folder = await mkdtemp(join(tmpdir(), "tabmesh-site-"));
		await cp(await buildSite(), folder, { recursive: true });
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

	it("speaks German to whoever reads German, every word of its pages, and English on a click", async () => {
		// On the narrowest phone: German words are the longer ones.
		const viewport = { width: 360, height: 740 };
		const context = await browser.newContext({ locale: "de-AT", reducedMotion: "reduce", viewport });
		const page = await context.newPage();
		for (const path of ["/", "/lend", "/chat", "/storage", "/console", "/nowhere"]) {
			await page.goto(`${relay.url}${path}`);
			await page.getByRole("link", { name: "Leihen", exact: true }).waitFor();
			await page.getByText(/^(The|One|Ask|Lend|What|Your?|Nothing|Looking) /).waitFor({ state: "detached" });
			expect(await page.title()).toMatch(/Tabmesh$/);
			expect(await page.evaluate(untranslated), path).toEqual([]);
			expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(
				viewport.width,
			);
			await page.evaluate(axe);
			const violations = await page.evaluate(async () => {
				const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
				return (await axe.run()).violations.map(({ id }) => id);
			});
			expect(violations, path).toEqual([]);
		}
		await page.goto(`${relay.url}/lend`);
		await page.getByRole("heading", { name: "Leih diesen Tab einem Sprachmodell" }).waitFor();
		await page.getByRole("button", { name: "English" }).click();
		await page.getByRole("heading", { name: "Lend this tab to a language model" }).waitFor();
		expect(await page.title()).toBe("Lend · Tabmesh");
		await page.reload();
		await page.getByRole("heading", { name: "Lend this tab to a language model" }).waitFor();
		await context.close();
	});

	it.each(["/", "/lend", "/chat", "/storage", "/console", "/embed"])(
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

	/** A page in a browser without some of its globals. */
	async function visitWithout(
		path: string,
		...names: string[]
	): Promise<{ page: Page; complaints: string[] }> {
		const context = await browser.newContext();
		await context.addInitScript((names) => {
			for (const name of names) Object.defineProperty(window, name, { configurable: true, value: undefined });
		}, names);
		const page = await context.newPage();
		const complaints: string[] = [];
		page.on("pageerror", (error) => complaints.push(error.message));
		page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
		page.on("websocket", () => complaints.push("called somebody"));
		await page.goto(relay.url + path);
		return { page, complaints };
	}

	it.each([
		["/lend", "isSecureContext", "This page came over plain HTTP."],
		["/lend", "RTCPeerConnection", "WebRTC is missing or switched off"],
		["/lend", "WebAssembly", "WebAssembly is missing or switched off"],
		["/chat", "RTCPeerConnection", "WebRTC is missing or switched off"],
		["/console", "RTCPeerConnection", "WebRTC is missing or switched off"],
	])(
		"%s without %s says what is missing before anything is tried, and what works all the same",
		async (path, name, what) => {
			const { page, complaints } = await visitWithout(path, name);
			await page.getByRole("heading", { name: /^This browser cannot/ }).waitFor();
			await page.getByText(what).waitFor();
			expect(await page.getByRole("button", { name: /^Join|^Ask$/ }).count()).toBe(0);
			// Who can reach the network and cannot compute can ask.
			const asks = name === "WebAssembly";
			expect(await page.getByRole("link", { name: "Ask the swarm" }).count()).toBe(asks ? 1 : 0);
			expect(await page.getByRole("button", { name: "Make a wallet" }).count()).toBe(
				path === "/lend" && asks ? 1 : 0,
			);
			expect(complaints).toEqual([]);
			await page.context().close();
		},
	);

	it("asks without WebAssembly, without workers and without a store", async () => {
		const { page, complaints } = await visitWithout("/chat", "WebAssembly", "Worker", "indexedDB");
		await page.mouse.move(1, 1);
		await page.getByRole("heading", { name: "No model here yet" }).waitFor();
		expect(complaints).toEqual(["called somebody"]);
		await page.context().close();
	});

	it("tells a browser that cannot read its scripts how new it has to be", async () => {
		const page = await browser.newPage();
		await page.route("**/assets/*.js", (route) => route.abort());
		for (const path of ["/lend", "/chat", "/storage", "/console"]) {
			await page.goto(relay.url + path);
			await page.evaluate(() => {
				for (const animation of document.getAnimations()) animation.finish();
			});
			await page.getByText("this browser may be too old for it").waitFor();
		}
		await page.close();
	});

	it("gives other sites a script of no more than 15 KB, whose hash it says", async () => {
		const { version, ...scripts } = await (await fetch(`${relay.url}/embed.json`)).json();
		expect(version).toMatch(/^\d+\.\d+\.\d+$/);
		const guide = await (await fetch(`${relay.url}/embed`)).text();
		for (const [kind, { path, integrity }] of Object.entries<{ path: string; integrity: string }>(scripts)) {
			const code = Buffer.from(await (await fetch(relay.url + path)).arrayBuffer());
			expect(integrity).toBe(`sha384-${createHash("sha384").update(code).digest("base64")}`);
			if (kind === "module") expect(guide).toContain(integrity);
			const compressed = brotliCompressSync(code).byteLength;
			console.log(`${path}: ${(compressed / 1000).toFixed(1)} KB`);
			expect(compressed).toBeLessThanOrEqual(15_000);
			// All of it is covered by the hash: it fetches no code.
			expect(code.toString()).not.toMatch(/\bimport\s*\(|\bfrom\s*["'`]/);
		}
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

	it("draws the chat at once, and reaches for the network when somebody is there", async () => {
		const page = await browser.newPage();
		let sockets = 0;
		page.on("websocket", () => sockets++);
		await page.goto(`${relay.url}/chat`, { waitUntil: "networkidle" });
		await page.getByRole("textbox", { name: "Your message" }).waitFor();
		expect(sockets).toBe(0);
		await page.keyboard.press("Tab");
		await expect.poll(() => sockets).toBeGreaterThan(0);
		await page.close();
	});

	it("tells an asker that the network has no model", async () => {
		const { page } = await visit("/chat");
		await page.mouse.move(1, 1);
		await page.getByRole("heading", { name: "No model here yet" }).waitFor();
		await page.close();
	});

	it("can be installed: its manifest names pages and pictures that are there", async () => {
		const manifest = await (await fetch(`${relay.url}/manifest.webmanifest`)).json();
		expect(manifest).toMatchObject({ name: "Tabmesh", display: "standalone", start_url: "/lend" });
		expect(manifest.icons.map(({ purpose }: { purpose?: string }) => purpose)).toContain("maskable");
		const page = await browser.newPage();
		await page.goto(`${relay.url}/`);
		for (const { src, sizes } of [
			...manifest.icons,
			{ src: "/icons/apple-touch.png", sizes: "180x180" },
			{ src: "/icons/link.png", sizes: "1200x630" },
		]) {
			const size = await page.evaluate(async (src) => {
				const image = new Image();
				image.src = src;
				await image.decode();
				return `${image.naturalWidth}x${image.naturalHeight}`;
			}, src);
			if (sizes !== "any") expect(size, src).toBe(sizes);
		}
		for (const { url } of [{ url: manifest.start_url }, ...manifest.shortcuts]) {
			expect((await fetch(relay.url + url)).status, url).toBe(200);
		}
		await page.close();
	});

	it("says in its own words that nothing is at an address", async () => {
		const { page } = await visit("/lendd");
		await page.getByRole("heading", { name: "Nothing is here" }).waitFor();
		await page.getByRole("link", { name: "Lend this tab" }).click();
		await page.getByRole("button", { name: /^Join/ }).waitFor();
		await page.close();
	});

	it("opens without a network once it was visited, and takes a new version on a click only", async () => {
		const site = () => ({ room: "public", models: [], minStages: 1 });
		let origin = await startRelay({ port: 0, siteDir: folder, site });
		const { url } = origin;
		const context = await browser.newContext();
		const page = await context.newPage();
		await page.goto(`${url}/lend`);
		await page.waitForFunction(() => navigator.serviceWorker.controller !== null);

		await origin.stop();
		for (const path of ["/lend", "/chat", "/storage", "/console"]) {
			await page.goto(url + path);
			await page.getByRole("heading", { level: 1 }).first().waitFor();
			expect(await page.evaluate(() => crossOriginIsolated), path).toBe(true);
		}
		await page.goto(`${url}/lend`);
		await page.getByRole("button", { name: /^Join/ }).click();
		await page.getByText("Is this device online?").waitFor();

		origin = await startRelay({ port: Number(new URL(url).port), siteDir: folder, site });
		await page.goto(`${url}/lend`);
		await page.evaluate(() => Object.assign(window, { since: "before" }));
		for (const twin of [".br", ".gz"]) await rm(join(folder, `service-worker.js${twin}`));
		await appendFile(join(folder, "service-worker.js"), "\n// another build\n");
		await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
		const bar = page.getByRole("status").filter({ hasText: "A new version of Tabmesh is ready." });
		await bar.waitFor();
		expect(await page.evaluate(() => "since" in window)).toBe(true);
		await bar.getByRole("button", { name: "Reload now" }).click();
		await page.waitForFunction(() => !("since" in window));
		await page.getByRole("button", { name: /^Join/ }).waitFor();
		expect(await bar.count()).toBe(0);
		await context.close();
		await origin.stop();
	});
});

/** Of the words that a page's HTML marks, those that are as they were in English. Runs in the page. */
async function untranslated(): Promise<string[]> {
	const original = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
	const said = (root: Document): string[] =>
		[...root.querySelectorAll("[data-text]")].map((element) =>
			element.textContent.replace(/\s+/g, " ").trim(),
		);
	const now = said(document);
	return said(original).filter((text, place) => text === now[place] && text !== "Tabmesh");
}
