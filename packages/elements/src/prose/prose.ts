import { render } from "lit";
import { messages } from "../language/language.ts";
import { onNextFrame } from "../onNextFrame.ts";
import { calm } from "./calm.ts";
import type { MarkdownStream } from "./markdownStream.ts";

/** Of a frame's 16 milliseconds: layout and the network, which shares this thread, need the rest. */
const budgetMs = 6;

/** So many blocks share a container that the browser may leave out while it is off the screen. */
const blocksInASheet = 32;

/** Lines of code that are laid out together: with each that is added to a block, the browser lays out all of it anew. */
const codeInABox = 4_096;

/** How long *Copied* stands on a button. */
const copiedMs = 2_000;

type Markdown = typeof import("./markdownStream.ts");
let loaded: Markdown | undefined;

/**
 * A model's text as markdown, while it is written and after: headings, lists, tables, code and links of the web, made from a fixed
 * list of elements. It draws into itself, without a shadow, and takes its looks from `proseStyles` around it. Until the parser has
 * been loaded, with the first text, and where it could not be, the text stands there as it is.
 */
export class TabmeshProse extends HTMLElement {
	#text = "";
	#running = false;
	#stream: MarkdownStream | undefined;
	#sheet: HTMLElement | undefined;
	#code: HTMLElement | undefined;
	readonly #tail = document.createElement("div");
	#cancel: (() => void) | undefined;
	#waits = false;
	#drawn = Promise.withResolvers<void>();

	constructor() {
		super();
		this.#drawn.resolve();
		this.#tail.className = "sheet";
		this.addEventListener("click", (event) => void this.#copyCode(event));
	}

	set text(text: string) {
		if (text === this.#text) return;
		this.#text = text;
		this.#schedule();
	}

	get text(): string {
		return this.#text;
	}

	/** Whether the text is still being written. */
	set running(running: boolean) {
		if (running === this.#running) return;
		this.#running = running;
		this.toggleAttribute("running", running);
		this.#schedule();
	}

	get running(): boolean {
		return this.#running;
	}

	/** Resolves when all of the text that there is now is shown as it is meant to be. */
	get drawn(): Promise<void> {
		return this.#drawn.promise;
	}

	/** What is read aloud: without the buttons. */
	get spoken(): string {
		const parts: string[] = [];
		const walker = document.createTreeWalker(this, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
			node instanceof HTMLElement && node.localName === "figcaption"
				? NodeFilter.FILTER_REJECT
				: NodeFilter.FILTER_ACCEPT,
		);
		while (walker.nextNode()) {
			const node = walker.currentNode;
			if (node instanceof Text) parts.push(node.data);
			else if (/^(?:p|li|h\d|tr|pre|br)$/.test((node as Element).localName)) parts.push("\n");
			else if (/^t[dh]$/.test((node as Element).localName)) parts.push(" ");
		}
		return parts.join("").trim();
	}

	connectedCallback(): void {
		this.#schedule();
	}

	disconnectedCallback(): void {
		this.#cancel?.();
		this.#cancel = undefined;
	}

	#schedule(): void {
		if (!this.#waits) this.#drawn = Promise.withResolvers();
		this.#waits = true;
		if (this.#cancel || !this.isConnected) return;
		this.#cancel = onNextFrame(() => {
			this.#cancel = undefined;
			this.#draw();
		});
	}

	async #load(): Promise<void> {
		try {
			loaded = await import("./markdownStream.ts");
		} catch {
			// Offline: it is read as it was written.
			this.#finish();
			return;
		}
		this.#schedule();
	}

	#finish(): void {
		this.#waits = false;
		this.#drawn.resolve();
	}

	#clear(): void {
		this.replaceChildren();
		this.#stream = undefined;
		this.#sheet = undefined;
		this.#code = undefined;
	}

	#draw(): void {
		if (loaded === undefined) {
			if (this.#text === "") {
				this.#finish();
				return;
			}
			this.classList.add("plain");
			this.textContent = calm(this.#text);
			void this.#load();
			return;
		}
		if (this.#stream === undefined) this.#begin(loaded);
		if (!this.#stream!.write(this.#text, !this.#running)) {
			this.#begin(loaded);
			this.#stream!.write(this.#text, !this.#running);
		}
		const until = performance.now() + budgetMs;
		let more = true;
		while (more && performance.now() < until) more = this.#read();
		if (more) this.#schedule();
		else this.#finish();
	}

	#begin({ MarkdownStream }: Markdown): void {
		this.#clear();
		this.classList.remove("plain");
		this.#stream = new MarkdownStream();
		this.append(this.#tail);
	}

	#read(): boolean {
		const { pieces, tail, more } = this.#stream!.read();
		for (const piece of pieces) {
			if (piece.kind === "more code") {
				this.#addCode(piece.text);
				continue;
			}
			const block = document.createDocumentFragment();
			render(piece.content, block);
			if (piece.kind === "code") {
				this.#code = block.querySelector("code")!;
				this.#code.replaceChildren();
			}
			this.#openSheet().append(block);
		}
		render(tail, this.#tail);
		return more;
	}

	#addCode(text: string): void {
		let box = this.#code?.lastElementChild;
		for (let rest = text; rest !== ""; ) {
			const hasRoom = box && (box.textContent.length < codeInABox || !box.textContent.endsWith("\n"));
			if (!hasRoom) {
				box = document.createElement("span");
				this.#code?.append(box);
			}
			const from = Math.max(0, codeInABox - box!.textContent.length);
			const end = rest.indexOf("\n", from);
			const part = end < 0 ? rest : rest.slice(0, end + 1);
			box!.append(part);
			rest = rest.slice(part.length);
		}
	}

	#openSheet(): HTMLElement {
		if (this.#sheet === undefined || this.#sheet.children.length >= blocksInASheet) {
			this.#sheet?.classList.add("full");
			this.#sheet = document.createElement("div");
			this.#sheet.className = "sheet";
			this.#tail.before(this.#sheet);
		}
		return this.#sheet;
	}

	async #copyCode({ target }: Event): Promise<void> {
		const button = target instanceof Element ? target.closest("button.copy") : null;
		const code = button?.closest("figure")?.querySelector("code")?.textContent;
		if (!button || code === undefined || code === null) return;
		try {
			await navigator.clipboard.writeText(code);
			button.textContent = messages.chat.copied;
		} catch {
			button.textContent = messages.chat.notCopied;
		}
		setTimeout(() => {
			button.textContent = messages.chat.copyCode;
		}, copiedMs);
	}
}

if (customElements.get("tabmesh-prose") === undefined) customElements.define("tabmesh-prose", TabmeshProse);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-prose": TabmeshProse;
	}
}
