import { expect, test } from "@playwright/test";
import { startNetwork } from "../network.ts";
import { joinTab, openChat } from "../tabs.ts";

/** Four gigabytes of float32 weights are made and compiled, on whatever this machine has. */
const patience = { timeout: 600_000 };

test("three tabs that could not hold TinyLlama alone know the capital of France", async ({ browser }) => {
	test.setTimeout(900_000);
	const network = await startNetwork("--min-stages", "3");
	try {
		const tabs = [];
		for (let i = 0; i < 3; i++) tabs.push(await joinTab(await browser.newContext(), network.url));
		for (const tab of tabs) await expect(tab.getByRole("heading", { name: "Serving" })).toBeVisible(patience);
		const chat = await openChat(browser, network.url);
		const prompt = chat.getByRole("textbox");
		await prompt.fill("What is the capital of France?");
		await expect(chat.getByRole("button", { name: "Ask" })).toBeEnabled();
		await prompt.press("Enter");
		const conversation = chat.getByRole("region", { name: /conversation/i });
		await expect(conversation).toContainText("The capital of France is Paris", patience);
		await expect(conversation).toContainText(/tokens\/s.*3 peers/, patience);
	} finally {
		await network.stop();
	}
});
