import { limits, TokenizerError } from "@tabmesh/wire";
import type { SourceFolder } from "../bytes/sourceFolder.ts";
import { tokenizerName } from "../format/llamaTensors.ts";
import type { ModelSource } from "../format/modelSource.ts";
import type { SourceFile } from "../format/sourceFile.ts";
import { readJsonFile } from "./jsonFile.ts";

/** Llama 3's has 17 MB; the manifest allows 128. */
const maxTokenizerBytes = 64 * 1024 * 1024;
/** tokenizer_config.json lists every added token again; chat templates have up to 30 KB. */
const maxConfigBytes = 4 * 1024 * 1024;
const maxChatTemplate = 65_536;
const maxEndTokens = 64;

type Json = Readonly<Record<string, unknown>>;

/**
 * The tokenizer files of a model folder: `tokenizer.json` as it stands, and what `tokenizer_config.json`,
 * `generation_config.json` and `chat_template.jinja` say beside it.
 *
 * @param config - the model's config.json
 * @throws TokenizerError when there is none, it has holes, or is larger than the model's vocabulary
 */
export async function huggingFaceTokenizer(
	folder: SourceFolder,
	config: Json,
	vocabularySize: number,
	signal?: AbortSignal,
): Promise<{ file: SourceFile; tokenizer: ModelSource["tokenizer"] }> {
	const file = await folder.open(tokenizerName, signal);
	if (!file) {
		throw new TokenizerError(`${folder.name} has no tokenizer.json.`, {
			metaMessages: [
				"Older models have only tokenizer.model: save them again with transformers, or give a GGUF.",
			],
		});
	}
	const json = await readJsonFile(file, maxTokenizerBytes, signal);
	const ids = readIds(json, vocabularySize);
	const tokenizerConfig = (await readOptional(folder, "tokenizer_config.json", signal)) ?? {};
	const generationConfig = (await readOptional(folder, "generation_config.json", signal)) ?? {};
	const chatTemplate = (await readTemplateFile(folder, signal)) ?? chatTemplateOf(tokenizerConfig);
	if (chatTemplate !== undefined && chatTemplate.length > maxChatTemplate) {
		throw new TokenizerError(`The chat template has ${chatTemplate.length} characters.`);
	}
	const bos =
		firstToken(json, ids) ??
		(tokenizerConfig.add_bos_token === true ? named(tokenizerConfig, "bos_token", ids) : undefined);
	const eos = [
		named(tokenizerConfig, "eos_token", ids),
		...listed(generationConfig.eos_token_id),
		...listed(config.eos_token_id),
	].filter((id) => id !== undefined);
	for (const id of eos) {
		if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
			throw new TokenizerError(`The model ends at token ${id}, outside its vocabulary of ${vocabularySize}.`);
		}
	}
	return {
		file,
		tokenizer: {
			...(bos === undefined ? {} : { bos }),
			eos: [...new Set(eos)].slice(0, maxEndTokens),
			...(chatTemplate ? { chatTemplate } : {}),
		},
	};
}

/** Ids by text, each id once and inside the vocabulary. */
function readIds(json: Json, vocabularySize: number): Map<string, number> {
	const broken = (why: string) => new TokenizerError(`tokenizer.json is broken: ${why}.`);
	const model = json.model;
	if (!isRecord(model)) throw broken("it has no model");
	const { vocab } = model;
	const entries: [unknown, unknown][] = Array.isArray(vocab)
		? vocab.map((entry, id) => [Array.isArray(entry) ? entry[0] : entry, id])
		: isRecord(vocab)
			? Object.entries(vocab)
			: [];
	if (entries.length === 0) throw broken("it has no vocabulary");
	const added = json.added_tokens ?? [];
	if (!Array.isArray(added)) throw broken("its added_tokens are no list");
	const ids = new Map<string, number>();
	const texts = new Map<number, string>();
	const put = (text: unknown, id: unknown): void => {
		if (typeof text !== "string" || typeof id !== "number" || !Number.isInteger(id) || id < 0) {
			throw broken(
				`it gives ${JSON.stringify(id)?.slice(0, 16)} as the id of ${JSON.stringify(text)?.slice(0, 32)}`,
			);
		}
		if (id >= vocabularySize || id >= limits.vocabulary) {
			throw broken(`${JSON.stringify(text.slice(0, 32))} is token ${id}, the model has ${vocabularySize}`);
		}
		const twin = texts.get(id);
		if (twin !== undefined && twin !== text) {
			throw broken(
				`token ${id} is both ${JSON.stringify(twin.slice(0, 32))} and ${JSON.stringify(text.slice(0, 32))}`,
			);
		}
		texts.set(id, text);
		ids.set(text, id);
	};
	for (const [text, id] of entries) put(text, id);
	for (const token of added)
		put(isRecord(token) ? token.content : undefined, isRecord(token) ? token.id : undefined);
	for (let id = 0; id < texts.size; id++) {
		if (!texts.has(id))
			throw broken(`its vocabulary has a hole: ${texts.size} tokens, and none with the id ${id}`);
	}
	return ids;
}

/** The special token that the post-processor puts in front of every text. */
function firstToken(json: Json, ids: ReadonlyMap<string, number>): number | undefined {
	const processor = json.post_processor;
	if (!isRecord(processor)) return undefined;
	const steps = processor.type === "Sequence" ? processor.processors : [processor];
	if (!Array.isArray(steps)) return undefined;
	for (const step of steps) {
		const single: unknown = isRecord(step) && step.type === "TemplateProcessing" ? step.single : undefined;
		const first: unknown = Array.isArray(single) ? single[0] : undefined;
		const special = isRecord(first) ? first.SpecialToken : undefined;
		if (isRecord(special) && typeof special.id === "string") return ids.get(special.id);
	}
	return undefined;
}

/** `chat_template`: a text, or a list of named ones of which `default` counts. */
function chatTemplateOf(config: Json): string | undefined {
	const template = config.chat_template;
	if (typeof template === "string") return template;
	if (!Array.isArray(template)) return undefined;
	const templates = template.filter(isRecord);
	const chosen = (templates.find(({ name }) => name === "default") ?? templates[0])?.template;
	return typeof chosen === "string" ? chosen : undefined;
}

/** Where newer models keep the template. */
async function readTemplateFile(
	folder: SourceFolder,
	signal: AbortSignal | undefined,
): Promise<string | undefined> {
	const file = await folder.open("chat_template.jinja", signal);
	if (!file) return undefined;
	if (file.bytes > maxConfigBytes) throw new TokenizerError(`${file.name} has ${file.bytes} bytes.`);
	return new TextDecoder().decode(await file.read(0, file.bytes, signal));
}

async function readOptional(
	folder: SourceFolder,
	name: string,
	signal: AbortSignal | undefined,
): Promise<Json | undefined> {
	const file = await folder.open(name, signal);
	return file && readJsonFile(file, maxConfigBytes, signal);
}

/** A token named by its text, or by an object that holds it. */
function named(config: Json, key: string, ids: ReadonlyMap<string, number>): number | undefined {
	const token = config[key];
	const text = isRecord(token) ? token.content : token;
	return typeof text === "string" ? ids.get(text) : undefined;
}

function listed(value: unknown): number[] {
	return (Array.isArray(value) ? value : [value]).filter((id) => typeof id === "number");
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
