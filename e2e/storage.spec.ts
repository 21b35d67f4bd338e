import { expect, type Page, test } from "@playwright/test";
import { startNetwork, withSeededModel } from "./network.ts";
import { joinTab, untilServing, withoutOrigin } from "./tabs.ts";

/** Blocks, and what is said of them, that lie in the page's IndexedDB: looked at past our own code. */
async function inDatabase(page: Page): Promise<{ blocks: number; entries: number; wholes: number }> {
	return page.evaluate(async () => {
		const answer = <T>(request: IDBRequest<T>): Promise<T> =>
			new Promise((resolve, reject) => {
				request.onsuccess = () => resolve(request.result);
				request.onerror = () => reject(request.error);
			});
		const database = await answer(indexedDB.open("tabmesh-r1fs"));
		const stores = ["blocks", "entries", "wholes"] as const;
		const transaction = database.transaction(stores);
		const [blocks, entries, wholes] = await Promise.all(
			stores.map((name) => answer(transaction.objectStore(name).count())),
		);
		database.close();
		return { blocks: blocks!, entries: entries!, wholes: wholes! };
	});
}

async function openStorage(tab: Page): Promise<Page> {
	const page = await tab.context().newPage();
	await page.goto(new URL("/storage", tab.url()).href);
	return page;
}

/** What `/storage` says of where the one model came from, once it is there and at rest. */
async function sources(page: Page): Promise<string[]> {
	await expect(page.getByRole("heading", { level: 3 })).toHaveCount(1);
	return page.getByRole("list", { name: "From whom" }).getByRole("listitem").allInnerTexts();
}

test("what a tab kept is shown with its sources, the web for the first and a peer for a late one, stays while it is lent, and is freed for all tabs", async ({
	browser,
}) => {
	await withSeededModel({}, async (model) => {
		const network = await startNetwork("--model", model);
		try {
			const first = await joinTab(await browser.newContext(), network.url);
			await untilServing(first);
			const { context } = await withoutOrigin(browser);
			const late = await joinTab(context, network.url);
			await untilServing(late);

			const problems: string[] = [];
			const [storage, lateStorage] = [await openStorage(first), await openStorage(late)];
			for (const page of [storage, lateStorage]) {
				page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
				page.on("pageerror", (error) => problems.push(String(error)));
			}
			expect(await sources(storage)).toEqual([
				expect.stringMatching(new RegExp(`^${new URL(network.url).host}\\s+\\d+ [kM]B$`)),
			]);
			expect(await sources(lateStorage)).toEqual([expect.stringMatching(/^Peer …\w{5}\s+\d+ [kM]B$/)]);

			// Lent, so it stays, for the button and for the SDK.
			await expect(storage.getByText("In use", { exact: true })).toBeVisible();
			await expect(storage.getByRole("button", { name: /^Free (?!everything)/ })).toHaveCount(0);
			const refused = await storage.locator("tabmesh-storage").evaluate(async (element) => {
				const opened = await (element as unknown as StorageElement).openStorage();
				const { kept } = await opened.view();
				return opened.free(kept[0]!.id).then(
					() => "freed",
					(error) => error.code,
				);
			});
			expect(refused).toBe("StorageInUse");

			await first.getByRole("button", { name: "Leave" }).click();
			await expect(first.getByRole("heading", { name: "You have left" })).toBeVisible();
			await first.close();
			const before = await sources(storage);
			await storage.reload();
			expect(await sources(storage)).toEqual(before);
			expect((await inDatabase(storage)).blocks).toBeGreaterThan(0);

			const twin = await openStorage(storage);
			await expect(twin.getByRole("heading", { level: 3 })).toHaveCount(1);
			const free = storage.getByRole("button", { name: /^Free (?!everything)/ });
			await free.click();
			await storage.getByRole("button", { name: /^Free \d/ }).click();
			for (const page of [storage, twin])
				await expect(page.getByRole("heading", { name: "Nothing is kept yet" })).toBeVisible();
			expect(await inDatabase(storage)).toEqual({ blocks: 0, entries: 0, wholes: 0 });
			// The other device keeps its own.
			expect(await sources(lateStorage)).toHaveLength(1);
			expect(problems).toEqual([]);
		} finally {
			await network.stop();
		}
	});
});

interface StorageElement {
	openStorage(): Promise<import("@tabmesh/client").DeviceStorage>;
}
