import { ModelFileError } from "@tabmesh/wire";
import { expect, test } from "vitest";
import { blobFile } from "./blobFile.ts";
import { blobFolder } from "./sourceFolder.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i & 255);

test("a picked file is read by range", async () => {
	const file = blobFile(new File([bytes], "model.gguf"));
	expect(file).toMatchObject({ name: "model.gguf", bytes: 1000 });
	expect(await file.read(990, 10)).toEqual(bytes.slice(990));
	await expect(file.read(990, 11)).rejects.toThrow(ModelFileError);
});

test("picked files are a folder", async () => {
	const folder = blobFolder([new File([bytes], "a.gguf"), new File(["{}"], "config.json")]);
	expect((await folder.open("config.json"))?.bytes).toBe(2);
	expect(await folder.open("b.gguf")).toBeUndefined();
});
