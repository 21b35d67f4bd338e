import { httpSource, type ModelSource, openModelFiles, openModelUrl, publishModel } from "@tabmesh/model";
import { TabmeshError } from "@tabmesh/wire";

/** What was read, in a form that goes back to the test. */
export interface Found {
	readonly id: string;
	readonly architecture: string;
}

let opened: ModelSource | undefined;

async function describe(source: ModelSource): Promise<Found> {
	const { id } = await publishModel(source);
	return { id, architecture: source.config.architecture };
}

/** A typed error as text; anything else is thrown on. */
async function codeOf(task: Promise<unknown>): Promise<string> {
	try {
		await task;
		return "nothing was thrown";
	} catch (error) {
		if (error instanceof TabmeshError) return `${error.code} ${String(error.details.reason ?? "")}`.trim();
		throw error;
	}
}

/** What the tests, which run in Node, call in this page. */
const harness = {
	/** Opens and hashes what lies in the page's file input. */
	async picked(): Promise<Found> {
		const input = document.querySelector("input")!;
		opened = await openModelFiles([...input.files!]);
		return describe(opened);
	},

	/** Reads the files picked before once more. */
	async pickedAgain(): Promise<string> {
		return codeOf(publishModel(opened!));
	},

	/** Opens and hashes a model behind an address, and reads every tensor of it by range as a lender does. */
	async address(url: string): Promise<Found & { readonly readBytes: number }> {
		const { source, baseUrl } = await openModelUrl(url);
		const published = await publishModel(source, { baseUrl });
		const shards = httpSource({ origins: [published.origin] });
		let readBytes = 0;
		for (const tensor of published.manifest.tensors) {
			if (tensor.type === "BLOB") continue;
			readBytes += (await shards.read(published, tensor)).byteLength;
		}
		return { id: published.id, architecture: source.config.architecture, readBytes };
	},

	/** The typed error of an address that leads to no model. */
	addressError: (url: string): Promise<string> => codeOf(openModelUrl(url, { attempts: 2, pauseMs: 1 })),
};

export type ModelHarness = typeof harness;
Object.assign(globalThis, { harness });
