import { readFileSync } from "node:fs";
import { type Browser, expect, type Page, test } from "@playwright/test";
import { type Network, startNetwork } from "./network.ts";
import { askAll, lendingTabs, openChat } from "./tabs.ts";

interface GoldenCase {
	prompt: string;
	promptTokens: number[];
	greedyTokens: number[];
}
const golden = JSON.parse(
	readFileSync(new URL("golden/stories15m-greedy.json", import.meta.url), "utf8"),
) as { cases: GoldenCase[] };

async function expectGolden(browser: Browser, url: string, stages: number): Promise<void> {
	const chat = await openChat(browser, url);
	const answers = await askAll(
		chat,
		golden.cases.map(({ promptTokens, greedyTokens }) => ({
			promptTokens,
			maxTokens: greedyTokens.length,
			temperature: 0,
			minStages: stages,
		})),
	);
	expect(answers.map(({ tokens }) => tokens)).toEqual(golden.cases.map(({ greedyTokens }) => greedyTokens));
	for (const { peers } of answers) expect(new Set(peers).size).toBe(stages);
	await chat.context().close();
}

test("stories15M in one tab writes the golden stories, token for token", async ({ browser }) => {
	const network = await startNetwork("--model", "stories15m");
	try {
		await lendingTabs(browser, network.url, 1);
		await expectGolden(browser, network.url, 1);
	} finally {
		await network.stop();
	}
});

test.describe("stories15M over three tabs", () => {
	let network: Network;
	let tabs: Page[];
	test.beforeAll(async ({ browser }) => {
		network = await startNetwork("--model", "stories15m", "--min-stages", "3");
		tabs = await lendingTabs(browser, network.url, 3);
	});
	test.afterAll(async () => {
		for (const tab of tabs ?? []) await tab.context().close();
		await network?.stop();
	});

	test("writes the golden stories, token for token", async ({ browser }) => {
		await expectGolden(browser, network.url, 3);
	});

	test("is what a visitor reads who types a beginning", async ({ browser }) => {
		const chat = await openChat(browser, network.url);
		const prompt = chat.getByRole("textbox");
		await prompt.fill("Once upon a time, there was a little dog");
		await expect(chat.getByRole("button", { name: "Continue" })).toBeEnabled();
		await prompt.press("Enter");
		const story = chat.getByRole("region", { name: /conversation/i });
		// Sampled, so every run is another story; the prompt stands in front of it.
		await expect(story).toContainText(/Once upon a time, there was a little dog[\s\S]{100,}/);
		await expect(story).toContainText(/\d tokens\/s.*\d+ tokens.*3 peers/);
	});
});
