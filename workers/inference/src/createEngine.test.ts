import { setImmediate } from "node:timers/promises";
import { publishModel, sourceOfModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { expect, test } from "vitest";
import { createEngine } from "./createEngine.ts";

test("this thread goes on while a model runs", async () => {
	const source = await openSeededModel({ layers: 4, feedForward: 36_864 });
	const model = await publishModel(source);
	const engine = await createEngine({ memoryBytes: 1e9 });
	const span = { from: 0, to: 4, embed: true, head: true };
	const handle = await engine.load({ model, span }, sourceOfModel(source));
	await engine.reserve(handle, "stream", 48);
	const start = performance.now();
	let running = true;
	const row = { stream: "stream", position: 0, input: Int32Array.from({ length: 48 }, (_, i) => i + 5) };
	const forward = engine.forward(handle, [row], { logits: "none" }).finally(() => {
		running = false;
	});
	let longest = 0;
	let last = start;
	while (running) {
		await setImmediate();
		const now = performance.now();
		longest = Math.max(longest, now - last);
		last = now;
	}
	await forward;
	await engine.close();
	expect(longest).toBeLessThan((last - start) / 2);
});
