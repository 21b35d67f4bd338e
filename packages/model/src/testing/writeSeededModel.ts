import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type SeededModelOptions, seededModelFiles } from "./seededModel.ts";

/** Writes {@link seededModelFiles} into a folder, which a publisher or a CLI can be pointed at, and returns the folder. */
export async function writeSeededModel(folder: string, options: SeededModelOptions = {}): Promise<string> {
	const { model, tokenizer } = seededModelFiles(options);
	await mkdir(folder, { recursive: true });
	await writeFile(join(folder, "model.bin"), model);
	await writeFile(join(folder, "tokenizer.bin"), tokenizer);
	return folder;
}
