import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../gallery/openGallery.ts";

describe("<tabmesh-wallet>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const calls = (page: Page) => page.evaluate(() => window.gallery.tabmesh.calls.map(({ method }) => method));

	it("makes nothing until its form is sent, and shows the words once", async () => {
		const page = await gallery.show("wallet-none");
		await page.getByRole("button", { name: "Make a wallet" }).press("Enter");
		await page.keyboard.type("correct horse");
		expect(await calls(page)).toEqual([]);
		await page.keyboard.press("Enter");
		const words = page.getByRole("list", { name: "Recovery phrase" });
		await words.waitFor();
		expect(await words.getByRole("listitem").count()).toBe(12);
		expect(await calls(page)).toEqual(["create", "delegate"]);
		await page.getByRole("button", { name: "I have written them down" }).click();
		await page.getByText(/This tab acts for it until 21 Dec 2026/).waitFor();
		expect(await words.count()).toBe(0);
		await page.close();
	});

	it("says at the field what is wrong with a passphrase, and lets it be tried again", async () => {
		const page = await gallery.show("wallet-wrong-passphrase");
		const field = page.getByLabel("Passphrase");
		expect(await field.getAttribute("aria-invalid")).toBe("true");
		expect(await page.getByRole("alert").textContent()).toContain("This is not the wallet's passphrase.");
		expect(await page.getByRole("button", { name: "Unlock" }).isEnabled()).toBe(true);
		expect(await calls(page)).toEqual([]);
		await page.close();
	});

	it("asks the installed wallet that was chosen, and no other", async () => {
		const page = await gallery.show("wallet-installed");
		expect(await calls(page)).toEqual([]);
		await page.getByRole("button", { name: "Rabbit" }).click();
		await page.getByText("Installed in this browser").waitFor();
		expect(await calls(page)).toEqual(["use", "delegate"]);
		await page.close();
	});

	it("takes back what was asked twice about, and acts again only by another click", async () => {
		const page = await gallery.show("wallet-embedded");
		await page.getByRole("button", { name: "Take it back" }).click();
		await page.getByRole("button", { name: "Cancel" }).click();
		expect(await calls(page)).toEqual([]);
		await page.getByRole("button", { name: "Take it back" }).click();
		await page.getByRole("button", { name: "Take it back" }).click();
		await page.getByText("The wallet took it back.").waitFor();
		expect(await calls(page)).toEqual(["revoke"]);
		await page.getByRole("button", { name: "Let this tab act for it" }).click();
		await page.getByText(/This tab acts for it until/).waitFor();
		expect(await calls(page)).toEqual(["revoke", "delegate"]);
		await page.close();
	});

	it("tells that the owner declined, and offers the wallets again", async () => {
		const page = await gallery.show("wallet-rejected");
		await page.getByRole("alert").getByText("The wallet's owner declined.").waitFor();
		expect(await page.getByRole("button", { name: "Rabbit" }).isEnabled()).toBe(true);
		await page.close();
	});
});
