import { ModelNotFoundError } from "@tabmesh/wire";
import type { SourceFolder } from "../bytes/sourceFolder.ts";
import type { ModelSource } from "../format/modelSource.ts";
import type { SourceFile } from "../format/sourceFile.ts";
import { openGguf } from "./ggufSource.ts";
import { ggufPartNames } from "./splitGguf.ts";

/**
 * Opens a GGUF by its name in a folder; for `x-00002-of-00003.gguf` all three parts are opened.
 *
 * @throws ModelNotFoundError when it or a part of it is not there, and what {@link openGguf} throws
 */
export async function openGgufIn(
	folder: SourceFolder,
	name: string,
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const files: SourceFile[] = [];
	for (const part of ggufPartNames(name)) {
		const file = await folder.open(part, options.signal);
		if (!file) throw new ModelNotFoundError(`${folder.name} has no ${part}.`);
		files.push(file);
	}
	return openGguf(files, options);
}
