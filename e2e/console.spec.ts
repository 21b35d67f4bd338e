import { expect, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";

test("the console shows who lends what and how the relay is, by a link that can be sent, and joins as nobody", async ({
	page,
}) => {
	await withSeededModel({ layers: 6 }, async (model) => {
		const network = await startNetwork(
			...["--model", model, "--min-stages", "2", "--lenders", "2", "--memory", "200MB"],
		);
		try {
			const problems: string[] = [];
			page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
			page.on("pageerror", (error) => problems.push(String(error)));
			await page.goto(`${network.url}/console`);
			const map = page.getByRole("img", { name: /one bar for each of 2 peers\. All 6 layers are held/ });
			await expect(map).toBeVisible();
			const rows = page.getByRole("table", { name: "Peers" }).locator("tbody tr");
			await expect(rows).toHaveCount(2);
			await expect(page.getByText("Works", { exact: true })).toBeVisible();
			await expect(page.getByText("WebSockets open")).toBeVisible();

			await page.getByText("Why these layers?").click();
			await expect(page.getByText(/^…\w{5} (Keeps|Takes) layers/).first()).toBeVisible();
			await rows.first().getByRole("button").click();
			await expect(page.getByText("a program without a browser")).toBeVisible();
			const link = page.url();
			expect(link).toMatch(/#peer=\w{40,}$/);

			// Whoever gets the link sees the same; two pages look on, and nobody lends more than before.
			const other = await page.context().newPage();
			await other.goto(link);
			await expect(other.getByText("a program without a browser")).toBeVisible();
			await expect(other.getByText("All: 2")).toBeVisible();
			await expect(page.getByText("All: 2")).toBeVisible();
			expect(problems).toEqual([]);
		} finally {
			await network.stop();
		}
	});
});
