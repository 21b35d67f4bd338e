import type { TemplateResult } from "lit";
import MarkdownIt, { type Token } from "markdown-it";
import { calmCode } from "./calm.ts";
import { codeBlock, languageOf, type Outline, renderBlock } from "./renderBlock.ts";
import { safeLink } from "./safeLink.ts";

/**
 * Characters that are parsed at once. The parser's worst case grows with their square (a row of `[`: 25 ms here); a block that is
 * longer, other than code, is cut in two.
 */
const sliceLength = 8_192;
/** Code needs no parser. */
const codeSliceLength = 65_536;

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false });
// Definitions that stand at the end of an answer would change what stands long above.
markdown.block.ruler.disable("reference");
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
markdown.validateLink = (address: string) => safeLink(address) !== undefined;
// It would show a look-alike letter as that letter.
markdown.normalizeLinkText = (address: string) => address;

/** What became of a part of the text. */
export type Piece =
	/** A block that nothing behind it can change. */
	| { readonly kind: "block"; readonly content: unknown }
	/** A block of code begins; its text comes in pieces. */
	| { readonly kind: "code"; readonly content: TemplateResult }
	| { readonly kind: "more code"; readonly text: string };

/** The fence that a block of code ends with. */
interface Fence {
	readonly mark: string;
	readonly length: number;
}

const fenceLine = /^ {0,3}(`{3,}|~{3,})/;

function closes(line: string, { mark, length }: Fence): boolean {
	const trimmed = line.trim();
	return trimmed.length >= length && trimmed === mark.repeat(trimmed.length) && /^ {0,3}\S/.test(line);
}

/** One block of the text, and the lines that it was made of. */
interface Block {
	readonly tokens: Token[];
	readonly from: number;
	readonly to: number;
}

function blocksOf(tokens: readonly Token[]): Block[] {
	const blocks: Block[] = [];
	for (const token of tokens) {
		if (token.level === 0 && token.nesting !== -1) {
			const [from, to] = token.map ?? [0, 0];
			blocks.push({ tokens: [token], from, to });
		} else blocks.at(-1)?.tokens.push(token);
	}
	return blocks;
}

/** Where each line of `text` begins, and where the last one ends. */
function lineStarts(text: string): number[] {
	const starts = [0];
	for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
	return starts;
}

/** The fence of a block of code whose end is not there yet. */
function openFence({ tokens, from, to }: Block, text: string, starts: readonly number[]): Fence | undefined {
	if (tokens[0]!.type !== "fence") return undefined;
	const lineOf = (line: number) => text.slice(starts[line], (starts[line + 1] ?? text.length + 1) - 1);
	const marks = fenceLine.exec(lineOf(from))?.[1];
	if (marks === undefined) return undefined;
	const fence = { mark: marks[0]!, length: marks.length };
	return to - 1 > from && closes(lineOf(to - 1), fence) ? undefined : fence;
}

/**
 * What stands at the end of a text that is still being written and may become something else with the next character: a `-` below a
 * line makes it a heading, until a space behind it makes it a list; and a line that begins code is one of text as soon as it has
 * another backtick. It is shown a moment later.
 */
const undecided = /(?:^|\n)[ \t]*(?:[-+*=#`~>|_][-+*=#`~>|_ \t]*|\d{1,9}[.)]?[ \t]*|`{3,}[^`\n]*)?$/;
/** A table is one from its second line on, even where its first looks like the beginning of code. */
const beginningTable =
	/(?:(?:^|\n[ \t]*\n) {0,3}\||(?:^|\n) {0,3}(?:```|~~~)[^\n]*\|)[^\n]*(?:\n[ \t|:-]*)?$/;

/**
 * Markdown that is still being written. Whatever the end of the text cannot change any more comes out once, and is not looked at
 * again; only the last block is parsed anew with every piece.
 */
export class MarkdownStream {
	#text = "";
	#whole = false;
	/** What lies before came out. */
	#at = 0;
	#fence: Fence | undefined;
	/** Whether code was taken up to the middle of a line. */
	#inLine = false;
	/** Of a table that is cut in two: its head, for the second part. */
	#head = "";
	readonly #outline: Outline = { levels: [] };

	/**
	 * @param text - all of it so far
	 * @param whole - whether it ends there
	 * @returns false where it does not go on with what was given before
	 */
	write(text: string, whole: boolean): boolean {
		const clean = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
		if (!clean.startsWith(this.#text)) return false;
		this.#text = clean;
		this.#whole = whole;
		return true;
	}

	/**
	 * Reads on, by a bounded amount.
	 *
	 * @returns what came out, the last block as it looks now, and whether there is more to be read at once
	 */
	read(): { readonly pieces: readonly Piece[]; readonly tail: unknown; readonly more: boolean } {
		return this.#fence ? this.#readCode(this.#fence) : this.#readBlocks();
	}

	#readCode(fence: Fence): ReturnType<MarkdownStream["read"]> {
		const slice = this.#text.slice(this.#at, this.#at + codeSliceLength);
		const isEnd = this.#at + slice.length === this.#text.length;
		let taken = 0;
		let code = slice.length;
		for (let at = 0; at < slice.length; at = taken) {
			const end = slice.indexOf("\n", at);
			const line = slice.slice(at, end < 0 ? slice.length : end);
			if (end >= 0 || (isEnd && this.#whole)) {
				taken = end < 0 ? slice.length : end + 1;
				const isWhole = !this.#inLine;
				this.#inLine = false;
				if (!isWhole || !closes(line, fence)) continue;
				code = at;
				this.#fence = undefined;
				break;
			}
			// Not a whole line yet: perhaps it becomes the fence.
			const maybe = isEnd && !this.#inLine && /^ {0,3}[`~]*[ \t]*$/.test(line);
			// A line that is longer than what is read at once is cut.
			const waits = maybe || (!isEnd && at > 0);
			taken = waits ? at : slice.length;
			if (!waits) this.#inLine = true;
			break;
		}
		const text = slice.slice(0, Math.min(code, taken));
		this.#at += taken;
		return {
			pieces: text === "" ? [] : [{ kind: "more code", text: calmCode(text) }],
			tail: undefined,
			more: taken > 0 && this.#at < this.#text.length,
		};
	}

	#readBlocks(): ReturnType<MarkdownStream["read"]> {
		let slice = this.#text.slice(this.#at, this.#at + sliceLength);
		const isEnd = this.#at + slice.length === this.#text.length;
		if (!isEnd) {
			const newline = slice.lastIndexOf("\n");
			if (newline >= 0) slice = slice.slice(0, newline + 1);
			else if (/[\ud800-\udbff]$/.test(slice)) slice = slice.slice(0, -1);
		} else if (!this.#whole) slice = slice.replace(beginningTable, "").replace(undecided, "");
		const head = slice === "" || /^[^\n]*\|/.test(slice) ? this.#head : "";
		this.#head = "";
		const text = head + slice;
		const blocks = blocksOf(markdown.parse(text, {}));
		if (blocks.length === 0 && isEnd && !this.#whole) {
			// Spaces: they may be the beginning of something.
			this.#head = head;
			return { pieces: [], tail: undefined, more: false };
		}
		const starts = lineStarts(text);
		const isOver = isEnd && this.#whole;
		// The last one may still grow; but one that fills all that is read at once is cut here.
		const isFull = !isEnd && blocks.length < 2;
		const pieces: Piece[] = [];
		const last = isOver || isFull ? undefined : blocks.at(-1);
		for (const block of blocks) {
			const open = block === blocks.at(-1) && !isOver && openFence(block, text, starts);
			// Its first line must be whole: the language stands there.
			const bodyAt = starts[block.from + 1];
			if (open && bodyAt !== undefined) {
				pieces.push({ kind: "code", content: codeBlock(languageOf(block.tokens[0]!), "") });
				this.#fence = open;
				this.#inLine = false;
				this.#at += bodyAt - head.length;
				return { pieces, tail: undefined, more: this.#at < this.#text.length };
			}
			if (block === last) break;
			pieces.push({ kind: "block", content: renderBlock(block.tokens, this.#outline) });
		}
		if (last === undefined) {
			if (isFull && blocks[0]?.tokens[0]?.type === "table_open")
				this.#head = text.slice(0, starts[blocks[0].from + 2]);
			this.#at += slice.length;
			return { pieces, tail: undefined, more: !isEnd };
		}
		const lastAt = Math.max(0, (starts[last.from] ?? 0) - head.length);
		if (lastAt === 0) this.#head = head;
		this.#at += lastAt;
		return {
			pieces,
			tail: isEnd ? renderBlock(last.tokens, { levels: [...this.#outline.levels] }) : undefined,
			more: !isEnd,
		};
	}
}
