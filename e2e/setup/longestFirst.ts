import type { TestSpecification } from "vitest/node";
import { BaseSequencer } from "vitest/node";

/** Files that take half a minute or more on two cores, the longest first: begun last, one of them would keep a single core busy at the end. */
const longest = [
	"workers/inference/browser/conformance",
	"apps/cli/src/network",
	"packages/pipeline/src/failover",
	"workers/inference/src/architectures",
	"apps/cli/src/commands/publish",
	"packages/client/src/nextLayers",
	"packages/directory/src/createDirectory",
	"packages/cstore/src/createCstore",
	"packages/pipeline/src/receipts",
	"packages/pipeline/src/speculation/speculation",
	"packages/pipeline/src/stage/keptPrefixes",
	"packages/client/src/connect",
];

/** Starts the longest files first, and the others in Vitest's own order. */
export class LongestFirst extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const place = ({ moduleId }: TestSpecification): number => {
			const found = longest.findIndex((file) => moduleId.endsWith(`${file}.test.ts`));
			return found < 0 ? longest.length : found;
		};
		return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
	}
}
