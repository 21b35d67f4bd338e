import { expect, test } from "@playwright/test";
import { startNetwork, tabmesh, withSeededModel } from "./network.ts";
import { askAll, askTokens, joinTab, lenders, openChat, untilServing } from "./tabs.ts";

test("two lending tabs of one browser profile are two peers", async ({ browser }) => {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model, "--min-stages", "2");
		try {
			const profile = await browser.newContext();
			const tabs = [await joinTab(profile, network.url), await joinTab(profile, network.url)];
			await untilServing(...tabs);
			const chat = await openChat(browser, network.url);
			const answer = await askTokens(chat, { promptTokens: [1], maxTokens: 8, temperature: 0, minStages: 2 });
			expect(new Set(answer.peers).size).toBe(2);
			expect(new Set(await lenders(chat))).toEqual(new Set(answer.peers));
		} finally {
			await network.stop();
		}
	});
});

test("headless lenders and browser tabs serve in one ring, and the same answer comes in private and in the terminal", async ({
	browser,
}) => {
	await withSeededModel({ layers: 6 }, async (model) => {
		const network = await startNetwork(
			"--model",
			model,
			"--min-stages",
			"3",
			"--lenders",
			"2",
			"--memory",
			"200MB",
		);
		try {
			await untilServing(await joinTab(await browser.newContext(), network.url));
			const chat = await openChat(browser, network.url);
			const request = { promptTokens: [1, 300], maxTokens: 16, temperature: 0, minStages: 3 };
			const [answer, hidden] = await askAll(chat, [request, { ...request, minStages: 2, private: true }]);
			expect(new Set(answer!.peers).size).toBe(3);
			// In private the page has both ends, and those who lend nothing but what lies between.
			expect(hidden!.tokens).toEqual(answer!.tokens);
			const [first, ...others] = hidden!.peers;
			expect(others.pop()).toBe(first);
			expect(await lenders(chat)).toEqual(expect.arrayContaining(others));
			expect(answer!.peers).not.toContain(first);
			expect(hidden!.spans.at(0)).toEqual([0, 2]);
			expect(hidden!.spans.at(-1)).toEqual([6, 6]);
			const asked = await tabmesh(
				..."ask --prompt-tokens 1,300 --max-tokens 16 --temperature 0 --min-stages 3 --json --relay".split(
					" ",
				),
				network.url,
			);
			expect(asked.stderr).toBe("");
			expect(asked.status).toBe(0);
			const printed = JSON.parse(asked.stdout);
			expect(Object.keys(printed)).toEqual([
				"model",
				"promptTokens",
				"tokens",
				"text",
				"finishReason",
				"peers",
				"timing",
			]);
			expect(printed.tokens).toEqual(answer!.tokens);
			expect(printed.promptTokens).toEqual([1, 300]);
			expect(printed.peers.map(({ span }: { span: number[] }) => span)).toEqual(answer!.spans);
			expect(printed.timing.firstTokenMs).toBeGreaterThan(0);
		} finally {
			await network.stop();
		}
	});
});
