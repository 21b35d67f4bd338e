import { createTokenizer, type ShardSource, type Tokenizer } from "@tabmesh/model";
import { ModelFileError } from "@tabmesh/wire";
import type { NetworkModel } from "./networkModel.ts";

const tokenizers = new WeakMap<NetworkModel, Promise<Tokenizer>>();

/** The model's tokenizer, fetched and built once. */
export function tokenizerOf(model: NetworkModel, source: ShardSource): Promise<Tokenizer> {
	let tokenizer = tokenizers.get(model);
	if (!tokenizer) {
		tokenizer = loadTokenizer(model, source);
		tokenizers.set(model, tokenizer);
		// A failed fetch may succeed the next time.
		tokenizer.catch(() => tokenizers.delete(model));
	}
	return tokenizer;
}

async function loadTokenizer(model: NetworkModel, source: ShardSource): Promise<Tokenizer> {
	return createTokenizer(await tokenizerBytes(model, source), model.manifest);
}

/** The bytes of its `tokenizer.json`. @throws ModelFileError where it comes without one */
export async function tokenizerBytes(model: NetworkModel, source: ShardSource): Promise<Uint8Array> {
	const entry = model.manifest.tensors.find((tensor) => tensor.name === "tokenizer.json");
	if (!entry) throw new ModelFileError("The model comes without a tokenizer.");
	return source.read(model, entry);
}
