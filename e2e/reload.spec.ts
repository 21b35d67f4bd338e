import { expect, test } from "@playwright/test";
import { startNetwork } from "./network.ts";
import { askTokens, lendingTabs, openChat } from "./tabs.ts";

interface Kept {
	promptTokens: number[];
	maxTokens: number;
	sampling: { temperature: number; seed: number };
	stream: { stream: string; tokens: number[] };
}
declare global {
	/** What the page before this one left. */
	var kept: string | null;
}

test("a chat page that is reloaded in the middle of an answer, twice, shows the text that it would have shown", async ({
	browser,
}) => {
	const network = await startNetwork("--model", "stories15m", "--min-stages", "2");
	try {
		const [tab] = await lendingTabs(browser, network.url, 2);
		const figure = async (name: string): Promise<number> =>
			Number(await tab!.locator("dt", { hasText: name }).locator("+ dd").textContent());
		const chat = await openChat(browser, network.url);
		await chat.addInitScript(() => {
			globalThis.kept = sessionStorage.getItem("tabmesh-left");
		});
		const answer = chat.locator("[part=answer]");
		const length = async () => (await answer.textContent())!.length;
		const prompt = "Once upon a time";
		await chat.getByRole("textbox").fill(prompt);
		await chat.getByRole("button", { name: "Continue" }).click();
		const left: Kept[] = [];
		let shown = prompt.length;
		for (let times = 0; times < 2; times++) {
			await expect.poll(length).toBeGreaterThan(shown + 150);
			await chat.reload();
			const { turns, answer } = JSON.parse((await chat.evaluate(() => globalThis.kept))!);
			left.push(JSON.parse(answer) as Kept);
			shown = prompt.length + turns[0].text.length;
		}
		await expect(chat.getByText("went on after a reload")).toBeVisible();
		const [first, second] = left;
		// Not another stream: the stages had kept it for this very peer.
		expect(second!.stream.stream).toBe(first!.stream.stream);
		expect(second!.stream.tokens.slice(0, first!.stream.tokens.length)).toEqual(first!.stream.tokens);
		await expect.poll(() => figure("Answers running")).toBe(0);
		const computed = await figure("Tokens computed");
		const { promptTokens, maxTokens, sampling } = second!;
		const { text, tokens } = await askTokens(chat, { promptTokens, maxTokens, ...sampling, minStages: 2 });
		expect(await answer.textContent()).toBe(prompt + text);
		// It stands at an address of its own, under the name of its first question.
		await expect(chat).toHaveURL(/\/chat#\/c\/[0-9a-f]{18}$/);
		await expect(chat).toHaveTitle(`${prompt} · Ask · Tabmesh`);
		// Nor was what had been computed computed again: a few were under way when the page went.
		const again = first!.stream.tokens.length + second!.stream.tokens.length;
		expect(computed).toBeLessThan(promptTokens.length + tokens.length + again / 2);
	} finally {
		await network.stop();
	}
});
