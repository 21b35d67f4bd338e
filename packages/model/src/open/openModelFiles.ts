import { ModelNotFoundError } from "@tabmesh/wire";
import { blobFile } from "../bytes/blobFile.ts";
import { blobFolder } from "../bytes/sourceFolder.ts";
import { openLlama2c } from "../format/llama2cSource.ts";
import type { ModelSource } from "../format/modelSource.ts";
import { openGguf } from "../gguf/ggufSource.ts";
import { openHuggingFace } from "../huggingface/huggingFaceSource.ts";

/**
 * Opens the model in files that a person picked or dropped: one GGUF or all its parts, the files of a Hugging Face model, or
 * llama2.c's `model.bin` and `tokenizer.bin`.
 *
 * @throws ModelNotFoundError when they are no model, ModelFileError and TokenizerError when it is none that Tabmesh runs
 */
export async function openModelFiles(
	files: readonly File[],
	options: { signal?: AbortSignal } = {},
): Promise<ModelSource> {
	const ggufs = files.filter(({ name }) => name.endsWith(".gguf"));
	if (ggufs.length > 0)
		return openGguf(
			ggufs.map((file) => blobFile(file)),
			options,
		);
	const named = (name: string): File | undefined => files.find((file) => file.name === name);
	if (named("config.json")) return openHuggingFace(blobFolder(files), options);
	const [model, tokenizer] = [named("model.bin"), named("tokenizer.bin")];
	if (model && tokenizer)
		return openLlama2c({ model: blobFile(model), tokenizer: blobFile(tokenizer) }, options);
	throw new ModelNotFoundError("There is no model among the files.", {
		metaMessages: [
			"Pick a .gguf file (all parts of it), or every file of a Hugging Face model: config.json, tokenizer.json, *.safetensors.",
		],
	});
}
