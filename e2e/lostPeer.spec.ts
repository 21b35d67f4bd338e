import { expect, test } from "@playwright/test";
import { startNetwork } from "./network.ts";
import { lendingTabs, openChat } from "./tabs.ts";

/** The promise, from the moment the tab is gone. */
const promiseMs = 2000;

test("closing a lending tab in the middle of an answer says so within two seconds", async ({ browser }) => {
	const network = await startNetwork("--model", "stories15m", "--min-stages", "3");
	try {
		const tabs = await lendingTabs(browser, network.url, 3);
		const chat = await openChat(browser, network.url);
		const prompt = chat.getByRole("textbox");
		await prompt.fill("Once upon a time");
		await expect(chat.getByRole("button", { name: "Continue" })).toBeEnabled();
		await prompt.press("Enter");
		const conversation = chat.getByRole("region", { name: /conversation/i });
		await expect(conversation).toContainText(/Once upon a time\S* \w+/);
		await tabs[1]!.close();
		await expect(conversation.getByText("What had arrived is kept above.")).toBeVisible({
			timeout: promiseMs,
		});
		await expect(chat.getByRole("button", { name: "Ask again" })).toBeVisible();
	} finally {
		await network.stop();
	}
});
