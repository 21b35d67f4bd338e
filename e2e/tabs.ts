import { type Browser, type BrowserContext, expect, type Page } from "@playwright/test";
import type { GenerateOptions, Generation, GenerationSummary, StageView, Tabmesh } from "@tabmesh/client";

/** Where a lending tab computes. */
export type PageBackend = "wasm" | "webgpu";

/** Opens `/lend` in a new tab of `context`, chooses the backend, and presses *Join*. */
export async function joinTab(
	context: BrowserContext,
	url: string,
	backend: PageBackend = "wasm",
): Promise<Page> {
	const page = await context.newPage();
	await page.goto(`${url}/lend`);
	await page.getByText("Details", { exact: true }).click();
	await page.getByLabel("Computes on").selectOption(backend);
	// Several tabs share two cores in a test machine.
	await page.getByLabel("Threads").fill("1");
	await page.getByRole("button", { name: /^Join/ }).click();
	return page;
}

/** Waits until a lending tab holds its layers. */
export async function untilServing(...pages: Page[]): Promise<void> {
	await Promise.all(
		pages.map((page) => expect(page.getByRole("heading", { name: "Serving" })).toBeVisible()),
	);
}

/** Opens lending tabs, each in a context of its own, and waits until all of them serve. */
export async function lendingTabs(
	browser: Browser,
	url: string,
	count: number,
	backend: PageBackend = "wasm",
): Promise<Page[]> {
	const pages: Page[] = [];
	for (let i = 0; i < count; i++) pages.push(await joinTab(await browser.newContext(), url, backend));
	await untilServing(...pages);
	return pages;
}

/** A device that reaches the relay, but not the place on the web where the model's files lie. */
export async function withoutOrigin(
	browser: Browser,
): Promise<{ context: BrowserContext; refused: string[] }> {
	const context = await browser.newContext();
	const refused: string[] = [];
	await context.route(/\/models\/[^/]+\/(?!manifest\.cbor|origins\.json|gate\.cbor)/, (route) => {
		refused.push(route.request().url());
		return route.abort();
	});
	return { context, refused };
}

/** Somebody is there: `/chat` reaches for the network at the first sign of that. */
export async function showPresence(page: Page): Promise<void> {
	await page.mouse.move(1, 1);
}

/** Opens `/chat` in a context of its own. */
export async function openChat(browser: Browser, url: string): Promise<Page> {
	const page = await (await browser.newContext()).newPage();
	await page.goto(`${url}/chat`);
	await showPresence(page);
	return page;
}

interface ChatElement {
	connect(signal: AbortSignal): Promise<Tabmesh>;
}

/** What crosses from the page to the test. */
export type Answer = Pick<GenerationSummary, "tokens" | "text" | "finishReason"> & {
	readonly peers: readonly string[];
	readonly spans: readonly (readonly [from: number, to: number])[];
};

/** What a test asks for. */
export type Request = Pick<
	GenerateOptions,
	"promptTokens" | "prompt" | "maxTokens" | "temperature" | "seed" | "minStages" | "private"
>;

/**
 * Asks from inside a chat page, through the SDK that the page itself uses: unlike its text field that takes token ids
 * and gives them back. Waits for as many lenders as `minStages` asks for.
 */
export async function askTokens(page: Page, request: Request): Promise<Answer> {
	const [answer] = await askAll(page, [request]);
	return answer!;
}

/** Asks one after the other, as one peer: its connections to the stages stay. */
export async function askAll(page: Page, requests: readonly Request[]): Promise<Answer[]> {
	return page.locator("tabmesh-chat").evaluate(async (element, requests) => {
		const mesh = await (element as unknown as ChatElement).connect(new AbortController().signal);
		const serving = () =>
			mesh.members.filter((member) => member.lends?.spans.some((span) => span.ready)).length;
		try {
			const answers: Answer[] = [];
			for (const options of requests) {
				while (!mesh.models[0]?.coverage.complete || serving() < (options.minStages ?? 1)) {
					await new Promise((resolve) => setTimeout(resolve, 50));
				}
				const { tokens, text, finishReason, stages } = await mesh.generate({ ...options }).summary;
				answers.push({
					tokens: [...tokens],
					text,
					finishReason,
					peers: stages.map(({ peer }) => peer),
					spans: stages.map(({ span }) => [span.from, span.to] as const),
				});
			}
			return answers;
		} finally {
			await mesh.close();
		}
	}, requests);
}

/** A running answer of the page, between the two halves of a test. */
interface RunningAnswer {
	mesh: Tabmesh;
	generation: Generation;
	done: Promise<void>;
}
declare global {
	var runningAnswer: RunningAnswer;
}

/**
 * Begins an answer inside a chat page and returns when it has `tokens` tokens.
 *
 * @returns the peers of its route that somebody beside it could replace alone
 */
export async function beginAnswer(
	page: Page,
	request: GenerateOptions,
	tokens: number,
): Promise<{ replaceable: string[] }> {
	return page.locator("tabmesh-chat").evaluate(
		async (element, { request, tokens }) => {
			const mesh = await (element as unknown as ChatElement).connect(new AbortController().signal);
			while (!mesh.models[0]?.coverage.complete) await new Promise((resolve) => setTimeout(resolve, 50));
			let stages: readonly StageView[] = [];
			const generation = mesh.generate({
				...request,
				onStages: (views) => {
					stages = views;
				},
			});
			let count = 0;
			const { promise, resolve } = Promise.withResolvers<void>();
			const done = (async () => {
				for await (const _ of generation) if (++count === tokens) resolve();
			})();
			globalThis.runningAnswer = { mesh, generation, done };
			await Promise.race([promise, done]);
			const beside = mesh.members.filter(({ peer }) => stages.every((stage) => stage.peer !== peer));
			const replaceable = stages.filter(({ span }) =>
				beside.some(({ lends }) =>
					lends?.spans.some((held) => held.ready && held.from <= span.from && span.to <= held.to),
				),
			);
			return { replaceable: replaceable.map(({ peer }) => peer) };
		},
		{ request, tokens },
	);
}

/** Waits for the end of the answer that `beginAnswer` began. */
export async function endAnswer(page: Page): Promise<{ tokens: number[]; lost: string[] }> {
	return page.evaluate(async () => {
		const { mesh, generation, done } = globalThis.runningAnswer;
		try {
			await done;
			const { tokens, replays } = await generation.summary;
			return { tokens: [...tokens], lost: replays.flatMap(({ lost }) => lost) };
		} finally {
			await mesh.close();
		}
	});
}

/** Peer ids of those that lend, as the chat page sees them. */
export async function lenders(page: Page): Promise<string[]> {
	return page.locator("tabmesh-chat").evaluate(async (element) => {
		const mesh = await (element as unknown as ChatElement).connect(new AbortController().signal);
		const found = () => mesh.members.filter(({ lends }) => lends !== undefined).map(({ peer }) => peer);
		while (found().length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
		const peers = found();
		await mesh.close();
		return peers;
	});
}
