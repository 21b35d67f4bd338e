import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ModelSource, modelId, openManifest } from "@tabmesh/model";
import { diskFile } from "@tabmesh/model/node";
import { decodeCbor, limits, ModelFileError, manifestSchema, originSchema } from "@tabmesh/wire";
import * as v from "valibot";

/**
 * Opens a folder of shards that `tabmesh publish --weights` wrote, or gives undefined where the folder is none. What it holds is
 * believed as far as its files go: whoever publishes it hashes every byte again.
 *
 * @throws MalformedMessageError, ModelFileError when its manifest or origin record is broken
 */
export async function openPublication(folder: string): Promise<ModelSource | undefined> {
	const bytes = await readFile(join(folder, "manifest.cbor")).catch(() => undefined);
	const text = await readFile(join(folder, "origins.json"), "utf8").catch(() => undefined);
	if (bytes === undefined || text === undefined) return undefined;
	const decoded = decodeCbor(manifestSchema, new Uint8Array(bytes), limits.manifestBytes);
	const { id, manifest } = await openManifest(new Uint8Array(bytes), await modelId(decoded));
	const origin = originsOf(text).find(({ model, files }) => model === id && files.every(isName));
	// Other publications lie beside the files that they were made from: those are the model.
	if (!origin?.files.includes("embed.safetensors")) return undefined;
	if (origin.ranges.length !== manifest.tensors.length) {
		throw new ModelFileError(`The origin record in ${folder} does not describe its manifest's tensors.`);
	}
	const { config, boundary, tokenizer } = manifest;
	const { bos, eos, chatTemplate } = tokenizer;
	return {
		config,
		boundary,
		tokenizer: {
			eos,
			...(bos === undefined ? {} : { bos }),
			...(chatTemplate === undefined ? {} : { chatTemplate }),
		},
		files: await Promise.all(origin.files.map((name) => diskFile(join(folder, name)))),
		derived: [],
		tensors: manifest.tensors.map(({ name, type, shape }, i) => ({
			name,
			type,
			shape,
			ranges: origin.ranges[i]!,
		})),
	};
}

function originsOf(text: string): v.InferOutput<typeof originSchema>[] {
	try {
		const parsed = v.safeParse(v.array(originSchema), JSON.parse(text));
		return parsed.success ? parsed.output : [];
	} catch {
		return [];
	}
}

/** A file beside the record, never a path out of the folder. */
function isName(file: string): boolean {
	return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(file);
}
