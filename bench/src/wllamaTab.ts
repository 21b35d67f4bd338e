import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { isolatedSite } from "./isolatedSite.ts";

/** One answer as its reader sees it. */
export interface TimedAnswer {
	readonly text: string;
	/** Milliseconds from asking to the first token. */
	readonly firstMs: number;
	/** Milliseconds at which tokens arrived, counted from asking. */
	readonly arrivals: readonly number[];
}

/** wllama (llama.cpp compiled to WebAssembly) with a model loaded, in a tab of its own. */
export interface WllamaTab {
	/** Greedy, nothing kept from the call before. */
	ask(prompt: string, tokens: number): Promise<TimedAnswer>;
	close(): Promise<void>;
}

/** What we use of wllama: its own types do not resolve under Node's rules for imports. */
interface Wllama {
	loadModel(files: Blob[], options: Record<string, unknown>): Promise<void>;
	getNumThreads(): number;
	createCompletion(
		options: Record<string, unknown> & { onData: (chunk: { choices: { text: string }[] }) => void },
	): Promise<void>;
}
interface WllamaModule {
	Wllama: new (paths: { default: string }, options: { suppressNativeLog: boolean }) => Wllama;
}
declare global {
	var wllama: Wllama;
}

const fileOf = (file: string): string => fileURLToPath(import.meta.resolve(`@wllama/wllama/esm/${file}`));

export async function openWllama(browser: Browser, gguf: string, threads: number): Promise<WllamaTab> {
	const site = await isolatedSite({
		"index.js": fileOf("index.js"),
		"wllama.wasm": fileOf("wasm/wllama.wasm"),
		"model.gguf": gguf,
	});
	const page = await (await browser.newContext()).newPage();
	await page.goto(site.url);
	await page.evaluate(
		async ({ url, threads }) => {
			const { Wllama } = (await import(`${url}index.js`)) as WllamaModule;
			const engine = new Wllama({ default: `${url}wllama.wasm` }, { suppressNativeLog: true });
			const gguf = await (await fetch(`${url}model.gguf`)).blob();
			await engine.loadModel([gguf], { n_threads: threads, n_ctx: 512, n_gpu_layers: 0, warmup: true });
			if (engine.getNumThreads() !== threads)
				throw new Error(`wllama runs ${engine.getNumThreads()} threads.`);
			globalThis.wllama = engine;
		},
		{ url: site.url, threads },
	);
	return {
		ask: (prompt, tokens) =>
			page.evaluate(
				async ({ prompt, tokens }) => {
					const start = performance.now();
					const arrivals: number[] = [];
					let text = "";
					await globalThis.wllama.createCompletion({
						prompt,
						max_tokens: tokens,
						temperature: 0,
						cache_prompt: false,
						stream: true,
						onData: (chunk) => {
							const piece = chunk.choices[0]?.text ?? "";
							text += piece;
							if (piece !== "") arrivals.push(performance.now() - start);
						},
					});
					return { text, firstMs: arrivals[0]!, arrivals };
				},
				{ prompt, tokens },
			),
		async close() {
			await page.context().close();
			site.close();
		},
	};
}
