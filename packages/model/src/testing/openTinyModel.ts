import type { ModelSource } from "../format/modelSource.ts";
import { memoryFile } from "../format/sourceFile.ts";
import { openGguf } from "../gguf/ggufSource.ts";
import { type TinyGgufOptions, tinyGgufFile } from "../gguf/testing/tinyGguf.ts";

/** A tiny GGUF of any architecture with weights from a seed, opened from memory. */
export function openTinyModel(options: TinyGgufOptions = {}): Promise<ModelSource> {
	return openGguf([memoryFile("tiny.gguf", tinyGgufFile(options))]);
}
