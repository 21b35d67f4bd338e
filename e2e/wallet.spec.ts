import { expect, type Page, test } from "@playwright/test";
import { createTestProvider } from "@tabmesh/dauth/testing";
import { type Network, startNetwork, withSeededModel } from "./network.ts";

/** Installs a wallet (EIP-6963) in every page of this tab's context; its windows open in the test. */
async function install(page: Page, wallet: ReturnType<typeof createTestProvider>): Promise<void> {
	await page.exposeFunction("walletRequest", async (args: never) => {
		try {
			return { result: await wallet.provider.request(args) };
		} catch (error) {
			const { code, message } = error as { code?: number; message: string };
			return { error: { code, message } };
		}
	});
	await page.addInitScript(() => {
		const { walletRequest } = window as unknown as {
			walletRequest(args: unknown): Promise<{ result?: unknown; error?: { code: number; message: string } }>;
		};
		const provider = {
			async request(args: unknown) {
				const { result, error } = await walletRequest(args);
				if (error) throw Object.assign(new Error(error.message), { code: error.code });
				return result;
			},
		};
		const info = { uuid: crypto.randomUUID(), name: "Test wallet", icon: "", rdns: "org.example.test" };
		const announce = () =>
			dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider } }));
		addEventListener("eip6963:requestProvider", announce);
		announce();
	});
}

const databases = (page: Page) =>
	page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));

async function withNetwork(use: (network: Network) => Promise<void>): Promise<void> {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model);
		try {
			await use(network);
		} finally {
			await network.stop();
		}
	});
}

test("an installed wallet is asked on a click alone, for one signature, and not again after a reload", async ({
	page,
}) => {
	await withNetwork(async (network) => {
		const wallet = createTestProvider(`0x${"7a".repeat(32)}`);
		await install(page, wallet);
		await page.goto(`${network.url}/lend`, { waitUntil: "networkidle" });
		expect(wallet.state.windows).toBe(0);
		expect(await databases(page)).toEqual([]);

		await page.getByRole("button", { name: "Use an installed wallet" }).click();
		wallet.state.reject = true;
		await page.getByRole("button", { name: "Test wallet" }).click();
		await expect(page.getByRole("alert")).toContainText("declined");
		wallet.state.reject = false;
		wallet.state.windows = 0;
		await page.getByRole("button", { name: "Test wallet" }).click();
		await expect(page.getByText(/This tab acts for it until .* Every peer can check that\./)).toBeVisible();
		await expect(page.getByText(wallet.account.address)).toBeVisible();
		// One to let the page see it, one to sign.
		expect(wallet.state.windows).toBe(2);

		await page.reload({ waitUntil: "networkidle" });
		await page.getByRole("button", { name: /^Join/ }).click();
		await expect(page.getByText(/This tab acts for it until/)).toBeVisible();
		expect(wallet.state.windows).toBe(2);

		await page.getByRole("button", { name: "Take it back" }).click();
		await page.getByRole("button", { name: "Take it back" }).click();
		await expect(page.getByText("The wallet took it back.")).toBeVisible();
		expect(wallet.state.windows).toBe(3);
	});
});

test("a wallet made here is guarded by its passphrase, comes back after a reload, and can be taken back", async ({
	page,
}) => {
	await withNetwork(async (network) => {
		await page.goto(`${network.url}/lend`);
		await page.getByRole("button", { name: "Make a wallet" }).click();
		await page.getByLabel("Passphrase (you may leave it empty)").fill("correct horse");
		await page.getByRole("button", { name: "Make it" }).click();
		await expect(page.getByRole("list", { name: "Recovery phrase" }).getByRole("listitem")).toHaveCount(12);
		await page.getByRole("button", { name: "I have written them down" }).click();
		await expect(page.getByText(/This tab acts for it until/)).toBeVisible();
		const address = await page.locator("tabmesh-wallet [part=address]").textContent();

		await page.reload();
		await page.getByRole("button", { name: /^Join/ }).click();
		await expect(page.locator("tabmesh-wallet [part=address]")).toHaveText(address!);
		await page.getByRole("button", { name: "Show recovery phrase" }).click();
		await page.getByLabel("Passphrase").fill("wrong horse");
		await page.getByRole("button", { name: "Show the words" }).click();
		await expect(page.getByRole("alert")).toContainText("This is not the wallet's passphrase.");
		await page.getByLabel("Passphrase").fill("correct horse");
		await page.getByRole("button", { name: "Show the words" }).click();
		await expect(page.getByRole("list", { name: "Recovery phrase" }).getByRole("listitem")).toHaveCount(12);
		await page.getByRole("button", { name: "I have written them down" }).click();

		await page.getByRole("button", { name: "Take it back" }).click();
		await page.getByLabel("Passphrase").fill("correct horse");
		await page.getByRole("button", { name: "Take it back" }).click();
		await expect(page.getByText("The wallet took it back.")).toBeVisible();
	});
});
