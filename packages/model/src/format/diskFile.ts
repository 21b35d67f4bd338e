import { open, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModelFileError, ModelNotFoundError } from "@tabmesh/wire";
import { openLlama2c } from "./llama2cSource.ts";
import type { ModelSource } from "./modelSource.ts";
import type { SourceFile } from "./sourceFile.ts";

/**
 * A file on disk.
 *
 * @throws ModelNotFoundError when there is none
 */
export async function diskFile(path: string): Promise<SourceFile> {
	const stats = await stat(path).catch(() => undefined);
	if (!stats?.isFile()) throw new ModelNotFoundError(`There is no file ${path}.`);
	return {
		name: basename(path),
		bytes: stats.size,
		async read(offset, length, signal) {
			signal?.throwIfAborted();
			await using file = await open(path);
			const bytes = new Uint8Array(length);
			const { bytesRead } = await file.read(bytes, 0, length, offset);
			if (bytesRead !== length) throw new ModelFileError(`${path} ends before byte ${offset + length}.`);
			return bytes;
		},
	};
}

/**
 * Opens a model on disk: a folder with `model.bin` and `tokenizer.bin`, or a llama2.c model file with its `tokenizer.bin` beside it.
 *
 * @throws ModelNotFoundError when there is nothing to read, ModelFileError when it is no model
 */
export async function openModelFile(
	path: string,
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const stats = await stat(path).catch(() => undefined);
	if (!stats) throw new ModelNotFoundError(`There is no file or folder ${path}.`);
	const model = stats.isDirectory() ? join(path, "model.bin") : path;
	const files = {
		model: await diskFile(model),
		tokenizer: await diskFile(join(model, "..", "tokenizer.bin")),
	};
	return openLlama2c(files, options);
}
