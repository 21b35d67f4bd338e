import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Browser, expect, type FrameLocator, type Page, test } from "@playwright/test";
import type { TabmeshClient } from "@tabmesh/embed";
import { tinyHubModel } from "@tabmesh/model/testing";
import { examplePage, type HostSite, serveHostPages } from "./hostPages.ts";
import { type Network, startNetwork } from "./network.ts";

declare global {
	var Tabmesh: { connect(): Promise<TabmeshClient> };
	var client: TabmeshClient;
	var phases: string[];
}

/** Longer than a panel has to be in plain sight before a click counts. */
const sightMs = 800;
const isolated = {
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-embedder-policy": "require-corp",
};

let network: Network;
let site: HostSite;
let folder: string;

test.beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "tabmesh-embed-"));
	const { files } = await tinyHubModel({ shape: { layers: 4, contextLength: 2048 } });
	const chat_template = "{% for message in messages %}{{ message.content }}\n{% endfor %}";
	files.set(
		"tokenizer_config.json",
		new TextEncoder().encode(JSON.stringify({ bos_token: "<s>", eos_token: "</s>", chat_template })),
	);
	for (const [name, content] of files) {
		await mkdir(dirname(join(folder, name)), { recursive: true });
		await writeFile(join(folder, name), content);
	}
	network = await startNetwork("--model", folder, "--lenders", "1", "--memory", "200MB");
	const relay = network.url;
	const script = `<script type="module" src="${relay}/embed.js" crossorigin></script>`;
	site = await serveHostPages({
		"/": await examplePage(relay),
		"/lend": { body: `<!doctype html><h1>Win</h1>${script}<tabmesh-lend></tabmesh-lend>` },
		"/eager": {
			body: `<!doctype html>${script}<output></output><script type="module">
				document.querySelector("output").textContent = await Tabmesh.connect().catch(({ code }) => code);</script>`,
		},
		"/framed": { body: `<!doctype html><iframe src="/lend" width="800" height="900"></iframe>` },
		"/isolated": { body: `<!doctype html>${script}<tabmesh-chat></tabmesh-chat>`, headers: isolated },
		"/classic": {
			body: `<!doctype html><html lang="de-AT"><script>var Tabmesh = "another library";
				customElements.define("tabmesh-chat", class extends HTMLElement {});</script>
				<script src="${relay}/embed.iife.js"></script><tabmesh-lend></tabmesh-lend>`,
		},
		"/forbidding": {
			body: `<!doctype html>${script}<tabmesh-lend></tabmesh-lend>`,
			headers: { "content-security-policy": "frame-src 'none'" },
		},
	});
});
test.afterAll(async () => {
	await site?.close();
	await network?.stop();
	await rm(folder, { recursive: true, force: true });
});

async function visit(browser: Browser, path: string): Promise<{ page: Page; problems: string[] }> {
	const page = await (await browser.newContext()).newPage();
	const problems: string[] = [];
	page.on("pageerror", (error) => problems.push(String(error)));
	page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
	await page.goto(site.url + path, { waitUntil: "networkidle" });
	return { page, problems };
}

/** Opens the panel for lending, and waits until it is there. */
async function openLend(page: Page): Promise<FrameLocator> {
	await page.evaluate(() => {
		globalThis.phases = [];
		document.querySelector("tabmesh-lend")!.addEventListener("tabmesh-phase", (event) => {
			phases.push(String((event as CustomEvent<{ phase: string }>).detail.phase));
		});
	});
	await page.getByRole("button", { name: /^Lend this tab/ }).click();
	const frame = page.frameLocator("tabmesh-lend iframe");
	await expect(frame.getByRole("button", { name: /^Join/ })).toBeVisible();
	return frame;
}

/** Presses *Join* with a real mouse, wherever it is now. */
async function pressJoin(page: Page, frame: FrameLocator): Promise<void> {
	const box = (await frame.getByRole("button", { name: /^Join/ }).boundingBox())!;
	await page.mouse.move(box.x + box.width / 2 - 3, box.y + box.height / 2);
	await page.waitForTimeout(300);
	await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
}

test("the README's example works on another site's page under the policy of the guide, and loads one small script before a click", async ({
	browser,
}) => {
	const context = await browser.newContext();
	const page = await context.newPage();
	const [requests, problems]: [string[], string[]] = [[], []];
	page.on("request", (request) => request.url().startsWith(network.url) && requests.push(request.url()));
	page.on("pageerror", (error) => problems.push(String(error)));
	page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
	await page.goto(site.url, { waitUntil: "networkidle" });
	await expect(page.getByRole("button", { name: "Ask the swarm" })).toBeVisible();
	expect(requests).toEqual([`${network.url}/embed.js`]);
	expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
	// Nor does a script's click load anything, or a call.
	await page
		.locator("tabmesh-chat")
		.evaluate((element) => element.shadowRoot!.querySelector("button")!.click());
	expect(requests).toHaveLength(1);
	const eager = await visit(browser, "/eager");
	await expect(eager.page.getByText("ConsentRequired")).toBeVisible();

	await page.getByRole("button", { name: "What is the capital of France?" }).click();
	await expect(page.locator("output")).not.toBeEmpty();

	await page.getByRole("button", { name: "Ask the swarm" }).click();
	const chat = page.frameLocator("tabmesh-chat iframe");
	await chat.getByRole("textbox").fill("Once upon a time");
	await chat.getByRole("button", { name: "Ask", exact: true }).click();
	await expect(chat.getByText(/^\d+ tokens?$/)).toBeVisible();
	expect(problems).toEqual([]);
	await eager.page.context().close();
	await context.close();
});

test("a hostile page starts nothing: it clicks by script, covers, fades, shrinks and clips the panel, and reads no key", async ({
	browser,
}) => {
	const { page } = await visit(browser, "/lend");
	const frame = await openLend(page);
	const join = frame.getByRole("button", { name: /^Join/ });
	const element = page.locator("tabmesh-lend");
	const refused = frame.getByRole("alert");
	await page.waitForTimeout(sightMs);
	// As tall as what it shows, and no taller for that.
	expect((await frame.owner().boundingBox())!.height).toBeLessThan(1_500);

	// From outside there is no way in; what it says by messages nobody heeds.
	const reached = await element.evaluate(async (element) => {
		const iframe = element.shadowRoot!.querySelector("iframe")!;
		const inner = iframe.contentWindow as Window & typeof globalThis;
		const tries = [
			() => inner.document,
			() => inner.indexedDB,
			() => inner.localStorage,
			() => inner.eval("1"),
			() => iframe.contentDocument!.body,
		];
		const got = tries.map((attempt) => {
			try {
				return attempt() === undefined ? "nothing" : "something";
			} catch {
				return "refused";
			}
		});
		for (const type of ["pointerdown", "mousedown", "pointerup", "mouseup", "click"])
			iframe.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX: 100, clientY: 100 }));
		const { port1, port2 } = new MessageChannel();
		inner.postMessage({ tabmesh: 1, type: "hello" }, "*", [port2]);
		for (const message of ["join", { type: "join" }, { type: "phase", phase: "serving" }, { type: "lend" }]) {
			inner.postMessage(message, "*");
			port1.postMessage(message);
		}
		return {
			got,
			kept: [...(await indexedDB.databases()).map(({ name }) => name), ...Object.keys(localStorage)],
		};
	});
	expect(reached).toEqual({ got: Array(5).fill("refused"), kept: [] });
	await join.evaluate((button) => (button as HTMLButtonElement).click());
	await expect(refused.getByText("no click of yours")).toBeVisible();

	// Each of these is lifted again, so that only what it does itself is at work.
	const disguises: Record<string, string> = {
		covered: `const cover = document.createElement("div"); cover.id = "cover";
			cover.style.cssText = "position:fixed;inset:0;background:#fff;pointer-events:none"; document.body.append(cover)`,
		faded: `host.style.opacity = "0.01"`,
		shrunk: `host.style.transform = "scale(0.6)"`,
		filtered: `host.style.filter = "invert(1)"`,
		clipped: `const above = joinTop - host.getBoundingClientRect().top - 8;
			host.style.clipPath = "inset(" + above + "px 0 calc(100% - " + (above + 76) + "px) 0)"`,
	};
	for (const [name, disguise] of Object.entries(disguises)) {
		await test.step(name, async () => {
			const { y } = (await join.boundingBox())!;
			await page.evaluate(
				`{ const joinTop = ${y}; const host = document.querySelector("tabmesh-lend"); ${disguise} }`,
			);
			await page.waitForTimeout(200);
			await pressJoin(page, frame);
			await expect(refused.getByText("not in plain sight")).toBeVisible();
			await page.evaluate(() => {
				document.querySelector("#cover")?.remove();
				document.querySelector("tabmesh-lend")!.removeAttribute("style");
			});
			expect(await page.evaluate(() => phases)).toEqual([]);
			await page.waitForTimeout(sightMs);
		});
	}
	await test.step("covered in the last moment", async () => {
		const box = (await join.boundingBox())!;
		await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
		await page.waitForTimeout(sightMs);
		await page.evaluate(disguises.covered!.replace(/^/, "{").concat("}"));
		await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
		await page.waitForTimeout(sightMs);
		expect(await page.evaluate(() => phases)).toEqual([]);
		await page.evaluate(() => document.querySelector("#cover")!.remove());
	});

	// And a person who sees all of it lends with one click.
	await page.waitForTimeout(sightMs);
	await pressJoin(page, frame);
	await expect(frame.getByRole("heading", { name: "Serving" })).toBeVisible();
	expect(await page.evaluate(() => phases.at(-1))).toBe("serving");
	// Nothing here takes more of the device: what the page around it pressed now would go unguarded.
	await expect(frame.getByRole("link", { name: "Decide when and how much this device lends" })).toBeVisible();
	await expect(
		frame.locator("tabmesh-preferences, input[type=range], input[type=checkbox], select"),
	).toHaveCount(0);
	await frame.getByRole("button", { name: "Leave" }).click();
	await expect(frame.getByRole("heading", { name: "You have left" })).toBeVisible();
	await page.context().close();
});

test("a page that floods gets no more answers than a site may have, however many frames it opens, and nothing else is taken", async ({
	browser,
}) => {
	const { page } = await visit(browser, "/");
	await page.locator("h1").click();
	const outcome = await page.evaluate(async () => {
		const clients = await Promise.all([1, 2, 3].map(() => globalThis.Tabmesh.connect()));
		const { data } = await clients[0]!.models.list();
		const model = data[0]!.id;
		const messages = [{ role: "user" as const, content: "Once" }];
		const codes: Record<string, number> = {};
		let [running, most] = [0, 0];
		const ask = async (client: TabmeshClient): Promise<void> => {
			let begun = false;
			try {
				const stream = await client.chat.completions.create({ model, messages, stream: true, max_tokens: 8 });
				most = Math.max(most, ++running);
				begun = true;
				for await (const _ of stream);
				codes.answered = (codes.answered ?? 0) + 1;
			} catch (error) {
				const { code } = error as { code: string };
				codes[code] = (codes[code] ?? 0) + 1;
			} finally {
				if (begun) running--;
			}
		};
		for (let round = 0; round < 30; round++)
			await Promise.all(clients.flatMap((client) => [ask(client), ask(client)]));
		const refusals: string[] = [];
		const circle: unknown[] = [];
		circle.push(circle);
		for (const params of [
			{ model, messages: [{ role: "user", content: "x".repeat(200_000) }] },
			{ model, messages: Array(20_000).fill(messages[0]) },
			{ model, messages: circle },
			{ model, messages, tools: new Uint8Array(1e6) },
			{ model, messages, private: true },
			{ model: "another", messages },
			undefined,
		]) {
			const error = await clients[0]!.chat.completions.create(params as never).then(
				() => ({ code: "answered" }),
				(error: { code: string }) => error,
			);
			refusals.push(error.code);
		}
		for (const client of clients) client.close();
		return { codes, most, refusals };
	});
	expect(outcome.most).toBeLessThanOrEqual(2);
	expect(outcome.codes.answered).toBeGreaterThan(0);
	expect(outcome.codes.answered).toBeLessThanOrEqual(20);
	expect(outcome.codes.Flood! + outcome.codes.StageBusy! + outcome.codes.answered!).toBe(180);
	expect(outcome.refusals.slice(0, 4)).toEqual([
		"MessageTooLarge",
		"MessageTooLarge",
		"MessageTooLarge",
		"MalformedMessage",
	]);
	expect(outcome.refusals).not.toContain("answered");
	await page.context().close();
});

test("where a browser cannot tell what lies over a panel, lending is done in a window of Tabmesh's own", async ({
	browser,
}) => {
	const context = await browser.newContext();
	await context.addInitScript(() => {
		Reflect.deleteProperty(IntersectionObserverEntry.prototype, "isVisible");
	});
	const page = await context.newPage();
	await page.goto(`${site.url}/lend`);
	await page.getByRole("button", { name: /^Lend this tab/ }).click();
	const frame = page.frameLocator("tabmesh-lend iframe");
	const [own] = await Promise.all([
		context.waitForEvent("page"),
		frame.getByRole("alert").getByRole("link").or(frame.getByRole("link").first()).first().click(),
	]);
	await expect(own.getByRole("button", { name: /^Join/ })).toBeVisible();
	expect(await own.evaluate(() => [top === self, opener, location.pathname])).toEqual([true, null, "/lend"]);
	await expect(frame.getByRole("button", { name: /^Join/ })).toBeHidden();
	await context.close();
});

test("works in a frame, on an isolated page, as a classic script beside libraries of the same names, and says what a policy lacks", async ({
	browser,
}) => {
	const framed = await visit(browser, "/framed");
	const inner = framed.page.frameLocator("iframe");
	await inner.getByRole("button", { name: /^Lend this tab/ }).click();
	await expect(
		inner.frameLocator("tabmesh-lend iframe").getByRole("button", { name: /^Join/ }),
	).toBeVisible();

	const threads = await visit(browser, "/isolated");
	await threads.page.getByRole("button", { name: "Ask the swarm" }).click();
	const chat = threads.page.frameLocator("tabmesh-chat iframe");
	await expect(chat.getByRole("textbox")).toBeVisible();
	expect(await chat.locator("body").evaluate(() => crossOriginIsolated)).toBe(true);

	const classic = await visit(browser, "/classic");
	await classic.page.getByRole("button", { name: /^Leih diesen Tab/ }).click();
	const german = classic.page.frameLocator("tabmesh-lend iframe");
	await expect(german.getByText("nichts drücken kann")).toBeVisible();
	expect(await classic.page.evaluate(() => globalThis.Tabmesh as unknown)).toBe("another library");
	expect(classic.problems).toEqual([]);

	const forbidding = await visit(browser, "/forbidding");
	await forbidding.page.getByRole("button", { name: /^Lend this tab/ }).click();
	await expect(forbidding.page.getByText(`Add "frame-src ${network.url}" to it.`)).toBeVisible();
	for (const { page } of [framed, threads, classic, forbidding]) await page.context().close();
});
