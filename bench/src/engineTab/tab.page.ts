import { createEngine } from "@tabmesh/inference";
import {
	type Engine,
	type EngineHandle,
	type ModelRef,
	openModelFiles,
	publishModel,
	sourceOfModel,
} from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";

let model: ModelRef;
const loaded: { readonly engine: Engine; readonly handle: EngineHandle }[] = [];

/** What the bench, which runs in Node, calls in this page. */
const harness = {
	/** Loads spans of the model in the files that were picked, each in an engine of its own. */
	async open(spans: readonly Span[], options: { memoryBytes: number; threads: number }): Promise<void> {
		const file = await openModelFiles([...document.querySelector("input")!.files!]);
		model = await publishModel(file);
		for (const span of spans) {
			const engine = await createEngine({ backend: "wasm", ...options });
			loaded.push({ engine, handle: await engine.load({ model, span }, sourceOfModel(file)) });
		}
	},

	/**
	 * Milliseconds of each decode step of one stream through a span, as the page sees them.
	 *
	 * @param prompt - positions before the first step
	 * @param restMs - between two steps, as between two laps of a ring
	 */
	async decodeMs(which: number, prompt: number, tokens: number, restMs: number): Promise<number[]> {
		const { engine, handle } = loaded[which]!;
		const { hiddenSize } = model.manifest.config;
		const input = (rows: number) =>
			handle.span.embed
				? new Int32Array(rows).fill(300)
				: { rows, columns: hiddenSize, data: new Float32Array(rows * hiddenSize).fill(0.01) };
		const stream = "alone";
		const logits = handle.span.head ? "last" : "none";
		await engine.reserve(handle, stream, prompt + tokens);
		await engine.forward(handle, [{ stream, position: 0, input: input(prompt) }], { logits });
		const times: number[] = [];
		for (let position = prompt; position < prompt + tokens; position++) {
			if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
			const start = performance.now();
			await engine.forward(handle, [{ stream, position, input: input(1) }], { logits });
			times.push(performance.now() - start);
		}
		await engine.release(stream);
		return times;
	},
};

export type EngineTab = typeof harness;
Object.assign(globalThis, { harness });
