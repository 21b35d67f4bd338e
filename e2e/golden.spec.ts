import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { startNetwork } from "./network.ts";
import { askTokens, lendingTabs, openChat } from "./tabs.ts";

interface GoldenCase {
	prompt: string;
	promptTokens: number[];
	greedyTokens: number[];
}
const golden = JSON.parse(
	readFileSync(new URL("golden/stories15m-greedy.json", import.meta.url), "utf8"),
) as { cases: GoldenCase[] };

for (const stages of [1, 3]) {
	const where = stages === 1 ? "in one tab" : `over ${stages} tabs`;
	test(`stories15M ${where} writes the golden stories, token for token`, async ({ browser }) => {
		const network = await startNetwork("--model", "stories15m", "--min-stages", String(stages));
		try {
			await lendingTabs(browser, network.url, stages);
			const chat = await openChat(browser, network.url);
			for (const { promptTokens, greedyTokens } of golden.cases) {
				const answer = await askTokens(chat, {
					promptTokens,
					maxTokens: greedyTokens.length,
					temperature: 0,
					minStages: stages,
				});
				expect(answer.tokens).toEqual(greedyTokens);
				expect(new Set(answer.peers).size).toBe(stages);
			}
		} finally {
			await network.stop();
		}
	});
}

test("a visitor types a beginning and reads the story that three tabs write", async ({ browser }) => {
	const network = await startNetwork("--model", "stories15m", "--min-stages", "3");
	try {
		await lendingTabs(browser, network.url, 3);
		const chat = await openChat(browser, network.url);
		const prompt = chat.getByRole("textbox");
		await prompt.fill("Once upon a time, there was a little dog");
		await expect(chat.getByRole("button", { name: "Continue" })).toBeEnabled();
		await prompt.press("Enter");
		const story = chat.getByRole("region", { name: /conversation/i });
		// Sampled, so every run is another story; the prompt stands in front of it.
		await expect(story).toContainText(/Once upon a time, there was a little dog[\s\S]{100,}/);
		await expect(story).toContainText(/\d tokens\/s.*\d+ tokens.*3 peers/);
	} finally {
		await network.stop();
	}
});
