import { expect, type Page, test } from "@playwright/test";
import { startNetwork } from "./network.ts";
import { beginAnswer, endAnswer, joinTab, lenders, showPresence, untilServing } from "./tabs.ts";

/** From the moment the tab is gone until the page says so. */
const promiseMs = 2000;

const request = { promptTokens: [1, 9038, 2501, 263, 931], maxTokens: 120, temperature: 0, minStages: 3 };

declare global {
	/** How often a stage said that it goes. */
	var goodbyes: number;
}

/** Reads along what comes over the wire. */
function hearGoodbyes(): void {
	globalThis.goodbyes = 0;
	const property = Object.getOwnPropertyDescriptor(RTCDataChannel.prototype, "onmessage")!;
	Object.defineProperty(RTCDataChannel.prototype, "onmessage", {
		...property,
		set(this: RTCDataChannel, take: RTCDataChannel["onmessage"]) {
			property.set!.call(this, (event: MessageEvent<ArrayBuffer>) => {
				if (new TextDecoder().decode(event.data).includes("leaving")) globalThis.goodbyes++;
				take?.call(this, event);
			});
		},
	});
}

test("closing a lending tab in the middle of an answer changes nothing where another holds its layers, and is said at once where none does", async ({
	browser,
}) => {
	const network = await startNetwork("--model", "stories15m", "--min-stages", "3");
	try {
		const chat = await (await browser.newContext()).newPage();
		await chat.addInitScript(hearGoodbyes);
		await chat.goto(`${network.url}/chat`);
		await showPresence(chat);
		const tabs = new Map<string, Page>();
		for (let i = 0; i < 4; i++) {
			const tab = await joinTab(await browser.newContext(), network.url);
			await untilServing(tab);
			await expect.poll(() => lenders(chat)).toHaveLength(i + 1);
			for (const peer of await lenders(chat)) if (!tabs.has(peer)) tabs.set(peer, tab);
		}
		await beginAnswer(chat, request, 1);
		const undisturbed = await endAnswer(chat);
		expect(undisturbed.tokens).toHaveLength(request.maxTokens);

		const { replaceable } = await beginAnswer(chat, request, 40);
		const [lost] = replaceable;
		await tabs.get(lost!)!.close();
		tabs.delete(lost!);
		const answer = await endAnswer(chat);
		expect(answer.tokens).toEqual(undisturbed.tokens);
		expect(answer.lost).toEqual([lost]);
		// It was told, and did not have to find out.
		expect(await chat.evaluate(() => globalThis.goodbyes)).toBeGreaterThan(0);

		const prompt = chat.getByRole("textbox");
		await prompt.fill("Once upon a time");
		await expect(chat.getByRole("button", { name: "Continue" })).toBeEnabled();
		await prompt.press("Enter");
		const conversation = chat.getByRole("region", { name: /conversation/i });
		await expect(conversation).toContainText(/Once upon a time\S* \w+/);
		await [...tabs.values()][0]!.close();
		await expect(conversation.getByText("A device left.")).toBeVisible({ timeout: promiseMs });
	} finally {
		await network.stop();
	}
});
