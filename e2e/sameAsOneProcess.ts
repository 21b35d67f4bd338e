import { type Browser, expect } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { askTokens, lendingTabs, openChat, type PageBackend } from "./tabs.ts";

const prompts = [
	[1],
	[1, 300, 301, 302, 303],
	[1, ...Array.from({ length: 40 }, (_, i) => 260 + ((i * 37) % 240))],
];

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
		const all: { tokens: readonly number[]; stages: number }[] = [];
		for (const promptTokens of prompts) {
			for (const temperature of [0, 0.9]) {
				const answer = await askTokens(chat, {
					promptTokens,
					temperature,
					seed: 7,
					maxTokens: 24,
					minStages: tabs,
				});
				all.push({ tokens: answer.tokens, stages: new Set(answer.peers).size });
			}
		}
		for (const page of [...lending, chat]) await page.context().close();
		return all;
	} finally {
		await network.stop();
	}
}

/** Holds three tabs to the tokens that one tab with the whole model writes on the same backend. */
export async function expectSameAsOneProcess(browser: Browser, backend: PageBackend): Promise<void> {
	await withSeededModel({ layers: 6 }, async (model) => {
		const one = await answers(browser, model, 1, backend);
		const three = await answers(browser, model, 3, backend);
		expect(one.map(({ stages }) => stages)).toEqual(one.map(() => 1));
		expect(three.map(({ stages }) => stages)).toEqual(three.map(() => 3));
		expect(three.map(({ tokens }) => tokens)).toEqual(one.map(({ tokens }) => tokens));
		expect(one.every(({ tokens }) => tokens.length > 0)).toBe(true);
	});
}
