/**
 * Hides what people wrote from whoever looks for special tokens: a mark that occurs nowhere goes between the first character of each special
 * token's name and the rest. A chat template can look at the text, trim it and cut it all the same.
 */
export class NameHider {
	readonly #mark: string;
	readonly #names: RegExp | undefined;

	/**
	 * @param names - names of the special tokens
	 * @param texts - all that will be hidden
	 */
	constructor(names: readonly string[], texts: readonly string[]) {
		// The private use area: characters that mean nothing to anyone else.
		let code = 0xe000;
		while (texts.some((text) => text.includes(String.fromCharCode(code)))) code++;
		this.#mark = String.fromCharCode(code);
		const sorted = names.filter((name) => name.length > 1).sort((a, b) => b.length - a.length);
		if (sorted.length > 0) this.#names = new RegExp(sorted.map(literally).join("|"), "g");
	}

	hide(text: string): string {
		return this.#names ? text.replace(this.#names, (name) => name[0] + this.#mark + name.slice(1)) : text;
	}

	show(text: string): string {
		return text.replaceAll(this.#mark, "");
	}
}

/** A regular expression for exactly `text` (RegExp.escape, which not every browser has yet). */
export function literally(text: string): string {
	return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
