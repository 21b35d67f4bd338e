import { appendFile, cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium, expect, type Page, test } from "@playwright/test";
import type { Tabmesh } from "@tabmesh/client";
import puppeteer, { type Page as FreezablePage } from "puppeteer-core";
import { startNetwork, withSeededModel } from "./network.ts";
import { chromiumFlags } from "./setup/chromiumFlags.ts";
import { chromiumPath } from "./setup/ensureChromium.ts";
import { joinTab, openChat, untilServing } from "./tabs.ts";

/** Longer than a page that is seen may be without its timers. */
const asleepMs = 12_000;

/** Three seconds each. */
const reloads = process.env.TABMESH_LARGE === "1" ? 10 : 2;

declare global {
	/** The network as the asking page sees it, through the whole test. */
	var watched: Tabmesh;
}

async function watch(chat: Page): Promise<void> {
	await chat.locator("tabmesh-chat").evaluate(async (element) => {
		const { connect } = element as unknown as { connect(signal: AbortSignal): Promise<Tabmesh> };
		globalThis.watched = await connect(new AbortController().signal);
	});
}

const lenders = (chat: Page): Promise<number> =>
	chat.evaluate(() => globalThis.watched.members.filter(({ lends }) => lends).length);

/** The answer to the same question, as soon as somebody holds the model. */
const ask = (chat: Page): Promise<number[]> =>
	chat.evaluate(async () => {
		const mesh = globalThis.watched;
		while (!mesh.models[0]?.coverage.complete) await new Promise((resolve) => setTimeout(resolve, 50));
		const { tokens } = await mesh.generate({ promptTokens: [1, 300], maxTokens: 12, temperature: 0 }).summary;
		return [...tokens];
	});

/** What a lending page says of itself, in a browser that Playwright does not keep in front. */
const phaseIs = (page: FreezablePage, phase: string): Promise<unknown> =>
	page.waitForFunction(
		(phase) =>
			document.querySelector("tabmesh-lend")?.shadowRoot?.querySelector("#phase")?.textContent === phase,
		{},
		phase,
	);

test("a lending tab that the browser freezes has left at once, and serves again when it is resumed", async ({
	browser,
}) => {
	// Playwright's pages count as seen for ever, and what is seen is never frozen.
	const device = await puppeteer.launch({ executablePath: chromiumPath(), args: [...chromiumFlags] });
	try {
		await withSeededModel({}, async (model) => {
			const network = await startNetwork("--model", model);
			try {
				const chat = await openChat(browser, network.url);
				await watch(chat);
				const page = await device.newPage();
				await page.goto(`${network.url}/lend`);
				await page.locator(">>> [part=join]").click();
				await phaseIs(page, "Serving");
				const answer = await ask(chat);
				const session = await page.createCDPSession();
				await session.send("Page.setWebLifecycleState", { state: "frozen" });
				await expect.poll(() => lenders(chat)).toBe(0);
				await session.send("Page.setWebLifecycleState", { state: "active" });
				await phaseIs(page, "Serving");
				expect(await ask(chat)).toEqual(answer);
				const said = await page.evaluate(
					() => document.querySelector("tabmesh-lend")?.shadowRoot?.querySelector(".words")?.textContent,
				);
				expect(said).toContain("Back after the browser had stopped this page for");
			} finally {
				await network.stop();
			}
		});
	} finally {
		await device.close();
	}
});

test("a lending tab serves on, or has left and everybody knows it, after it was asleep, offline, updated and reloaded", async ({
	browser,
}) => {
	const site = await mkdtemp(join(tmpdir(), "tabmesh-lifecycle-"));
	// A copy: a new version is put there.
	await cp(fileURLToPath(new URL("../dist", import.meta.url)), site, { recursive: true });
	// A browser of its own: all of it is stopped, as a device that sleeps stops all of it.
	const device = await chromium.launchServer({ executablePath: chromiumPath(), args: [...chromiumFlags] });
	const group = -device.process().pid!;
	try {
		await withSeededModel({}, async (model) => {
			const network = await startNetwork("--model", model, "--site", site);
			try {
				const context = await (await chromium.connect(device.wsEndpoint())).newContext();
				const chat = await openChat(browser, network.url);
				await watch(chat);
				const page = await joinTab(context, network.url);
				await untilServing(page);
				const answer = await ask(chat);
				expect(answer.length).toBeGreaterThan(0);

				await test.step("asleep and awake, it serves", async () => {
					process.kill(group, "SIGSTOP");
					await sleep(asleepMs);
					process.kill(group, "SIGCONT");
					await expect(page.getByText("Back after this device slept for")).toBeVisible();
					await untilServing(page);
					expect(await ask(chat)).toEqual(answer);
				});

				await test.step("offline it says so, and online it serves", async () => {
					await context.setOffline(true);
					await expect(page.getByText("No network at the moment.")).toBeVisible();
					await context.setOffline(false);
					await expect(page.getByText("Back since the network returned after")).toBeVisible();
					expect(await ask(chat)).toEqual(answer);
				});

				await test.step("snoozed it has left, and woken it serves", async () => {
					await page.getByRole("button", { name: "Snooze for an hour" }).click();
					await expect(page.getByText(/^Snoozed until \d\d:\d\d\.$/).first()).toBeVisible();
					await expect.poll(() => lenders(chat)).toBe(0);
					await page.getByRole("button", { name: "Go on now" }).click();
					expect(await ask(chat)).toEqual(answer);
				});

				await test.step("updated by a click in the middle of an answer, it has left", async () => {
					for (const twin of [".br", ".gz"])
						await rm(join(site, `service-worker.js${twin}`), { force: true });
					await appendFile(join(site, "service-worker.js"), "\n// another build\n");
					await page.evaluate(async () => {
						await navigator.serviceWorker.ready;
						await (await navigator.serviceWorker.getRegistration())?.update();
					});
					const running = chat.evaluate(async () => {
						const generation = globalThis.watched.generate({
							promptTokens: [1],
							maxTokens: 200,
							temperature: 0,
						});
						await generation.summary.catch(() => {});
					});
					await page.getByRole("button", { name: "Reload now" }).click();
					await expect.poll(() => lenders(chat)).toBe(0);
					await expect(page.getByRole("button", { name: /^Join/ })).toBeVisible();
					// What was lent before is shown before anybody joins again.
					await expect(page.getByRole("heading", { name: "Day by day" })).toBeVisible();
					await running.catch(() => {});
				});

				await test.step("reloads, while it gets ready and while it serves, leave nobody behind", async () => {
					for (let reload = 0; reload < reloads; reload++) {
						await page.getByRole("button", { name: /^Join/ }).click();
						if (reload % 2 === 0) await untilServing(page);
						await page.reload();
						await expect.poll(() => lenders(chat)).toBe(0);
					}
					await page.getByRole("button", { name: /^Join/ }).click();
					expect(await ask(chat)).toEqual(answer);
					expect(await lenders(chat)).toBe(1);
				});
			} finally {
				await network.stop();
			}
		});
	} finally {
		await device.close();
		await rm(site, { recursive: true, force: true });
	}
});
