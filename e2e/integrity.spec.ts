import { expect, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { untilServing } from "./tabs.ts";

test("a shard with a wrong hash is refused and fetched from the next origin", async ({ page }) => {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model);
		try {
			let spoiled = 0;
			let good = 0;
			// The first origin answers with the right number of wrong bytes, the second is the relay itself.
			await page.route("**/origins.json", async (route) => {
				const response = await route.fetch();
				const [origin] = (await response.json()) as { baseUrl: string }[];
				await route.fulfill({ response, json: [{ ...origin, baseUrl: "./spoiled/" }, origin] });
			});
			await page.route("**/spoiled/**", async (route) => {
				const url = route.request().url().replace("/spoiled/", "/");
				const response = await route.fetch({ url });
				const body = await response.body();
				body[body.byteLength >> 1]! ^= 1;
				spoiled++;
				await route.fulfill({ response, body });
			});
			page.on("response", (response) => {
				if (/\/models\/[^/]+\/[^/]+\.(bin|json)$/.test(response.url()) && !response.url().includes("origins"))
					good++;
			});
			await page.goto(`${network.url}/lend`);
			await page.getByText("Details", { exact: true }).click();
			await page.getByLabel("Computes on").selectOption("wasm");
			await page.getByRole("button", { name: /^Join/ }).click();
			await untilServing(page);
			expect(spoiled).toBeGreaterThan(0);
			expect(good).toBeGreaterThan(0);
		} finally {
			await network.stop();
		}
	});
});
