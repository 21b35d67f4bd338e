import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSeededModel } from "@tabmesh/model/testing";
import { ModelNotFoundError, ModelSourceError } from "@tabmesh/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nameOfAddress, resolveModel } from "./resolveModel.ts";

let folder: string;
const signal = new AbortController().signal;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "resolve-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function find(spec: string) {
	return resolveModel(spec, { cacheDir: join(folder, "cache"), signal });
}

test("a folder and a file in it are the same model, named as they are called", async () => {
	const path = await writeSeededModel(join(folder, "tiny"));
	const [byFolder, byFile] = [await find(path), await find(join(path, "model.bin"))];
	expect(byFolder).toMatchObject({ name: "tiny", folder: path });
	expect(byFile).toMatchObject({ name: "model.bin", folder: path });
	expect(byFile.source.config).toEqual(byFolder.source.config);
});

test("what is not there is named, with what to do", async () => {
	await expect(find(join(folder, "absent"))).rejects.toThrow(ModelNotFoundError);
	await expect(find("absent.gguf")).rejects.toThrow(/no file or folder .*absent\.gguf.*catalogue/);
	await expect(find("absent")).rejects.toThrow(/catalogue has no model "absent"/);
	await expect(find(folder)).rejects.toThrow(/no model in/i);
});

test("an address without a model is an error of its own", async () => {
	const server = createServer((_request, response) => response.writeHead(404).end());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	const error = await find(`http://127.0.0.1:${port}/x.gguf`).catch((reason: unknown) => reason);
	expect(error instanceof ModelNotFoundError || error instanceof ModelSourceError).toBe(true);
	server.close();
});

test("a model behind an address is called by its last part", () => {
	for (const [address, name] of [
		["https://hub.example/owner/tiny/resolve/main/tiny.gguf?download=1", "tiny.gguf"],
		["https://hub.example/owner/tiny/resolve/main/", "tiny"],
		["https://hub.example/owner/tiny/tree/main", "tiny"],
		["https://hub.example/owner/tiny", "tiny"],
		["hf:owner/tiny@v1", "tiny"],
		["hf:owner/tiny/part.gguf", "part.gguf"],
	] as const) {
		expect(nameOfAddress(address)).toBe(name);
	}
});
