import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ModelSource, publishModel } from "@tabmesh/model";
import { openSeededModel } from "@tabmesh/model/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeModel } from "./describeModel.ts";

let cacheDir: string;
beforeEach(async () => {
	cacheDir = await mkdtemp(join(tmpdir(), "describe-"));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

/** A source that counts how often it is read. */
async function counted(onRead: (count: number) => void = () => {}) {
	const source = await openSeededModel();
	let count = 0;
	const files = source.files.map((file) => ({
		...file,
		read: (...range: Parameters<typeof file.read>) => {
			onRead(++count);
			return file.read(...range);
		},
	}));
	return { source: { ...source, files } as ModelSource, count: () => count };
}

function describeIt(source: ModelSource, signal = new AbortController().signal) {
	return describeModel(source, { name: "tiny", cacheDir, signal });
}

test("every byte is read twice at most: to hash it, and to try all formats; with a record once", async () => {
	const hashing = await counted();
	await publishModel(hashing.source);
	const first = await counted();
	const { gateBytes, gate } = await describeIt(first.source);
	// The tokenizer is read once more to read the text with, and a tied head's matrix for the head.
	expect(first.count()).toBeLessThanOrEqual(2 * hashing.count() + 2);
	const second = await counted();
	const again = await describeIt(second.source);
	expect(second.count()).toBe(hashing.count());
	expect([new Uint8Array(again.gateBytes), again.gate]).toEqual([new Uint8Array(gateBytes), gate]);
});

test("a record that is broken is made anew", async () => {
	const source = await openSeededModel();
	const { gate } = await describeIt(source);
	const [name] = await readdir(join(cacheDir, "gates"));
	await writeFile(join(cacheDir, "gates", name!), "no record at all");
	expect((await describeIt(source)).gate).toEqual(gate);
});

test("trying the formats can be cancelled, and leaves no record", async () => {
	const hashing = await counted();
	await publishModel(hashing.source);
	const cancel = new AbortController();
	const { source, count } = await counted((reads) => {
		if (reads > hashing.count() + 5) cancel.abort();
	});
	await expect(describeIt(source, cancel.signal)).rejects.toThrow("aborted");
	expect(count()).toBeLessThan(2 * hashing.count());
	expect(await readdir(cacheDir)).toEqual([]);
});
