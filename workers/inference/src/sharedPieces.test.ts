import { type Engine, type ModelRef, publishModel, type ShardSource, sourceOfModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import type { HiddenState, Span } from "@tabmesh/wire";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "./createEngine.ts";

const layers = 6;
const whole: Span = { from: 0, to: layers, embed: true, head: true };
/** What is left of it for whoever computes its first layers himself. */
const cut: Span = { ...whole, from: 2, embed: false };
let model: ModelRef;
let source: ShardSource;
let reads = 0;
let wholeBytes: number;
let engine: Engine | undefined;

beforeAll(async () => {
	const opened = await openSeededModel({ layers });
	model = await publishModel(opened);
	const files = sourceOfModel(opened);
	source = {
		read: (ref, tensor, options) => {
			reads++;
			return files.read(ref, tensor, options);
		},
	};
	const one = await createEngine({ memoryBytes: 1e9, pieceBytes: 1 });
	wholeBytes = (await one.load({ model, span: whole }, source)).weightBytes;
	await one.close();
});
afterEach(() => engine?.close());

async function logits(span: Span, stream: string): Promise<Float32Array> {
	const handle = await engine!.load({ model, span }, source);
	await engine!.reserve(handle, stream, 4);
	const columns = model.manifest.config.hiddenSize;
	const input: HiddenState = { rows: 1, columns, data: new Float32Array(columns).fill(0.25) };
	const [result] = await engine!.forward(handle, [{ stream, position: 0, input }], { logits: "last" });
	return result!.logits!;
}

describe.each([
	{ where: "one worker", sizes: {} },
	{ where: "several workers", sizes: { heapBytes: 300_000 } },
])("in $where", ({ sizes }) => {
	test("a device full of a span serves a cut of it without another byte of weights, also when the span is gone", async () => {
		const roomForStreams = 100_000;
		engine = await createEngine({ memoryBytes: wholeBytes + roomForStreams, pieceBytes: 1, ...sizes });
		const handle = await engine.load({ model, span: whole }, source);
		const full = await engine.usedBytes();
		reads = 0;
		const before = await logits(cut, "cut");
		const cutStream = (4 * handle.keyValueBytesPerToken * (layers - 2)) / layers;
		expect(await engine.usedBytes()).toBe(full + cutStream);
		expect(reads).toBe(0);
		await engine.unload(handle);
		expect(await engine.usedBytes()).toBeLessThan(full);
		expect(await logits(cut, "again")).toEqual(before);
		expect(reads).toBe(0);
	});
});
