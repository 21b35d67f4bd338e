import type { Tabmesh } from "@tabmesh/client";
import type { TabmeshClient } from "@tabmesh/embed";
import type { Frame, Page } from "playwright-core";
import { serveHostPages } from "../e2e/hostPages.ts";
import { launchBrowser } from "./src/browser.ts";
import { startNetwork } from "./src/network.ts";
import { OpenThings } from "./src/openThings.ts";
import { median, note, print } from "./src/report.ts";

// What a visitor of somebody else's page waits for, beside a visitor of /chat: from the click to the first token, everything that it loads
// included, and from a question to its first token when all of that is there. The swarm is warm, the browser has both in its cache.
const visits = 7;
const questions = 7;
const prompt = "Once upon a time";

const things = new OpenThings();
try {
	const args = ["--model", "stories15m", "--lenders", "1", "--memory", "400MB"];
	const network = things.add(await startNetwork(...args), ({ stop }) => stop());
	const script = `<script type="module" src="${network.url}/embed.js" crossorigin></script>`;
	const site = things.add(
		await serveHostPages({
			"/": { body: `<!doctype html><h1>Host</h1>${script}<tabmesh-chat></tabmesh-chat>` },
		}),
		({ close }) => close(),
	);
	const browser = things.add(await launchBrowser(), (browser) => browser.close());
	const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });

	/** Asks in a chat as soon as it lets one, and returns when the first token is written. */
	async function firstToken(chat: Page | Frame): Promise<void> {
		await chat.getByRole("textbox").fill(prompt);
		await chat.getByRole("button", { name: "Continue", exact: true }).click();
		await chat.waitForFunction((length) => {
			const answer = document.querySelector("tabmesh-chat")?.shadowRoot?.querySelector("[part~=answer]");
			return (answer?.textContent.trim().length ?? 0) > length;
		}, prompt.length);
	}
	async function openChat(): Promise<{ page: Page; ms: number }> {
		const page = await context.newPage();
		await page.goto(site.url, { waitUntil: "networkidle" });
		const start = performance.now();
		await page.goto(`${network.url}/chat`, { waitUntil: "commit" });
		await firstToken(page);
		return { page, ms: performance.now() - start };
	}
	async function openEmbed(): Promise<{ page: Page; ms: number }> {
		const page = await context.newPage();
		await page.goto(site.url, { waitUntil: "networkidle" });
		const start = performance.now();
		await page.getByRole("button", { name: "Ask the swarm" }).click();
		const iframe = await page.locator("tabmesh-chat iframe").elementHandle();
		await firstToken((await iframe!.contentFrame())!);
		return { page, ms: performance.now() - start };
	}

	const [chatMs, embedMs]: [number[], number[]] = [[], []];
	for (let visit = 0; visit <= visits; visit++) {
		for (const [open, into] of [
			[openChat, chatMs],
			[openEmbed, embedMs],
		] as const) {
			const { page, ms } = await open();
			await page.close();
			// The first one fills the browser's cache.
			if (visit > 0) into.push(ms);
		}
		if (visit > 0)
			note(`visit ${visit}: /chat ${chatMs.at(-1)!.toFixed(0)} ms, embed ${embedMs.at(-1)!.toFixed(0)} ms`);
	}

	const chat = await context.newPage();
	await chat.goto(`${network.url}/chat`);
	const askedChatMs = await chat.locator("tabmesh-chat").evaluate(
		async (element, { questions, prompt }) => {
			const { connect } = element as unknown as { connect(signal: AbortSignal): Promise<Tabmesh> };
			const mesh = await connect(new AbortController().signal);
			while (!mesh.models[0]?.coverage.complete) await new Promise((resolve) => setTimeout(resolve, 20));
			const times: number[] = [];
			for (let i = 0; i <= questions; i++) {
				const start = performance.now();
				const answer = mesh.generate({ prompt: `${prompt} ${i}`, maxTokens: 4, temperature: 0 });
				let first = true;
				for await (const _ of answer) {
					if (first && i > 0) times.push(performance.now() - start);
					first = false;
				}
			}
			await mesh.close();
			return times;
		},
		{ questions, prompt },
	);
	await chat.close();
	const host = await context.newPage();
	await host.goto(site.url, { waitUntil: "networkidle" });
	await host.locator("h1").click();
	const askedEmbedMs = await host.evaluate(
		async ({ questions, prompt }) => {
			const { Tabmesh } = globalThis as unknown as { Tabmesh: { connect(): Promise<TabmeshClient> } };
			const client = await Tabmesh.connect();
			const model = (await client.models.list()).data[0]!.id;
			const times: number[] = [];
			for (let i = 0; i <= questions; i++) {
				const start = performance.now();
				const params = {
					model,
					prompt: `${prompt} ${i}`,
					max_tokens: 4,
					temperature: 0,
					stream: true,
				} as const;
				let first = true;
				for await (const _ of await client.completions.create(params)) {
					if (first && i > 0) times.push(performance.now() - start);
					first = false;
				}
			}
			client.close();
			return times;
		},
		{ questions, prompt },
	);
	print(
		{
			bench: "embed",
			figures: {
				first_visit_ratio: median(embedMs) / median(chatMs),
				question_extra_ms: median(askedEmbedMs) - median(askedChatMs),
			},
			details: { chatMs, embedMs, askedChatMs, askedEmbedMs },
		},
		{ first_visit_ratio: "≤ 1.2" },
	);
} finally {
	await things.close();
}
process.exit(0);
