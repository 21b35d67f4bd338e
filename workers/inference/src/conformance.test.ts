import { publishModel, sourceOfModel } from "@tabmesh/model";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type Bench, conformanceCases, openTinyOf } from "./conformance.ts";
import { createEngine } from "./createEngine.ts";

describe.each(["f32", "q8", "q8a8", "i8", "q4"] as const)(
	"the engine in Node keeps the promises of every engine, with weights in %s",
	(weights) => {
		let bench: Bench;
		beforeAll(async () => {
			const source = await openTinyOf("llama");
			const engine = await createEngine({ memoryBytes: 8 * 1024 * 1024, weights });
			bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
		});
		afterAll(() => bench.engine.close());

		test.each(conformanceCases)("$title", ({ run }) => run(bench));
	},
);

describe("an engine with a session for every layer keeps them, too", () => {
	let bench: Bench;
	beforeAll(async () => {
		const source = await openTinyOf("llama");
		const engine = await createEngine({ memoryBytes: 8 * 1024 * 1024, pieceBytes: 1 });
		bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
	});
	afterAll(() => bench.engine.close());

	test.each(conformanceCases)("$title", ({ run }) => run(bench));
});

describe("an engine whose spans lie in several workers keeps them, too", () => {
	let bench: Bench;
	beforeAll(async () => {
		const source = await openTinyOf("llama");
		const engine = await createEngine({ memoryBytes: 1_500_000, heapBytes: 360_000 });
		bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
	});
	afterAll(() => bench.engine.close());

	test.each(conformanceCases)("$title", ({ run }) => run(bench));
});

describe.each(["qwen2", "qwen3", "odd"] as const)(
	"the engine in Node keeps them for the %s model, too",
	(kind) => {
		let bench: Bench;
		beforeAll(async () => {
			const source = await openTinyOf(kind);
			const engine = await createEngine({ memoryBytes: 16 * 1024 * 1024 });
			bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
		});
		afterAll(() => bench.engine.close());

		test.each(conformanceCases)("$title", ({ run }) => run(bench));
	},
);
