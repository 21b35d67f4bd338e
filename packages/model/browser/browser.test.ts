import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openBrowser, openPage } from "../../../e2e/setup/openBrowser.ts";
import { type ServedPage, servePage } from "../../../e2e/setup/servePage.ts";
import { temporaryFolder } from "../src/gguf/testing/temporaryFolder.ts";
import { type HubServer, startHubServer } from "../src/huggingface/testing/hubServer.ts";
import { type TinyHubModel, tinyHubModel } from "../src/huggingface/testing/tinyHubModel.ts";
import { publishModel } from "../src/manifest/publishModel.ts";
import { openModelFiles } from "../src/open/openModelFiles.ts";
import type { ModelHarness } from "./harness.page.ts";

declare const harness: ModelHarness;

describe("in Chromium, a model is the same as in Node", () => {
	let model: TinyHubModel;
	let ids: { gguf: string; safetensors: string };
	let hub: HubServer;
	let served: ServedPage;
	let browser: Browser;
	let page: Page;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	beforeAll(async () => {
		model = await tinyHubModel({ architecture: "qwen3", parts: 2, stored: "BF16" });
		const idOf = async (files: Iterable<[string, Uint8Array<ArrayBuffer>]>) => {
			const picked = [...files].map(([name, content]) => new File([content], name));
			return (await publishModel(await openModelFiles(picked))).id;
		};
		ids = { gguf: await idOf([["tiny.gguf", model.gguf]]), safetensors: await idOf(model.files) };
		hub = await startHubServer(new Map([...model.files, ["tiny.gguf", model.gguf]]));
		folder = await temporaryFolder();
		for (const [name, content] of [...model.files, ["tiny.gguf", model.gguf] as const]) {
			await writeFile(join(folder.path, name), content);
		}
		[served, browser] = await Promise.all([servePage(new URL(".", import.meta.url)), openBrowser()]);
	});
	beforeEach(async () => {
		hub.intercept = undefined;
		await page?.close();
		page = await openPage(browser, served.url);
	});
	afterAll(async () => {
		await browser?.close();
		await served?.close();
		await hub?.[Symbol.asyncDispose]();
		await folder?.[Symbol.asyncDispose]();
	});
	const paths = (names: Iterable<string>) => [...names].map((name) => join(folder.path, name));

	test("out of a GGUF that a person picked", async () => {
		await page.setInputFiles("input", paths(["tiny.gguf"]));
		expect(await page.evaluate(() => harness.picked())).toEqual({ id: ids.gguf, architecture: "qwen3" });
	});

	test("out of the files of a Hugging Face model that a person picked", async () => {
		await page.setInputFiles("input", paths(model.files.keys()));
		expect(await page.evaluate(() => harness.picked())).toEqual({
			id: ids.safetensors,
			architecture: "qwen3",
		});
	});

	test("by byte ranges of a GGUF on another origin", async () => {
		const found = await page.evaluate((url) => harness.address(url), `${hub.url}tiny.gguf`);
		expect(found).toMatchObject({ id: ids.gguf, architecture: "qwen3" });
		expect(found.readBytes).toBeGreaterThan(model.gguf.byteLength * 0.9);
		const ranges = hub.requests.filter((request) => request.includes("tiny.gguf"));
		expect(ranges.length).toBeGreaterThan(10);
		expect(ranges.filter((request) => !/bytes=\d+-\d+$/.test(request))).toEqual([]);
	});

	test("by byte ranges of a hub's files, through its redirects", async () => {
		const found = await page.evaluate((url) => harness.address(url), hub.url);
		expect(found).toMatchObject({ id: ids.safetensors, architecture: "qwen3" });
	});

	test("or a typed error: a file that changed since it was picked", async () => {
		const path = join(folder.path, "changing.gguf");
		await writeFile(path, model.gguf);
		await page.setInputFiles("input", path);
		await page.evaluate(() => harness.picked());
		await appendFile(path, "more");
		expect(await page.evaluate(() => harness.pickedAgain())).toBe("ModelFile");
	});

	test.each<[string, HubServer["intercept"], string]>([
		["a login page", (_, response) => answer(response, 200, "text/html"), "ModelSource page"],
		["no permission", (_, response) => answer(response, 401), "ModelSource status"],
		["a broken server", (_, response) => answer(response, 503), "ModelSource status"],
		[
			"a server that lets no other origin in",
			(_, response) => {
				response.removeHeader("access-control-allow-origin");
				return answer(response, 200);
			},
			"ModelSource unreachable",
		],
		[
			"a server that hides which range it sends",
			(_, response) => {
				response.removeHeader("access-control-expose-headers");
				return false;
			},
			"ModelSource ranges",
		],
	])("or a typed error: %s", async (_, intercept, code) => {
		hub.intercept = intercept;
		const got = await page.evaluate((url) => harness.addressError(url), `${hub.url}tiny.gguf`);
		expect(got).toBe(code);
	});
});

function answer(
	response: Parameters<NonNullable<HubServer["intercept"]>>[1],
	status: number,
	type = "text/plain",
): true {
	response.writeHead(status, { "content-type": type }).end("…");
	return true;
}
