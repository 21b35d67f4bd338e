import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";

describe("<tabmesh-storage>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const calls = (page: Page) => page.evaluate(() => window.gallery.tabmesh.calls);
	const focused = (page: Page) =>
		page.evaluate(() => {
			let element = document.activeElement;
			while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
			return element?.textContent?.trim();
		});

	it("names every source of everything with its bytes", async () => {
		const page = await gallery.show("storage-kept");
		const stories = page
			.getByRole("listitem")
			.filter({ has: page.getByRole("heading", { name: "stories15m" }) });
		expect(
			await stories.getByRole("list", { name: "From whom" }).getByRole("listitem").allInnerTexts(),
		).toEqual([
			expect.stringMatching(/^Peer …m3xT\s+23 MB$|^Peer …Qm3xT\s+23 MB$/),
			expect.stringMatching(/^Peer …\w{5}\s+10 MB$/),
			expect.stringMatching(/^mesh\.example\.org\s+8 MB$/),
		]);
		await stories.getByText("67 % of 61 MB").waitFor();
		await page.close();
	});

	it("frees by keyboard, asking once more, and takes the keyboard along", async () => {
		const page = await gallery.show("storage-kept");
		await page.getByRole("button", { name: "Free stories15m" }).focus();
		await page.keyboard.press("Enter");
		await page.getByText("It is fetched again the next time it is needed.").waitFor();
		expect(await focused(page)).toBe("Free 41 MB");
		expect(await calls(page)).toEqual([]);
		await page.keyboard.press("Tab");
		await page.keyboard.press("Enter");
		expect(await focused(page)).toBe("Free");
		await page.keyboard.press("Enter");
		await page.waitForFunction(() => window.gallery.tabmesh.calls.length === 0);
		expect(await focused(page)).toBe("Free 41 MB");
		await page.keyboard.press("Space");
		await page.getByRole("heading", { name: "stories15m" }).waitFor({ state: "detached" });
		expect(await calls(page)).toEqual([{ method: "free", options: "bafyreistories15m" }]);
		expect(await page.getByRole("status").textContent()).toBe("41 MB are free again.");
		expect(await focused(page)).toBe("Kept here");
		await page.close();
	});

	it("offers no button for what is in use, and leaves it and what is pinned when all else is freed", async () => {
		const page = await gallery.show("storage-kept");
		expect(await page.getByRole("button", { name: "Free TinyLlama-1.1B-Chat" }).count()).toBe(0);
		await page.getByRole("button", { name: "Free everything unused" }).click();
		await page.getByRole("button", { name: "Free it" }).click();
		await page.getByRole("heading", { name: "stories15m" }).waitFor({ state: "detached" });
		expect(await page.getByRole("heading", { level: 3 }).allTextContents()).toEqual([
			"TinyLlama-1.1B-Chat",
			"Field notes.pdf",
		]);
		await page.close();
	});

	it("says where it was asked why something was not freed, until it has been read", async () => {
		const page = await gallery.show("storage-refused");
		await page.getByRole("listitem").getByRole("alert").getByText("in use on this device").waitFor();
		expect(await page.getByRole("heading", { name: "stories15m" }).count()).toBe(1);
		await page.getByRole("button", { name: "All right" }).click();
		expect(await page.getByRole("alert").count()).toBe(0);
		await page.close();
	});

	it("says before a smaller budget holds what will go, and changes nothing until the button is pressed", async () => {
		const page = await gallery.show("storage-kept");
		const slider = page.getByRole("slider", { name: /^You allow/ });
		expect(await slider.getAttribute("aria-valuetext")).toBe("2.1 GB");
		await slider.press("Home");
		await page.getByText("Up to 268 MB go at once").waitFor();
		expect(await calls(page)).toEqual([]);
		await page.getByRole("button", { name: "Allow 100 MB" }).click();
		await page.getByText("kept of the 100 MB that you allow").waitFor();
		expect(await calls(page)).toEqual([{ method: "setBudget", options: 100e6 }]);
		expect(await page.getByRole("button", { name: /^Allow/ }).count()).toBe(0);
		await page.close();
	});

	it("asks the browser to keep everything only when it is told to, and says what came of it", async () => {
		const page = await gallery.show("storage-kept");
		expect(await calls(page)).toEqual([]);
		await page.getByRole("button", { name: "Ask the browser to keep it" }).click();
		await page.getByText("The browser has promised not to clear this by itself.").first().waitFor();
		expect(await calls(page)).toEqual([{ method: "persist" }]);
		await page.close();
	});

	it("says with numbers that the disk is full", async () => {
		const page = await gallery.show("storage-full");
		const alert = page.getByRole("alert");
		await alert.getByText("In memory only: 59 MB.").waitFor();
		await alert.getByText("371 MB of 372 MB").waitFor();
		await page.close();
	});

	it("shows what another tab changed without being asked", async () => {
		const page = await gallery.show("storage-kept");
		await page.evaluate(() => window.gallery.tabmesh.storage.free("bafyreistories15m"));
		await page.getByRole("heading", { name: "stories15m" }).waitFor({ state: "detached" });
		await page.close();
	});
});
