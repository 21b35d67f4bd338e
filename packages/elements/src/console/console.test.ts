import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";
import { syntheticSwarm } from "../../gallery/syntheticSwarm.ts";

describe("<tabmesh-console>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const looks = (page: Page) =>
		page.evaluate(() => {
			const seen: unknown[] = [];
			document
				.querySelector("tabmesh-console")!
				.addEventListener("tabmesh-look", ({ detail }) => seen.push(detail));
			return Object.assign(window, { seen }) && undefined;
		});
	const seen = (page: Page) => page.evaluate(() => (window as unknown as { seen: unknown[] }).seen);

	it("asks nothing of the network and lends nothing, whatever is pressed", async () => {
		const page = await gallery.show("console-twenty");
		for (const name of ["stories15m", "All: 20", "Answers", "…F1WTo"])
			await page.getByRole("button", { name }).first().click();
		await page.getByRole("heading", { name: "Peer …F1WTo" }).waitFor();
		expect(await page.evaluate(() => window.gallery.tabmesh.calls)).toEqual([]);
		expect(await page.evaluate(() => window.gallery.connects)).toBe(1);
		await page.close();
	});

	it("says what is looked at, so that a page can put it into its address, and takes the keyboard along", async () => {
		const page = await gallery.show("console-twenty");
		await looks(page);
		const peer = page.getByRole("button", { name: "…5p9iH" });
		await peer.focus();
		await page.keyboard.press("Enter");
		const heading = page.getByRole("heading", { name: "Peer …5p9iH" });
		await heading.waitFor();
		expect(await heading.evaluate((element) => element.matches(":focus"))).toBe(true);
		await page.getByRole("button", { name: /^stories15m/ }).click();
		await page.getByRole("heading", { name: "Who holds stories15m" }).waitFor();
		await page.getByRole("button", { name: "Close" }).click();
		expect(await seen(page)).toEqual([
			{ model: "", peer: expect.stringMatching(/5p9iH$/) },
			{ model: "stories15m", peer: expect.stringMatching(/5p9iH$/) },
			{ model: "stories15m", peer: "" },
		]);
		await page.close();
	});

	it("opens a peer by a click on its bar, with all that it publishes and why it holds that", async () => {
		const page = await gallery.show("console-one");
		await page.getByRole("button", { name: "Close" }).click();
		const map = page.getByRole("img", { name: /one bar for each of 1 peer/ });
		const box = (await map.boundingBox())!;
		await page.mouse.click(box.x + 60, box.y + 20);
		await page.getByRole("heading", { name: /^Peer …/ }).waitFor();
		await page.getByText("ort1.30/webgpu/apple/q8/f16").waitFor();
		await page.getByText(/^Keeps layers 1–\d/).waitFor();
		await page.close();
	});

	it("sorts, searches and turns pages among five hundred", async () => {
		const page = await gallery.show("console-many");
		const rows = page.getByRole("row");
		const answers = async (row: number) => Number(await rows.nth(row).getByRole("cell").last().textContent());
		await page.getByRole("button", { name: "All: 500" }).click();
		await page.getByText("1–20 of 500").waitFor();
		await page.getByRole("button", { name: "Next" }).click();
		await page.getByText("21–40 of 500").waitFor();
		await page.getByRole("button", { name: "Answers" }).click();
		await page.getByText("1–20 of 500").waitFor();
		expect(await answers(1)).toBeGreaterThan(0);
		expect(await answers(1)).toBeGreaterThanOrEqual(await answers(2));
		const header = page.getByRole("columnheader", { name: "Answers" });
		expect(await header.getAttribute("aria-sort")).toBe("ascending");
		await page.getByRole("searchbox").fill("8koki");
		expect(await rows.count()).toBe(2);
		await page.getByRole("searchbox").fill("nobody");
		await page.getByText("No peer’s id contains “nobody”.").waitFor();
		await page.close();
	});

	/** The tasks of more than 50 ms that a large swarm costs a page which keeps being told of news. */
	async function longTasks(): Promise<number[]> {
		const page = await gallery.show("console-one");
		const swarms = [1, 2].map((seed) => syntheticSwarm({ peers: 500, models: 10, seed }));
		// Handed over first: that is a long task of the test's own.
		await page.evaluate((swarms) => Object.assign(window, { swarms }) && undefined, swarms);
		const tasks = await page.evaluate(async () => {
			const { swarms } = window as unknown as { swarms: ReturnType<typeof syntheticSwarm>[] };
			const tasks: number[] = [];
			const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
			await pause(100);
			const observer = new PerformanceObserver((list) =>
				tasks.push(...list.getEntries().map(({ duration }) => duration)),
			);
			observer.observe({ type: "longtask" });
			const root = document.querySelector("tabmesh-console")!.shadowRoot!;
			for (const { models, members } of swarms) {
				// As busy as a swarm is: more news than is drawn.
				for (let news = 0; news < 10; news++) {
					window.gallery.tabmesh.becomeSwarm(models, [...members]);
					await pause(50);
				}
				for (const button of root.querySelectorAll<HTMLElement>(".models button")) {
					button.click();
					await pause(20);
				}
			}
			observer.disconnect();
			return tasks;
		});
		await page.getByText("500", { exact: true }).waitFor();
		await page.close();
		return tasks;
	}

	it("draws five hundred peers and ten models that keep changing without a task of more than 200 ms", async () => {
		// What other tests take of the machine is not the page's: the best of three counts.
		const rounds: number[][] = [];
		do rounds.push(await longTasks());
		while (rounds.length < 3 && rounds.at(-1)!.some((ms) => ms > 200));
		console.log(`500 peers, tasks over 50 ms: ${JSON.stringify(rounds)}`);
		expect(rounds.at(-1)!.filter((ms) => ms > 200)).toEqual([]);
	});

	it("draws news at most twice a second, and none while nobody sees the page", async () => {
		const page = await gallery.show("console-twenty");
		const draws = await page.evaluate(async () => {
			const element = document.querySelector("tabmesh-console")!;
			const { tabmesh } = window.gallery;
			const count = async (ms: number) => {
				let draws = 0;
				let view = element.view;
				const until = performance.now() + ms;
				while (performance.now() < until) {
					tabmesh.becomeSwarm(tabmesh.models, [...tabmesh.members]);
					await new Promise((resolve) => setTimeout(resolve, 5));
					if (element.view !== view) draws++;
					view = element.view;
				}
				return draws;
			};
			// A busy machine draws less often.
			while ((await count(100)) === 0);
			const shown = await count(1000);
			Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
			await new Promise((resolve) => setTimeout(resolve, 550));
			return { shown, hidden: await count(550) };
		});
		expect(draws.shown).toBeLessThanOrEqual(3);
		expect(draws.hidden).toBe(0);
		await page.close();
	});

	it("counts an error that comes again instead of listing it twice, and says what to do", async () => {
		const page = await gallery.show("console-unreachable");
		const list = page.locator("tabmesh-troubles").getByRole("listitem");
		expect(await list.count()).toBe(1);
		await page.getByText("2 times").waitFor();
		await page.getByRole("button", { name: "Try again" }).click();
		await page.getByText("3 times").waitFor();
		expect(await list.count()).toBe(1);
		await page.close();
	});
});
