import { memoryFile, openLlama2c, openManifest, publishModel } from "@tabmesh/model";
import { seededModelFiles } from "@tabmesh/model/testing";
import { equalBytes } from "@tabmesh/wire";
import { beforeAll, expect, test } from "vitest";
import { type ModelRoutes, modelRoutes, type ServedModel } from "./modelRoutes.ts";

let served: ServedModel;
let routes: ModelRoutes;

beforeAll(async () => {
	const files = seededModelFiles();
	const source = await openLlama2c({
		model: memoryFile("model.bin", files.model),
		tokenizer: memoryFile("tokenizer.bin", files.tokenizer),
	});
	served = { source, published: await publishModel(source), name: "seeded", license: "MIT" };
	routes = modelRoutes([served]);
});

function get(path: string, headers: Record<string, string> = {}): Response {
	return routes.handle(new Request(new URL(path, "http://localhost:1"), { headers }));
}

test("the manifest that the site names has the id that it names it by", async () => {
	const [model] = routes.models;
	const bytes = new Uint8Array(await get(model!.manifest).arrayBuffer());
	expect((await openManifest(bytes, model!.id)).manifest).toEqual(served.published.manifest);
	expect(model).toMatchObject({ name: "seeded", license: "MIT" });
});

test("every range of the origin record can be fetched, relative to the record, and is the source's", async () => {
	const [model] = routes.models;
	const base = new URL(model!.origins, "http://localhost:1");
	const [origin] = await get(base.pathname).json();
	for (const ranges of origin.ranges) {
		for (const [file, offset, length] of ranges) {
			const url = new URL(origin.files[file], new URL(origin.baseUrl, base));
			const response = get(url.href, { range: `bytes=${offset}-${offset + length - 1}` });
			expect(response.status).toBe(206);
			const expected = await served.source.files[file]!.read(offset, length);
			expect(equalBytes(new Uint8Array(await response.arrayBuffer()), expected)).toBe(true);
		}
	}
});

test("anything else is 404, paths that climb included", () => {
	for (const path of [
		"/models",
		"/models/x/manifest.cbor",
		`/models/${served.published.id}/../../etc/passwd`,
	]) {
		expect(get(path).status).toBe(404);
	}
});
