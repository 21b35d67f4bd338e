import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";

describe("<tabmesh-chat>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const calls = (page: Page) => page.evaluate(() => window.gallery.tabmesh.calls);
	const answerText = (page: Page) =>
		page
			.locator("[part=answer]")
			.last()
			.evaluate((answer) => answer.textContent);

	it("sends on Enter, makes a new line on Shift+Enter, and leaves an input method's Enter alone", async () => {
		const page = await gallery.show("chat-empty");
		const input = page.getByRole("textbox", { name: "The beginning of a story" });
		await input.fill("One");
		await input.press("Shift+Enter");
		await input.pressSequentially("two");
		await input.evaluate((element) => {
			for (const init of [{ isComposing: true }, { keyCode: 229 }])
				element.dispatchEvent(
					new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init }),
				);
		});
		expect(await calls(page)).toEqual([]);
		await input.press("Enter");
		await page.getByRole("button", { name: "Stop" }).waitFor();
		expect(await calls(page)).toEqual([
			{ method: "generate", options: { model: "bafyreistories15m", prompt: "One\ntwo" } },
		]);
		expect(await input.inputValue()).toBe("");
		await page.close();
	});

	it("shows pieces as they come, and Stop frees the swarm and keeps the text", async () => {
		const page = await gallery.show("chat-streaming");
		const before = await answerText(page);
		expect(before).toContain("She was curious");
		await page.getByRole("button", { name: "Stop" }).click();
		await page.getByText("stopped by you").waitFor();
		expect((await calls(page)).at(-1)).toEqual({ method: "cancel" });
		expect(await answerText(page)).toBe(before);
		await page.close();
	});

	it("stops on Escape", async () => {
		const page = await gallery.show("chat-streaming");
		await page.getByRole("textbox").press("Escape");
		await page.getByText("stopped by you").waitFor();
		await page.close();
	});

	it("never makes anything but text of what a model writes", async () => {
		const page = await gallery.show("chat-hostile");
		expect(await answerText(page)).toContain(
			'<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>',
		);
		const made = await page.locator("[part=answer]").evaluate((answer) => ({
			elements: [...answer.querySelectorAll("*")].map(({ localName }) => localName),
			pwned: "pwned" in window,
		}));
		expect(made).toEqual({ elements: ["span"], pwned: false });
		await page.close();
	});

	it("reads an answer out once when it is whole, not with every token", async () => {
		const page = await gallery.show("chat-answered");
		await page.evaluate(() => {
			const status = document.querySelector("tabmesh-chat")!.shadowRoot!.querySelector("[role=status]")!;
			const said: string[] = [];
			Object.assign(window, { said });
			new MutationObserver(() => {
				const text = status.textContent ?? "";
				if (text !== "") said.push(text);
			}).observe(status, { childList: true, characterData: true, subtree: true });
		});
		await page.getByRole("textbox").fill("Again");
		await page.getByRole("textbox").press("Enter");
		await page.waitForFunction(() => (window as unknown as { said: string[] }).said.length === 2);
		const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
		expect(said[0]).toBe("The answer is being written.");
		expect(said[1]).toContain("until the stars came out.");
		await page.close();
	});

	it("looks at the network as soon as it is shown, and asks it for nothing", async () => {
		const page = await gallery.show("chat-empty");
		expect(await page.evaluate(() => window.gallery.connects)).toBe(1);
		expect(await calls(page)).toEqual([]);
		await page.close();
	});

	it("keeps a draft while nobody lends, and sends it once the model is whole", async () => {
		const page = await gallery.show("chat-no-peers");
		const input = page.getByRole("textbox");
		await input.fill("Once");
		await input.press("Enter");
		expect(await calls(page)).toEqual([]);
		expect(await page.getByRole("link", { name: "Open the lending page" }).getAttribute("href")).toBe(
			"/lend",
		);
		await page.evaluate(() => {
			const { tabmesh } = window.gallery;
			const [model] = tabmesh.models;
			const holders = model!.coverage.holders.map(() => 1);
			tabmesh.becomeSwarm(
				[{ ...model!, coverage: { holders, complete: true, missingBytes: 0, loading: 0 } }],
				[],
			);
		});
		await page.getByRole("button", { name: "Continue" }).click();
		await page.getByRole("button", { name: "Stop" }).waitFor();
		expect(await calls(page)).toHaveLength(1);
		await page.close();
	});

	it("asks the same again after a peer was lost, on request", async () => {
		const page = await gallery.show("chat-peer-lost");
		await page.getByRole("alert").getByText("What had arrived is kept above.", { exact: false }).waitFor();
		await page.getByRole("button", { name: "Ask again" }).click();
		await page.waitForFunction(() => window.gallery.tabmesh.calls.length === 2);
		const [first, second] = await calls(page);
		expect(second).toEqual(first);
		await page.close();
	});

	it("leaves a running answer with what stands there, and goes on with it in the next page", async () => {
		const page = await gallery.show("chat-streaming");
		const before = await answerText(page);
		const left = await page.evaluate(() => document.querySelector("tabmesh-chat")!.leave());
		expect((await calls(page)).at(-1)).toEqual({ method: "detach" });
		await page.evaluate((left) => {
			const next = document.createElement("tabmesh-chat");
			next.left = left;
			document.querySelector("tabmesh-chat")!.replaceWith(next);
		}, left);
		// At once, before there is a network.
		await page.getByText("The page was reloaded.", { exact: false }).waitFor();
		expect(await answerText(page)).toBe(before);
		await page.evaluate(() => {
			document.querySelector("tabmesh-chat")!.connect = async () => window.gallery.tabmesh;
		});
		await page.waitForFunction(() => window.gallery.tabmesh.calls.at(-1)!.method === "resume");
		expect((await calls(page)).at(-1)).toEqual({ method: "resume", options: "what was left" });
		expect(await answerText(page)).toBe(before);
		await page.close();
	});

	it("takes nothing over from a conversation that it cannot read, and leaves none where no answer runs", async () => {
		const page = await gallery.show("chat-answered");
		expect(await page.evaluate(() => document.querySelector("tabmesh-chat")!.leave())).toBeUndefined();
		for (const wrong of ["", "null", '{"turns":[]}', '{"turns":[{"prompt":1}]}', '{"turns":"x"}']) {
			await page.evaluate((left) => {
				const next = document.createElement("tabmesh-chat");
				next.left = left;
				next.connect = async () => window.gallery.tabmesh;
				document.querySelector("tabmesh-chat")!.replaceWith(next);
			}, wrong);
			await page.getByRole("heading", { name: "Begin a story" }).waitFor();
		}
		await page.close();
	});

	it("says that an answer went on after a reload, and after a device left", async () => {
		const page = await gallery.show("chat-resumed");
		await page.getByText("went on after a reload", { exact: true }).waitFor();
		expect(await answerText(page)).toContain("until the stars came out.");
		await page.close();
		const other = await gallery.show("chat-replaced");
		await other.getByText("1 device left, another took over", { exact: true }).waitFor();
		await other.close();
	});

	it("gives a model that chats the whole conversation", async () => {
		const page = await gallery.show("chat-conversation");
		const second = (await calls(page))[1] as { options: { messages: { role: string; content: string }[] } };
		expect(second.options.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
		await page.close();
	});

	it("asks in private only where that was turned on, says what it hides and what not, and frees it when it is turned off", async () => {
		const page = await gallery.show("chat-empty");
		const toggle = page.getByRole("switch", { name: "Ask in private" });
		expect(await toggle.getAttribute("aria-checked")).toBe("false");
		await page.getByText("can read what you write", { exact: false }).waitFor();
		await toggle.focus();
		await page.keyboard.press("Enter");
		expect(await calls(page)).toEqual([{ method: "private.load", options: "bafyreistories15m" }]);
		await page
			.getByText("whoever tries can turn most of those numbers back into words", { exact: false })
			.waitFor();
		await page.getByText("This device keeps its own part, 171 MB", { exact: false }).waitFor();
		await page.getByRole("textbox").fill("Once");
		await page.getByRole("button", { name: "Continue" }).click();
		await page.getByRole("button", { name: "Stop" }).waitFor();
		expect((await calls(page)).at(-1)).toMatchObject({ method: "generate", options: { private: true } });
		// In the middle of an answer it cannot be taken away.
		expect(await toggle.isDisabled()).toBe(true);
		await page.getByRole("button", { name: "Stop" }).click();
		await toggle.click();
		expect((await calls(page)).at(-1)).toEqual({ method: "private.free" });
		await page.getByText("can read what you write", { exact: false }).waitFor();
		await page.close();
	});

	it("says that this device has no room for a private answer, and does not ask in private then", async () => {
		const page = await gallery.show("chat-private-no-room");
		await page.getByText("too little memory to keep its own part", { exact: false }).waitFor();
		expect(await page.getByRole("switch").getAttribute("aria-checked")).toBe("false");
		await page.close();
	});

	it("says how many stages are still compiling", async () => {
		const page = await gallery.show("chat-stages-compiling");
		await page.getByText("2 of 3 stages are compiling", { exact: true }).waitFor();
		await page.close();
	});

	it("says that the peers are busy, and counts down until one has room", async () => {
		const page = await gallery.show("chat-busy");
		const step = page.getByText("The peers are busy.").locator("..");
		await expect.poll(() => step.textContent()).toMatch(/Room in about 12 s\./);
		await expect.poll(() => step.textContent()).toMatch(/Room in about 1[01] s\./);
		await page.close();
	});

	it("is used by keyboard alone, from a suggestion to Stop", async () => {
		const page = await gallery.show("chat-empty");
		await page.getByRole("button", { name: "Lily wanted" }).focus();
		await page.keyboard.press("Enter");
		await page.getByRole("button", { name: "Stop" }).waitFor();
		await page.keyboard.press("Tab");
		await page.keyboard.press("Enter");
		await page.getByText("stopped by you").waitFor();
		await page.close();
	});
});
