import { type Browser, type BrowserContext, expect, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { askTokens, joinTab, openChat, untilServing } from "./tabs.ts";

/** A device that reaches the relay, but not the place on the web where the model's files lie. */
async function withoutOrigin(browser: Browser): Promise<{ context: BrowserContext; refused: string[] }> {
	const context = await browser.newContext();
	const refused: string[] = [];
	await context.route(/\/models\/[^/]+\/(?!manifest\.cbor|origins\.json|gate\.cbor)/, (route) => {
		refused.push(route.request().url());
		return route.abort();
	});
	return { context, refused };
}

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
