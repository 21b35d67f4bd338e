import { openLlama2c } from "../format/llama2cSource.ts";
import type { ModelSource } from "../format/modelSource.ts";
import { memoryFile } from "../format/sourceFile.ts";
import { type SeededModelOptions, seededModelFiles } from "./seededModel.ts";

/** {@link seededModelFiles}, opened from memory. */
export function openSeededModel(options: SeededModelOptions = {}): Promise<ModelSource> {
	const { model, tokenizer } = seededModelFiles(options);
	return openLlama2c({
		model: memoryFile("model.bin", model),
		tokenizer: memoryFile("tokenizer.bin", tokenizer),
	});
}
