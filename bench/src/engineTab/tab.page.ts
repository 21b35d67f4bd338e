import { createEngine } from "@tabmesh/inference";
import { type ModelRef, openModelFiles, publishModel, type ShardSource, sourceOfModel } from "@tabmesh/model";
import type { Span } from "@tabmesh/wire";

let model: ModelRef;
let source: ShardSource;

/** What the bench, which runs in Node, calls in this page. */
const harness = {
	/** Opens the files that were picked. */
	async open(): Promise<void> {
		const file = await openModelFiles([...document.querySelector("input")!.files!]);
		model = await publishModel(file);
		source = sourceOfModel(file);
	},

	/**
	 * Milliseconds of each decode step of one stream through a span, one behind the other, by an engine that has nothing else
	 * to do, as the page that holds it sees them.
	 *
	 * @param prompt - positions before the first one that counts
	 */
	async decodeMs(span: Span, memoryBytes: number, prompt: number, tokens: number): Promise<number[]> {
		const engine = await createEngine({ backend: "wasm", threads: 1, memoryBytes });
		try {
			const handle = await engine.load({ model, span }, source);
			const stream = "alone";
			await engine.reserve(handle, stream, prompt + tokens);
			const { hiddenSize } = model.manifest.config;
			const input = (rows: number) =>
				span.embed
					? new Int32Array(rows).fill(300)
					: { rows, columns: hiddenSize, data: new Float32Array(rows * hiddenSize).fill(0.01) };
			const logits = span.head ? "last" : "none";
			await engine.forward(handle, [{ stream, position: 0, input: input(prompt) }], { logits });
			const times: number[] = [];
			for (let position = prompt; position < prompt + tokens; position++) {
				const start = performance.now();
				await engine.forward(handle, [{ stream, position, input: input(1) }], { logits });
				times.push(performance.now() - start);
			}
			return times;
		} finally {
			await engine.close();
		}
	},
};

export type EngineTab = typeof harness;
Object.assign(globalThis, { harness });
