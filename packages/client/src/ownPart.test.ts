import { publishModel, type ShardSource, sourceOfModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { InvalidParameterError, OutOfMemoryBudgetError } from "@tabmesh/wire";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { NetworkModel } from "./networkModel.ts";
import { OwnPart } from "./ownPart.ts";
import type { PrivateView } from "./tabmesh.ts";

describe("this device's own part of private answers", () => {
	const models: NetworkModel[] = [];
	const sources = new Map<string, ShardSource>();
	let part: OwnPart | undefined;

	beforeAll(async () => {
		for (const seed of [1, 2]) {
			const source = await openSeededModel({ seed, layers: 4 });
			const { id, manifest } = await publishModel(source);
			const about = {
				name: `model ${seed}`,
				license: undefined,
				origins: [],
				sourceBytes: 1,
				loadedBytes: 1,
			};
			models.push({ id, manifest, ...about, formats: ["f32"] });
			sources.set(id, sourceOfModel(source));
		}
	});
	afterEach(() => part?.free());

	const open = (idleMs?: number) => {
		const own = new OwnPart({
			model: async (name) => models.find(({ id }) => id === name) ?? models[0]!,
			source: ({ id }) => sources.get(id)!,
			...(idleMs === undefined ? {} : { idleMs }),
		});
		part = own;
		return own;
	};
	const becomes = (own: OwnPart, phase: PrivateView["phase"]) =>
		new Promise<void>((resolve) => {
			const look = () => own.view.phase === phase && resolve();
			own.addEventListener("change", look);
			look();
		});

	it("is nothing before it is asked for, tells how far it is, and is freed when told to", async () => {
		const own = open();
		expect(own.view).toMatchObject({ phase: "off", usedBytes: 0 });
		const seen: number[] = [];
		own.addEventListener("change", () => own.view.loading && seen.push(own.view.loading.loadedBytes));
		await own.load();
		await becomes(own, "ready");
		expect(own.view.model).toBe(models[0]!.id);
		expect(own.view.usedBytes).toBeGreaterThan(0);
		expect(seen.length).toBeGreaterThan(0);
		await own.free();
		expect(own.view).toMatchObject({ phase: "off", usedBytes: 0, model: undefined });
	});

	it("is freed when nobody wanted it for a while, and not before", async () => {
		const own = open(20);
		const { release } = await own.take(models[0]!);
		await becomes(own, "ready");
		await new Promise((resolve) => setTimeout(resolve, 60));
		expect(own.view.phase).toBe("ready");
		release();
		await becomes(own, "off");
	});

	it("is of one model at a time: of another where no answer needs it, else that is refused", async () => {
		const own = open();
		const { release } = await own.take(models[0]!);
		await expect(own.take(models[1]!)).rejects.toThrow(InvalidParameterError);
		release();
		await own.load(models[1]!.id);
		expect(own.view.model).toBe(models[1]!.id);
	});

	it("says that it does not fit, keeps nothing, and can be asked for again with more", async () => {
		const own = open();
		await expect(own.load(undefined, { memoryBytes: 10_000 })).rejects.toThrow(OutOfMemoryBudgetError);
		expect(own.view).toMatchObject({
			phase: "failed",
			usedBytes: 0,
			error: expect.any(OutOfMemoryBudgetError),
		});
		await own.load();
		await becomes(own, "ready");
	});

	it("stops loading when nobody waits for it any more", async () => {
		const own = open();
		const abort = new AbortController();
		const loading = own.load(undefined, { signal: abort.signal });
		abort.abort(new Error("enough"));
		await expect(loading).rejects.toThrow("enough");
		await becomes(own, "off");
	});
});
