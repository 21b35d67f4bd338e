import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";

describe("conversations of <tabmesh-chat>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const asked = (page: Page) =>
		page.evaluate(() =>
			window.gallery.tabmesh.calls.flatMap(({ method, options }) =>
				method === "generate"
					? [options as { messages: { role: string; content: string }[]; [name: string]: unknown }]
					: [],
			),
		);
	const ask = async (page: Page, prompt: string) => {
		const articles = page.locator("article");
		const before = await articles.count();
		await page.getByRole("textbox").fill(prompt);
		await page.getByRole("textbox").press("Enter");
		await expect.poll(() => articles.count()).toBe(before + 1);
		await page.getByRole("button", { name: "Another answer" }).nth(before).waitFor();
	};
	const questions = (page: Page) => page.locator("article p.said").allTextContents();

	it("keeps a conversation on this device, shows it again at its address, and in other tabs as it grows", async () => {
		const page = await gallery.show("chat-keeping");
		await ask(page, "First question");
		await expect.poll(() => page.url()).toMatch(/#[0-9a-f]{18}$/);
		const other = await page.context().newPage();
		await other.goto(page.url());
		await other.locator("p.said", { hasText: "First question" }).waitFor();
		expect(await other.locator("[part=answer]").textContent()).toContain("another tide coming");
		// Both at once, neither knowing of the other.
		await Promise.all([ask(page, "From here"), ask(other, "From there")]);
		await page.reload();
		await page.locator("p.said", { hasText: "First question" }).waitFor();
		// Two ways on from the first answer, both kept.
		await page.getByText(/^[12] of 2$/).waitFor();
		const seen = await questions(page);
		const step = (await page.getByText("1 of 2").count()) > 0 ? "Next version" : "Previous version";
		await page.getByRole("button", { name: step }).click();
		const all = new Set([...seen, ...(await questions(page))]);
		expect(all).toEqual(new Set(["First question", "From here", "From there"]));
		await other.close();
		await page.close();
	});

	it("asks a changed question in the place of the first, and keeps both", async () => {
		const page = await gallery.show("chat-editing");
		const field = page.getByRole("textbox", { name: "Change the question" });
		expect(await field.evaluate((field) => field.matches(":focus"))).toBe(true);
		await field.press("Escape");
		await field.waitFor({ state: "detached" });
		expect(await page.getByRole("textbox").evaluate((input) => input.matches(":focus"))).toBe(true);
		await page.getByRole("button", { name: "Change the question" }).click();
		await field.fill("Explain tides to a sailor.");
		await field.press("Enter");
		await page.getByText("2 of 2").waitFor();
		expect((await asked(page)).at(-1)!.messages).toEqual([
			{ role: "user", content: "Explain tides to a sailor." },
		]);
		await page.getByRole("button", { name: "Previous version" }).click();
		expect(await questions(page)).toEqual(["Explain tides to a child."]);
		await page.close();
	});

	it("answers again beside what is there, and goes on from the version that is shown", async () => {
		const page = await gallery.show("chat-versions");
		const [first, second] = await asked(page);
		expect(second).toEqual(first);
		await page.evaluate(() => {
			window.gallery.tabmesh.answer = [{ text: "Quite another answer." }, { end: "stop" }];
		});
		await page.getByRole("button", { name: "Another answer" }).click();
		await page.getByText("3 of 3").waitFor();
		await page.getByText("Quite another answer.").first().waitFor();
		await page.getByRole("button", { name: "Previous version" }).click();
		await page.getByText("2 of 3").waitFor();
		await ask(page, "Go on.");
		const { messages } = (await asked(page)).at(-1)!;
		expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
		expect(messages[1]!.content).toContain("another tide coming");
		await page.close();
	});

	it("finds, renames, deletes and brings back conversations", async () => {
		const page = await gallery.show("chat-list");
		const titles = () => page.locator("tabmesh-conversations .open span:first-child").allTextContents();
		expect(await titles()).toHaveLength(4);
		await page.getByRole("searchbox").fill("atlas");
		await expect.poll(titles).toEqual(["What should I read about the history of maps?"]);
		await page.getByRole("button", { name: "Rename" }).click();
		await page.getByRole("textbox", { name: "Title" }).fill("Maps and the atlas");
		await page.keyboard.press("Enter");
		await expect.poll(titles).toEqual(["Maps and the atlas"]);
		await page.getByRole("button", { name: "Delete" }).click();
		await page.getByText("Nothing found.").waitFor();
		// Where the focus is.
		await page.keyboard.press("Enter");
		await expect.poll(titles).toEqual(["Maps and the atlas"]);
		await page.locator("tabmesh-conversations .open").click();
		await page.getByText("Begin with an atlas.").waitFor();
		expect(await page.locator("dialog[open]").count()).toBe(0);
		expect(await page.getByRole("textbox").evaluate((input) => input.matches(":focus"))).toBe(true);
		await page.close();
	});

	it("says that a conversation is not kept, and why, and goes on without", async () => {
		const page = await gallery.show("chat-not-kept");
		await page.getByText("This device has no room left to keep this conversation.").waitFor();
		expect(await page.locator("[part=answer]").textContent()).toContain("another tide coming");
		await ask(page, "And why?");
		await page.close();
	});

	it("asks with the settings, says what a model lacks, and gives the defaults back", async () => {
		const page = await gallery.show("chat-settings");
		await page.getByText("2.1 GB of memory missing").waitFor();
		await page.getByLabel("Temperature").fill("0.7");
		await page.getByLabel("Seed").fill("42");
		await page.getByLabel("Longest answer").fill("99999999");
		await page.getByLabel("Instructions").fill("Be brief.");
		await page.getByRole("button", { name: "Close" }).click();
		await page.getByRole("textbox").fill("Why?");
		await page.keyboard.press("Enter");
		await page.getByRole("button", { name: "Stop" }).click();
		const [first] = await asked(page);
		expect(first).toMatchObject({ temperature: 0.7, seed: 42 });
		expect(first).not.toHaveProperty("maxTokens");
		expect(first!.messages[0]).toEqual({ role: "system", content: "Be brief." });
		await page.getByRole("button", { name: "Model and settings" }).click();
		await page.getByRole("button", { name: "Restore the defaults" }).click();
		await page.keyboard.press("Escape");
		await page.getByRole("button", { name: "Another answer" }).click();
		await page.getByRole("button", { name: "Stop" }).click();
		const second = (await asked(page)).at(-1)!;
		expect(second).not.toHaveProperty("temperature");
		expect(second.messages).toHaveLength(1);
		await page.close();
	});

	it("shows who served an answer, and what was signed for it", async () => {
		const page = await gallery.show("chat-details");
		await page.getByRole("columnheader", { name: "Receipt" }).waitFor();
		expect(await page.getByRole("row").count()).toBe(5);
		await page.getByText("Written by TinyLlama-1.1B-Chat.", { exact: false }).waitFor();
		await page.close();
	});
});
