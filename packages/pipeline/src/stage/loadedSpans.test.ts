import { createEngine } from "@tabmesh/inference";
import type { Engine } from "@tabmesh/model";
import { OutOfMemoryBudgetError, RouteRefusedError } from "@tabmesh/wire";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { spanOf } from "../plan/modelSizes.ts";
import { type TestModel, testModel, until } from "../testSwarm.ts";
import { LoadedSpans } from "./loadedSpans.ts";

const span = (from: number, to: number) => spanOf(from, to, 4);

describe("LoadedSpans", () => {
	let model: TestModel;
	let engine: Engine;
	let spans: LoadedSpans;

	const start = async (memoryBytes = 1e9) => {
		engine = await createEngine({ memoryBytes });
		spans = new LoadedSpans(engine, model.source);
	};
	beforeAll(async () => {
		model = await testModel({ layers: 4 });
	});
	afterEach(async () => {
		await spans.close();
		expect(await engine.usedBytes()).toBe(0);
		await engine.close();
	});

	it("serves any part of what is held, and nothing else", async () => {
		await start();
		await spans.hold(model.model, span(0, 3));
		expect(spans.serves(model.model.id, span(1, 3))).toBe(true);
		expect(spans.serves(model.model.id, span(2, 4))).toBe(false);
		expect(spans.serves("another", span(1, 3))).toBe(false);
		await expect(spans.acquire(model.model, span(2, 4))).rejects.toThrow(RouteRefusedError);
		const lease = await spans.acquire(model.model, span(1, 2));
		expect(lease.handle.span).toEqual(span(1, 2));
		lease.release();
	});

	it("loads a span once for all who ask at the same time, and keeps it for who asks later", async () => {
		await start();
		await spans.hold(model.model, span(0, 4));
		const used = await engine.usedBytes();
		const leases = await Promise.all([
			spans.acquire(model.model, span(1, 2)),
			spans.acquire(model.model, span(1, 2)),
		]);
		expect(leases[0]!.handle).toBe(leases[1]!.handle);
		for (const lease of leases) lease.release();
		const again = await spans.acquire(model.model, span(1, 2));
		expect(again.handle).toBe(leases[0]!.handle);
		expect(await engine.usedBytes()).toBe(used + again.handle.weightBytes);
		again.release();
	});

	it("lets whoever asks for a part of what is on its way wait for that, told how far it is", async () => {
		await start();
		const forget = spans.expect(model.model.id, span(0, 4));
		const told: number[] = [];
		const waiting = spans.acquire(model.model, span(2, 4), {
			onProgress: ({ loadedBytes }) => told.push(loadedBytes),
		});
		await spans.hold(model.model, span(0, 2));
		expect(spans.serves(model.model.id, span(2, 4))).toBe(true);
		const held = await spans.hold(model.model, span(0, 4));
		const lease = await waiting;
		expect(lease.handle.span).toEqual(span(2, 4));
		expect(told.at(-1)).toBeGreaterThan(0);
		lease.release();
		forget();
		spans.drop(model.model.id, held.span);
		expect(spans.serves(model.model.id, span(2, 4))).toBe(false);
	});

	it("refuses whoever waited for what does not come", async () => {
		await start();
		const forget = spans.expect(model.model.id, span(0, 4));
		const waiting = spans.acquire(model.model, span(2, 4));
		const gone = new AbortController();
		const another = spans.acquire(model.model, span(0, 4), { signal: gone.signal });
		gone.abort(new Error("not wanted"));
		await expect(another).rejects.toThrow("not wanted");
		forget();
		await expect(waiting).rejects.toThrow(RouteRefusedError);
	});

	it("lets idle cuts give way when memory is needed, never what is held or used", async () => {
		await start();
		const { weightBytes } = await spans.hold(model.model, span(1, 2));
		await spans.close();
		await engine.close();
		// Room for a whole middle span of two layers and one cut of it.
		await start(3.5 * weightBytes);
		const held = await spans.hold(model.model, span(1, 3));
		const first = await spans.acquire(model.model, span(1, 2));
		await expect(spans.acquire(model.model, span(2, 3))).rejects.toThrow(OutOfMemoryBudgetError);
		first.release();
		const second = await spans.acquire(model.model, span(2, 3));
		second.release();
		expect(await engine.usedBytes()).toBe(held.weightBytes + second.handle.weightBytes);
	});

	it("stops a load that nobody waits for any more", async () => {
		await start();
		await spans.hold(model.model, span(0, 4));
		const used = await engine.usedBytes();
		const abort = new AbortController();
		const acquired = spans.acquire(model.model, span(1, 3), { signal: abort.signal });
		abort.abort(new Error("not wanted"));
		await expect(acquired).rejects.toThrow("not wanted");
		await until(async () => (await engine.usedBytes()) === used);
	});

	it("unloads what is dropped once its last stream has ended", async () => {
		await start();
		await spans.hold(model.model, span(0, 2));
		const lease = await spans.acquire(model.model, span(0, 2));
		spans.drop(model.model.id, span(0, 2));
		expect(spans.serves(model.model.id, span(0, 2))).toBe(false);
		expect(await engine.usedBytes()).toBeGreaterThan(0);
		lease.release();
		await until(async () => (await engine.usedBytes()) === 0);
	});

	it("holds nothing after a load that failed", async () => {
		await start(1000);
		await expect(spans.hold(model.model, span(0, 4))).rejects.toThrow(OutOfMemoryBudgetError);
		expect(spans.serves(model.model.id, span(0, 4))).toBe(false);
	});
});
