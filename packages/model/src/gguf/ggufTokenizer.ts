import { TokenizerError } from "@tabmesh/wire";
import type { ModelSource } from "../format/modelSource.ts";
import { byteLevelAddsBos, byteLevelTokenizer } from "./byteLevelTokenizer.ts";
import type { GgufMetadata } from "./ggufMetadata.ts";
import { type GgufVocabulary, readGgufVocabulary, tokenKind } from "./ggufVocabulary.ts";
import { sentencePieceTokenizer } from "./sentencePieceTokenizer.ts";
import type { TokenizerJson } from "./tokenizerJson.ts";

/** What the manifest holds: a longer template is not one that people wrote. */
const maxChatTemplate = 65_536;
/** Tokens that end a turn in one family or another; files often name only one of those that their model uses. */
const turnEnds = ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>"];

/**
 * The tokenizer inside a GGUF, as a `tokenizer.json` and what the manifest says beside it.
 *
 * @param vocabularySize - rows of the embedding matrix
 * @throws TokenizerError when it is broken or of a kind that Tabmesh does not know
 */
export function ggufTokenizer(
	metadata: GgufMetadata,
	vocabularySize: number,
): { json: TokenizerJson; tokenizer: ModelSource["tokenizer"] } {
	const model = metadata.optionalString("tokenizer.ggml.model");
	const vocabulary = readGgufVocabulary(metadata, vocabularySize);
	const pre = metadata.optionalString("tokenizer.ggml.pre") ?? "default";
	let json: TokenizerJson;
	let addsBos: boolean;
	if (model === "llama") {
		const prefixSpace = metadata.optionalBoolean("tokenizer.ggml.add_space_prefix") ?? true;
		json = sentencePieceTokenizer(vocabulary, { prefixSpace });
		addsBos = true;
	} else if (model === "gpt2") {
		json = byteLevelTokenizer(vocabulary, pre);
		addsBos = byteLevelAddsBos(pre);
	} else {
		throw new TokenizerError(
			`The model file has a tokenizer of the kind ${JSON.stringify((model ?? "").slice(0, 32))}; Tabmesh reads "llama" and "gpt2".`,
			{
				metaMessages: [
					"Publish the model from its Hugging Face files instead, which bring their own tokenizer.json.",
				],
			},
		);
	}
	const bos = specialToken(metadata, "bos", vocabularySize);
	const chatTemplate = metadata.optionalString("tokenizer.chat_template");
	if (chatTemplate !== undefined && chatTemplate.length > maxChatTemplate) {
		throw new TokenizerError(`The chat template has ${chatTemplate.length} characters.`);
	}
	return {
		json,
		tokenizer: {
			...(bos !== undefined && (metadata.optionalBoolean("tokenizer.ggml.add_bos_token") ?? addsBos)
				? { bos }
				: {}),
			eos: endTokens(metadata, vocabulary),
			...(chatTemplate ? { chatTemplate } : {}),
		},
	};
}

/** Every token that ends an answer, the file's own first. */
function endTokens(metadata: GgufMetadata, { texts, ids, kinds }: GgufVocabulary): number[] {
	const named = ["eos", "eot", "eom"].map((name) => specialToken(metadata, name, texts.length));
	const known = turnEnds
		.map((text) => ids.get(text))
		.filter((id) => id !== undefined && kinds[id] === tokenKind.control);
	return [...new Set([...named, ...known].filter((id) => id !== undefined))];
}

function specialToken(metadata: GgufMetadata, name: string, vocabularySize: number): number | undefined {
	const id = metadata.optionalNumber(`tokenizer.ggml.${name}_token_id`);
	// Writers say "none" with the largest uint32.
	if (id === undefined || id === 0xffffffff || id === -1) return undefined;
	if (Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
	throw new TokenizerError(`The ${name} token is ${id}, outside the vocabulary of ${vocabularySize}.`);
}
