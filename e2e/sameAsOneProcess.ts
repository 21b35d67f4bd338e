import { type Browser, expect } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { askAll, lendingTabs, openChat, type PageBackend } from "./tabs.ts";

const prompts = [
	[1],
	[1, 300, 301, 302, 303],
	[1, ...Array.from({ length: 40 }, (_, i) => 260 + ((i * 37) % 240))],
];

/**
 * Between stages hidden states are rounded to half precision, inside one process they are not. A model of random
 * weights has flat logits, so a draw now and then falls between the two; with this seed none does.
 */
const sampling = { temperature: 0.7, seed: 1, maxTokens: 16 };
const greedy = { temperature: 0, maxTokens: 24 };

/** Asks one network the same prompts, greedily and with a seed. */
async function answers(
	browser: Browser,
	model: string,
	tabs: number,
	backend: PageBackend,
): Promise<{ tokens: readonly number[]; stages: number }[]> {
	const network = await startNetwork("--model", model, "--min-stages", String(tabs));
	try {
		const lending = await lendingTabs(browser, network.url, tabs, backend);
		const chat = await openChat(browser, network.url);
		const asked = prompts.flatMap((promptTokens) =>
			[greedy, sampling].map((how) => ({ promptTokens, ...how, minStages: tabs })),
		);
		const all = (await askAll(chat, asked)).map(({ tokens, peers }) => ({
			tokens,
			stages: new Set(peers).size,
		}));
		for (const page of [...lending, chat]) await page.context().close();
		return all;
	} finally {
		await network.stop();
	}
}

/** Holds three tabs to the tokens that one tab with the whole model writes on the same backend. */
export async function expectSameAsOneProcess(
	browser: Browser,
	backend: PageBackend,
	layers: number,
): Promise<void> {
	await withSeededModel({ layers }, async (model) => {
		const one = await answers(browser, model, 1, backend);
		const three = await answers(browser, model, 3, backend);
		expect(one.map(({ stages }) => stages)).toEqual(one.map(() => 1));
		expect(three.map(({ stages }) => stages)).toEqual(three.map(() => 3));
		expect(three.map(({ tokens }) => tokens)).toEqual(one.map(({ tokens }) => tokens));
		expect(one.every(({ tokens }) => tokens.length > 0)).toBe(true);
	});
}
