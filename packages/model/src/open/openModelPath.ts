import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ModelNotFoundError } from "@tabmesh/wire";
import { diskFolder } from "../bytes/diskFolder.ts";
import { openModelFile } from "../format/diskFile.ts";
import type { ModelSource } from "../format/modelSource.ts";
import { openGgufIn } from "../gguf/openGgufIn.ts";
import { ggufPartNames } from "../gguf/splitGguf.ts";
import { openHuggingFace } from "../huggingface/huggingFaceSource.ts";

/**
 * Opens a model on this machine: a `.gguf` file (or one part of several), a folder with one GGUF or with the files of a Hugging
 * Face model, or a llama2.c model.
 *
 * @throws ModelNotFoundError when no model is there, ModelFileError and TokenizerError when it is none that Tabmesh runs
 */
export async function openModelPath(
	path: string,
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const stats = await stat(path).catch(() => undefined);
	if (!stats) throw new ModelNotFoundError(`There is no file or folder ${path}.`);
	if (!stats.isDirectory()) {
		if (path.endsWith(".gguf")) return openGgufIn(diskFolder(dirname(path)), basename(path), options);
		if (/\.(json|safetensors)$/.test(path)) return openHuggingFace(diskFolder(dirname(path)), options);
		return openModelFile(path, options);
	}
	const names = await readdir(path);
	if (names.includes("config.json")) return openHuggingFace(diskFolder(path), options);
	if (names.includes("model.bin")) return openModelFile(path, options);
	const ggufs = names.filter((name) => name.endsWith(".gguf")).sort();
	const [first] = ggufs;
	// Several files may be the parts of one model, or several models.
	if (first && ggufPartNames(first).length >= ggufs.length)
		return openGgufIn(diskFolder(path), first, options);
	throw new ModelNotFoundError(
		first ? `${join(path)} holds ${ggufs.length} models.` : `There is no model in ${path}.`,
		{
			metaMessages: first
				? [`Give the path of one of them, such as ${join(path, first)}.`]
				: [
						"Tabmesh reads .gguf files, folders of Hugging Face models with .safetensors, and llama2.c models.",
					],
		},
	);
}
