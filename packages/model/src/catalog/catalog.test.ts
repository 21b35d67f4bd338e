import { modelConfigSchema } from "@tabmesh/wire";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { spanSize } from "../graph/spanSize.ts";
import { publishModel } from "../manifest/publishModel.ts";
import { weightFormats } from "../quality/offeredFormats.ts";
import { openSeededModel } from "../testing/openSeededModel.ts";
import { type CatalogEntry, catalog } from "./catalog.ts";
import { modelNeeds } from "./modelNeeds.ts";

describe.each(Object.entries(catalog))("%s", (_id, entry) => {
	test("says what a person has to know before choosing it", () => {
		for (const text of [entry.title, entry.about, entry.license]) expect(text).not.toBe("");
		expect(new URL(entry.homepage).protocol).toBe("https:");
		expect(v.is(modelConfigSchema, entry.config)).toBe(true);
	});

	test("says where its files are, and what they must be", () => {
		if (entry.hub !== undefined) {
			expect(entry.hub).toMatch(/^[\w.-]+\/[\w.-]+$/);
			return;
		}
		for (const { integrity } of entry.archives) expect(integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
		for (const { parts, bytes, sha256 } of entry.files) {
			for (const { archive } of parts) expect(entry.archives[archive]).toBeDefined();
			expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(bytes);
			expect(sha256).toMatch(/^[0-9a-f]{64}$/);
		}
	});

	test("needs less memory the fewer bits its weights have", () => {
		const { weightBytes } = modelNeeds(entry);
		expect(weightBytes.q8).toBeLessThan(weightBytes.f32);
		expect(weightBytes.q4).toBeLessThan(weightBytes.q8);
	});
});

test.each([
	["smollm2-135m", 134_515_008],
	["qwen3-0.6b", 596_049_920],
	["qwen3-4b", 4_022_468_096],
	["llama-3.2-1b", 1_235_814_400],
	["llama-3.2-3b", 3_212_749_824],
	["qwen2.5-0.5b", 494_032_768],
])("%s has the %i parameters that its hub counts", (id, parameters) => {
	expect(modelNeeds(catalog[id]!).downloadBytes).toBe(2 * parameters);
});

test("what a model needs is what its manifest's spans take", async () => {
	const { manifest } = await publishModel(await openSeededModel({ tiedHead: false }));
	const { config } = manifest;
	const needs = modelNeeds({ ...catalog.stories15m!, config } as CatalogEntry);
	const whole = { from: 0, to: config.layers, embed: true, head: true };
	for (const weights of weightFormats) {
		const size = spanSize(manifest, whole, { weights, keyValues: "rows" });
		expect(needs.weightBytes[weights]).toBe(size.weightBytes);
		expect(needs.keyValueBytes).toBe(size.keyValueBytesPerToken * config.contextLength);
	}
});
