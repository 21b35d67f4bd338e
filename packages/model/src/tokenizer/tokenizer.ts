import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { InvalidParameterError, type Manifest, TokenizerError } from "@tabmesh/wire";
import { ChatTemplate, type ToolDefinition, type TurnOfChat } from "./chatTemplate.ts";
import { literally, NameHider } from "./nameHider.ts";
import { StreamingDecoder } from "./streamingDecoder.ts";
import { TokenBytes } from "./tokenBytes.ts";
import { type AddedToken, parseTokenizerFile, type TokenizerFile } from "./tokenizerFile.ts";
import { type ToolForm, toolFormOf } from "./toolForm.ts";

/** A model's text side: text to tokens and back. */
export interface Tokenizer {
	/** The tokens of plain text. No special token ever comes out of it, whatever the text says. */
	encode(text: string): number[];
	/** A prompt to continue: {@link encode} with the model's beginning-of-text token before it. */
	encodePrompt(text: string): number[];
	/**
	 * A chat, put together by the model's own template up to where the assistant's answer begins. Special tokens come from the template
	 * alone, never out of a message, its role, or what is said of functions.
	 *
	 * @param tools - functions that may be called; only templates with a `toolForm` tell the model of them
	 *
	 * @throws InvalidParameterError when the model has no template, or its template refuses these messages; TokenizerError when the
	 * template is broken or does not come to an end
	 */
	encodeChat(messages: readonly TurnOfChat[], tools?: readonly ToolDefinition[]): number[];
	/** How the model's own template has functions called; undefined where it has none, or none that an answer can be held to. */
	readonly toolForm: ToolForm | undefined;
	/**
	 * How one token is written by itself: what its bytes say, of half a character the replacement character; a special one by its name and
	 * without bytes, because it stands for no text.
	 *
	 * @throws TokenizerError for an id outside the vocabulary
	 */
	piece(token: number): { readonly text: string; readonly bytes: Uint8Array | undefined };
	/** The text of tokens, special ones left out. @throws TokenizerError for an id outside the vocabulary */
	decode(tokens: readonly number[]): string;
	/**
	 * Turns tokens into text one by one and never shows half a character.
	 *
	 * @param after - the tokens that the text continues; with none before it, SentencePiece's leading space is left out
	 */
	streamingDecoder(after?: readonly number[]): StreamingDecoder;
}

/**
 * The tokenizer of a model.
 *
 * @param tokenizerJson - the bytes of its `tokenizer.json`
 * @throws TokenizerError when the file is broken
 */
export function createTokenizer(tokenizerJson: Uint8Array, manifest: Manifest): Tokenizer {
	return new ModelTokenizer(withSpecialEnds(parseTokenizerFile(tokenizerJson), manifest), manifest);
}

/** Some files list the tokens that begin and end texts among the ordinary ones; a message could end its own turn then. */
function withSpecialEnds(file: TokenizerFile, { tokenizer: { bos, eos } }: Manifest): TokenizerFile {
	const ends = new Set([bos, ...eos]);
	const added = file.added_tokens.map((token) => (ends.has(token.id) ? { ...token, special: true } : token));
	return { ...file, added_tokens: added };
}

class ModelTokenizer implements Tokenizer {
	readonly #manifest: Manifest;
	/** Knows no special tokens, so none can come out of it. */
	readonly #plain: HuggingFaceTokenizer;
	readonly #special: readonly AddedToken[];
	readonly #bytes: TokenBytes;
	#template: ChatTemplate | undefined;
	/** null: none. */
	#toolForm: ToolForm | null | undefined;

	constructor(file: TokenizerFile, manifest: Manifest) {
		this.#manifest = manifest;
		this.#special = file.added_tokens.filter((token) => token.special);
		this.#bytes = new TokenBytes(file, manifest.config.vocabularySize);
		try {
			const ordinary = file.added_tokens.filter((token) => !token.special);
			this.#plain = new HuggingFaceTokenizer({ ...file, added_tokens: ordinary }, {});
		} catch (cause) {
			throw new TokenizerError("The model's tokenizer is broken.", { cause });
		}
	}

	encode(text: string): number[] {
		if (text === "") return [];
		const ids: number[] = this.#plain.encode(text.toWellFormed(), { add_special_tokens: false }).ids;
		const { vocabularySize } = this.#manifest.config;
		if (ids.some((id) => !(id >= 0 && id < vocabularySize))) {
			throw new TokenizerError("The model's tokenizer knows tokens that the model does not have.");
		}
		return ids;
	}

	encodePrompt(text: string): number[] {
		const { bos } = this.#manifest.tokenizer;
		return [...(bos === undefined ? [] : [bos]), ...this.encode(text)];
	}

	get toolForm(): ToolForm | undefined {
		const { chatTemplate } = this.#manifest.tokenizer;
		if (this.#toolForm === undefined) {
			const names = this.#special.map((token) => token.content);
			const form =
				chatTemplate !== undefined &&
				toolFormOf((turns, tools, begins) => this.#render(chatTemplate, turns, tools, begins), names);
			this.#toolForm = form || null;
		}
		return this.#toolForm ?? undefined;
	}

	encodeChat(messages: readonly TurnOfChat[], tools: readonly ToolDefinition[] = []): number[] {
		const { bos, chatTemplate } = this.#manifest.tokenizer;
		if (chatTemplate === undefined) {
			throw new InvalidParameterError("This model does not chat: it only continues text.", {
				metaMessages: ["Give it the beginning of a text as its prompt."],
			});
		}
		const hider = new NameHider(
			this.#special.map((token) => token.content),
			[JSON.stringify([messages, tools])],
		);
		const rendered = this.#render(chatTemplate, hidden(messages, hider), hidden(tools, hider), true);
		const tokens = this.#encodeTemplate(rendered, hider);
		// Templates that leave the beginning out mean the runtime to add it, as llama.cpp does.
		return bos === undefined || tokens[0] === bos ? tokens : [bos, ...tokens];
	}

	piece(token: number): ReturnType<Tokenizer["piece"]> {
		const bytes = this.#bytes.bytes(token);
		if (this.#bytes.isSpecial(token)) return { text: this.#nameOf(token), bytes: undefined };
		return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), bytes };
	}

	decode(tokens: readonly number[]): string {
		const decoder = this.streamingDecoder();
		return tokens.map((token) => decoder.push(token)).join("") + decoder.flush();
	}

	streamingDecoder(after: readonly number[] = []): StreamingDecoder {
		return new StreamingDecoder(this.#bytes, !after.some((token) => !this.#bytes.isSpecial(token)));
	}

	#render(
		source: string,
		messages: readonly TurnOfChat[],
		tools: readonly ToolDefinition[],
		begins: boolean,
	): string {
		const { bos, eos } = this.#manifest.tokenizer;
		try {
			this.#template ??= new ChatTemplate(source);
		} catch (cause) {
			throw new TokenizerError("The model's chat template is broken.", { cause });
		}
		try {
			return this.#template.render({
				messages,
				...(tools.length > 0 ? { tools } : {}),
				add_generation_prompt: begins,
				bos_token: this.#nameOf(bos),
				eos_token: this.#nameOf(eos.find((token) => token !== bos)),
			});
		} catch (cause) {
			if (cause instanceof TokenizerError) throw cause;
			const why = cause instanceof Error ? cause.message.slice(0, 200) : "no reason given";
			throw new InvalidParameterError(`The model's chat template does not take these messages: ${why}`, {
				cause,
			});
		}
	}

	#nameOf(token: number | undefined): string {
		return this.#special.find(({ id }) => id === token)?.content ?? "";
	}

	/** Special tokens stand for themselves here; what lies between them is plain text. */
	#encodeTemplate(rendered: string, hider: NameHider): number[] {
		const byContent = new Map(this.#special.map((token) => [token.content, token]));
		// Longest first: one special token may begin like another.
		const names = [...byContent.keys()].sort((a, b) => b.length - a.length).map(literally);
		const pieces = names.length > 0 ? rendered.split(new RegExp(`(${names.join("|")})`)) : [rendered];
		const tokens: number[] = [];
		for (const [i, piece] of pieces.entries()) {
			// A split by one group alternates between text and what separates it.
			if (i % 2 === 1) tokens.push(byContent.get(piece)!.id);
			else {
				let text = piece;
				if (byContent.get(pieces[i - 1] ?? "")?.rstrip) text = text.trimStart();
				if (byContent.get(pieces[i + 1] ?? "")?.lstrip) text = text.trimEnd();
				tokens.push(...this.encode(hider.show(text)));
			}
		}
		return tokens;
	}
}

/** The same with every text in it hidden, names of fields too: what functions take is written by strangers. */
function hidden<T>(value: T, hider: NameHider): T {
	if (typeof value === "string") return hider.hide(value) as T;
	if (Array.isArray(value)) return value.map((each) => hidden(each, hider)) as T;
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(
		Object.entries(value).map(([key, each]) => [hider.hide(key), hidden(each, hider)]),
	) as T;
}
