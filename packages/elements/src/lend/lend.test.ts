import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {} from "../../gallery/gallery.ts";
import { type OpenGallery, openGallery } from "../../gallery/openGallery.ts";

describe("<tabmesh-lend>", () => {
	let gallery: OpenGallery;
	beforeAll(async () => {
		gallery = await openGallery();
	});
	afterAll(async () => {
		expect(gallery.complaints).toEqual([]);
		await gallery.close();
	});

	const asked = (page: Page) =>
		page.evaluate(() => ({ connects: window.gallery.connects, calls: window.gallery.tabmesh.calls }));
	const tabTo = async (page: Page, name: string) => {
		for (let presses = 0; presses < 30; presses++) {
			await page.keyboard.press("Tab");
			const focused = await page.evaluate(() => {
				let element = document.activeElement;
				while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
				return element?.textContent?.trim();
			});
			if (focused?.startsWith(name)) return;
		}
		throw new Error(`No way to ${name} by Tab.`);
	};

	it("asks nothing of any network before Join is pressed, whatever else is touched", async () => {
		const page = await gallery.show("lend-before");
		await page.getByLabel("Memory to lend").press("ArrowRight");
		await page.getByText("Details").click();
		await page.getByLabel("Computes on").selectOption("wasm");
		await page.getByLabel("Threads").fill("1");
		expect(await asked(page)).toEqual({ connects: 0, calls: [] });
		await page.getByRole("button", { name: /^Join/ }).click();
		await page.getByRole("heading", { name: "Joining" }).waitFor();
		const { connects, calls } = await asked(page);
		expect(connects).toBe(1);
		expect(calls).toEqual([
			{ method: "lend", options: { memoryBytes: expect.any(Number), backend: "wasm", threads: 1 } },
		]);
		await page.close();
	});

	it("lends what the slider says and the button repeats", async () => {
		const page = await gallery.show("lend-before");
		await page.getByLabel("Memory to lend").press("Home");
		await page.getByRole("button", { name: "Join with 250 MB" }).click();
		await page.getByRole("heading", { name: "Joining" }).waitFor();
		expect((await asked(page)).calls).toEqual([{ method: "lend", options: { memoryBytes: 250_000_000 } }]);
		await page.close();
	});

	it("lends once, however often Join is clicked", async () => {
		const page = await gallery.show("lend-before");
		await page.evaluate(() => {
			const join = document
				.querySelector("tabmesh-lend")!
				.shadowRoot!.querySelector<HTMLElement>("[part=join]")!;
			join.click();
			join.click();
			join.click();
		});
		await page.getByRole("heading", { name: "Joining" }).waitFor();
		expect((await asked(page)).calls).toHaveLength(1);
		await page.close();
	});

	it("is joined, paused, resumed and left by keyboard alone", async () => {
		const page = await gallery.show("lend-before");
		await tabTo(page, "Join");
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: "Joining" }).waitFor();
		await page.evaluate(() => window.gallery.tabmesh.lender!.become({ phase: "serving" }));
		await tabTo(page, "Pause");
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: "Paused" }).waitFor();
		await page.locator("body").click({ position: { x: 2, y: 2 } });
		await tabTo(page, "Resume");
		await page.keyboard.press("Space");
		await page.getByRole("heading", { name: "Serving" }).waitFor();
		await tabTo(page, "Leave");
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: "You have left" }).waitFor();
		await page.close();
	});

	it("asks once more before it breaks running answers off", async () => {
		const page = await gallery.show("lend-leave-warning");
		const phase = () => page.evaluate(() => window.gallery.tabmesh.lender!.view.phase);
		expect(await phase()).toBe("serving");
		await page.getByRole("button", { name: "Stay" }).click();
		await page.getByRole("button", { name: "Leave" }).click();
		await page.getByRole("button", { name: "Leave now" }).click();
		expect(await phase()).toBe("left");
		await page.close();
	});

	it("takes a cancelled Join back as if nothing had happened", async () => {
		const page = await gallery.show("lend-connecting");
		await page.getByRole("button", { name: "Cancel" }).click();
		await page.getByRole("button", { name: /^Join/ }).waitFor();
		expect((await asked(page)).calls).toEqual([]);
		await page.close();
	});

	it("says how many bytes the swarm lacks, rounded up", async () => {
		const page = await gallery.show("lend-waiting");
		await page
			.getByText("The model needs 210 MB more memory than the swarm has lent so far.")
			.first()
			.waitFor();
		await page.close();
	});

	it("tells what failed and what to do, and tries again on request", async () => {
		const page = await gallery.show("lend-failed");
		const alert = page.getByRole("alert");
		await alert.getByText("This browser can run neither WebGPU nor WebAssembly.").waitFor();
		await alert.getByText("Use a current Chrome, Edge, Firefox or Safari.").waitFor();
		await page.getByRole("button", { name: "Try again" }).click();
		await page.waitForFunction(() => window.gallery.tabmesh.calls.length === 2);
		await page.close();
	});

	it("shows what went wrong without ending anything, until it has been read", async () => {
		const page = await gallery.show("lend-notice");
		await page.getByRole("alert").getByText("no room left", { exact: false }).waitFor();
		await page.getByRole("heading", { name: "Serving" }).waitFor();
		await page.getByRole("button", { name: "All right" }).click();
		expect(await page.getByRole("alert").count()).toBe(0);
		await page.close();
	});

	it("goes on lending while it is moved about in the page", async () => {
		const page = await gallery.show("lend-serving");
		await page.evaluate(() => {
			const element = document.querySelector("tabmesh-lend")!;
			const elsewhere = document.createElement("section");
			element.parentElement!.append(elsewhere);
			elsewhere.append(element);
			window.gallery.tabmesh.lender!.become({ tokensServed: 77_777 });
		});
		await page.getByText("77,777").waitFor();
		expect((await asked(page)).calls).toHaveLength(1);
		await page.close();
	});
});
