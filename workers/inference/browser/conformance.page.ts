import { createEngine } from "@tabmesh/inference";
import { type Backend, publishModel, sourceOfModel, type WeightFormat } from "@tabmesh/model";
import { type Bench, conformanceCases, lastLogits, openTinyOf, type TinyModel } from "../src/conformance.ts";

let bench: Bench | undefined;

/** What the test, which runs in Node, calls in this page. */
const harness = {
	titles: conformanceCases.map(({ title }) => title),

	async open(
		backend: Backend,
		threads: number,
		weights: WeightFormat,
		kind: TinyModel = "llama",
		sizes: { readonly memoryBytes?: number; readonly heapBytes?: number; readonly pieceBytes?: number } = {},
	): Promise<Bench["engine"]["info"]> {
		const source = await openTinyOf(kind);
		const engine = await createEngine({
			backend,
			threads,
			weights,
			memoryBytes: 16 * 1024 * 1024,
			...sizes,
		});
		bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
		return engine.info;
	},

	/** The model's logits after the last of these tokens. */
	async logits(tokens: readonly number[]): Promise<number[]> {
		return [...(await lastLogits(bench!, tokens))];
	},

	/** Names of what happens when the device is lost while a span is loaded, in order. */
	async loseDevice(): Promise<string[]> {
		const { engine, model, source } = bench!;
		const seen: string[] = [];
		const lost = new Promise<void>((resolve) => {
			engine.addEventListener("devicelost", (event) => {
				seen.push(`devicelost ${event.detail.reason === "" ? "without" : "with"} a reason`);
				resolve();
			});
		});
		const span = { from: 0, to: model.manifest.config.layers, embed: true, head: true };
		const run = async () => {
			const handle = await engine.load({ model, span }, source);
			await engine.reserve(handle, "stream", 8);
			const row = { stream: "stream", position: 0, input: Int32Array.of(5) };
			await engine.forward(handle, [row], { logits: "last" });
			seen.push("a token");
			return { handle, row };
		};
		const { handle, row } = await run();
		await crashGpu();
		await lost;
		await engine
			.forward(handle, [{ ...row, position: 1 }], { logits: "last" })
			.catch((error) => seen.push(`${error.name} for the old span`));
		seen.push(`${await engine.usedBytes()} bytes used`);
		await run();
		return seen;
	},

	/** Runs one case; the error's whole chain comes back as text. */
	async run(title: string): Promise<string | undefined> {
		const found = conformanceCases.find((each) => each.title === title);
		try {
			await found!.run(bench!);
			return undefined;
		} catch (error) {
			const lines: string[] = [];
			for (let at: unknown = error; at instanceof Error; at = at.cause)
				lines.push(`${at.name}: ${at.message}`);
			return lines.join("\n");
		}
	},
};

export type ConformanceHarness = typeof harness;
Object.assign(globalThis, { harness });

declare global {
	/** Bound by the test: ends the browser's GPU process. */
	function crashGpu(): Promise<void>;
}
