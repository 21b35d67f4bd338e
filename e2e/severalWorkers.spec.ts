import { type Browser, expect, type Page, test } from "@playwright/test";
import type { LendOptions, Tabmesh } from "@tabmesh/client";
import { startNetwork, withSeededModel } from "./network.ts";
import { askTokens, openChat } from "./tabs.ts";

const prompts = [
	[1],
	[1, 300, 301, 302, 303],
	[1, ...Array.from({ length: 40 }, (_, i) => 260 + ((i * 37) % 240))],
];

interface LendElement {
	connect(signal: AbortSignal): Promise<Tabmesh>;
}

/** Lends from a tab of its own through the SDK, since no page offers heaps of a few kilobytes, and waits until it serves. */
async function lend(browser: Browser, url: string, options: LendOptions): Promise<Page> {
	const page = await (await browser.newContext()).newPage();
	await page.goto(`${url}/lend`);
	await page.locator("tabmesh-lend").evaluate(async (element, wanted) => {
		const mesh = await (element as unknown as LendElement).connect(new AbortController().signal);
		const lender = mesh.lend(wanted);
		while (lender.view.phase !== "serving") {
			if (lender.view.phase === "failed") throw lender.view.error;
			await new Promise((resolve) => lender.addEventListener("change", resolve, { once: true }));
		}
	}, options);
	return page;
}

/** What one tab answers to several at once, and with how many workers. */
async function answers(
	browser: Browser,
	model: string,
	options: LendOptions,
): Promise<{ workers: number; tokens: (readonly number[])[] }> {
	const network = await startNetwork("--model", model);
	try {
		const page = await lend(browser, network.url, options);
		const chat = await openChat(browser, network.url);
		const all = await Promise.all(
			prompts.map((promptTokens) => askTokens(chat, { promptTokens, temperature: 0, maxTokens: 24 })),
		);
		const workers = page.workers().length;
		for (const opened of [page, chat]) await opened.context().close();
		return { workers, tokens: all.map(({ tokens }) => tokens) };
	} finally {
		await network.stop();
	}
}

test("a model larger than one heap lies in several workers of one tab, which write what one worker writes", async ({
	browser,
}) => {
	await withSeededModel({ layers: 6 }, async (model) => {
		const common = { memoryBytes: 4e6, backend: "wasm", threads: 1 } as const;
		const one = await answers(browser, model, common);
		const three = await answers(browser, model, { ...common, heapBytes: 480_000 });
		expect(three.workers - one.workers).toBe(2);
		expect(three.tokens).toEqual(one.tokens);
		expect(one.tokens.every((tokens) => tokens.length > 0)).toBe(true);
	});
});
