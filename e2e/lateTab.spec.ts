import { expect, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { askTokens, joinTab, openChat, showPresence, untilServing, withoutOrigin } from "./tabs.ts";

test("a late tab gets its shards from a tab that has them while the web does not give them, and hands them on", async ({
	browser,
}) => {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model);
		try {
			const first = await joinTab(await browser.newContext(), network.url);
			await untilServing(first);
			const request = { prompt: "Once", maxTokens: 12, temperature: 0 };
			const expected = await askTokens(await openChat(browser, network.url), request);

			const late = await withoutOrigin(browser);
			const second = await joinTab(late.context, network.url);
			await untilServing(second);
			expect(late.refused.length).toBeGreaterThan(0);

			const asking = await withoutOrigin(browser);
			const chat = await asking.context.newPage();
			await chat.goto(`${network.url}/chat`);
			await showPresence(chat);
			expect(await askTokens(chat, request)).toMatchObject({ tokens: expected.tokens, text: expected.text });

			await first.close();
			const last = await withoutOrigin(browser);
			const third = await joinTab(last.context, network.url);
			await untilServing(third);
			await second.close();
			const alone = await askTokens(chat, request);
			expect(alone).toMatchObject({ tokens: expected.tokens, text: expected.text });
			expect(alone.peers).not.toEqual(expected.peers);
		} finally {
			await network.stop();
		}
	});
});
