import { expect, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { untilServing } from "./tabs.ts";

test("before Join nothing is computed, no model byte is fetched and nobody is called; after it, all of that", async ({
	page,
}) => {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model);
		try {
			const requests: string[] = [];
			const problems: string[] = [];
			let sockets = 0;
			page.on("request", (request) => requests.push(new URL(request.url()).pathname));
			page.on("websocket", () => sockets++);
			page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
			page.on("pageerror", (error) => problems.push(String(error)));
			await page.goto(`${network.url}/lend`, { waitUntil: "networkidle" });
			await expect(page.getByRole("button", { name: /^Join/ })).toBeEnabled();
			expect(requests.filter((path) => /^\/models\/|\.wasm$/.test(path))).toEqual([]);
			expect(sockets).toBe(0);
			expect(page.workers()).toEqual([]);
			expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);

			await page.getByRole("button", { name: /^Join/ }).click();
			await untilServing(page);
			expect(requests.some((path) => path.startsWith("/models/"))).toBe(true);
			expect(sockets).toBeGreaterThan(0);
			// The Content-Security-Policy forbids nothing that the page does.
			expect(problems).toEqual([]);

			await page.getByRole("button", { name: "Leave" }).click();
			await expect(page.getByRole("heading", { name: "You have left" })).toBeVisible();
		} finally {
			await network.stop();
		}
	});
});
