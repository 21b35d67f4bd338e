import { blobFolder } from "../../bytes/sourceFolder.ts";
import type { ModelSource } from "../../format/modelSource.ts";
import type { TinyGgufOptions } from "../../gguf/testing/tinyGguf.ts";
import { openHuggingFace } from "../huggingFaceSource.ts";
import { tinyHubModel } from "./tinyHubModel.ts";

/** The same weights as the tiny GGUF of these options, as the folder that a hub has. */
export async function openTinyHubModel(options: TinyGgufOptions = {}): Promise<ModelSource> {
	const { files } = await tinyHubModel(options);
	return openHuggingFace(blobFolder([...files].map(([name, content]) => new File([content], name))));
}
