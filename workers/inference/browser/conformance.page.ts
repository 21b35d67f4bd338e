import { createEngine } from "@tabmesh/inference";
import { type Backend, publishModel, sourceOfModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { type Bench, conformanceCases } from "../src/conformance.ts";

let bench: Bench | undefined;

/** What the test, which runs in Node, calls in this page. */
const harness = {
	titles: conformanceCases.map(({ title }) => title),

	async open(backend: Backend, threads: number): Promise<Bench["engine"]["info"]> {
		const source = await openSeededModel();
		const engine = await createEngine({ backend, threads, memoryBytes: 8 * 1024 * 1024 });
		bench = { engine, model: await publishModel(source), source: sourceOfModel(source) };
		return engine.info;
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
