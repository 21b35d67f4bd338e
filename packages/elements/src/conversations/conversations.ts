import { css, html, LitElement, nothing } from "lit";
import { live } from "lit/directives/live.js";
import { define } from "../define.ts";
import { describeError } from "../describe.ts";
import { formatDate, formatDuration } from "../format.ts";
import { messages } from "../language/language.ts";
import "../notice.ts";
import { controls, theme } from "../theme.ts";
import type { ConversationHead, ConversationStore } from "./conversationStore.ts";
import { sheet } from "./sheet.ts";

const dayMs = 86_400_000;

function whenOf(time: number): string {
	const ago = Date.now() - time;
	return ago < dayMs ? messages.chat.conversations.ago(formatDuration(ago)) : formatDate(time);
}

/** While somebody types. */
const searchAfterMs = 150;

/**
 * The conversations that this device keeps, in a sheet: find one, open it, call it something else, delete it and think better of it.
 *
 * @fires open-conversation - `detail`: its id; undefined begins a new one
 */
export class TabmeshConversations extends LitElement {
	static override properties = { store: { attribute: false }, shown: { type: String } };
	static override styles = [
		theme,
		controls,
		sheet,
		css`
			:host {
				display: contents;
			}
			ul {
				display: grid;
				gap: 0.25rem;
			}
			li {
				display: grid;
				grid-template-columns: minmax(0, 1fr) auto auto;
				align-items: center;
				border-radius: 12px;
			}
			li.shown {
				background: var(--_tint);
			}
			.open {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				justify-content: stretch;
				justify-items: start;
				gap: 0.1rem;
				border-color: transparent;
				border-radius: 12px;
				padding-inline: 0.75rem;
				text-align: start;
			}
			.open span {
				max-width: 100%;
				overflow: hidden;
				text-overflow: ellipsis;
				white-space: nowrap;
			}
			.open .small {
				font-weight: 400;
			}
			.icon {
				width: 44px;
				padding: 0;
				border-color: transparent;
				color: var(--_muted);
			}
			.icon svg {
				width: 1.05rem;
				height: 1.05rem;
				fill: none;
				stroke: currentColor;
				stroke-width: 1.4;
				stroke-linejoin: round;
			}
			[role="status"]:not(:has(> *)) {
				display: none;
			}
			form {
				grid-column: 1 / -1;
				display: grid;
				grid-template-columns: minmax(0, 1fr) auto;
				gap: 0.5rem;
				padding: 0.25rem;
			}
			.undo {
				display: flex;
				align-items: center;
				justify-content: space-between;
				gap: 1rem;
				padding: 0.4rem 0.4rem 0.4rem 1rem;
				border-radius: 12px;
				background: var(--_tint);
			}
		`,
	];
	declare store: ConversationStore | undefined;
	/** Id of the one that the page shows. */
	declare shown: string;
	#heads: readonly ConversationHead[] | undefined;
	#search = "";
	#searching: ReturnType<typeof setTimeout> | undefined;
	#renaming: string | undefined;
	#deleted: ConversationHead | undefined;
	#error: unknown;
	#unwatch: (() => void) | undefined;

	constructor() {
		super();
		this.store = undefined;
		this.shown = "";
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#unwatch?.();
		clearTimeout(this.#searching);
	}

	/** Opens the sheet. */
	show(): void {
		this.#dialog.showModal();
		this.#unwatch?.();
		this.#unwatch = this.store?.watch(() => void this.#load());
		void this.#load();
	}

	get #dialog(): HTMLDialogElement {
		return this.renderRoot.querySelector("dialog")!;
	}

	async #load(): Promise<void> {
		try {
			this.#heads = await this.store?.list(this.#search);
			this.#error = undefined;
		} catch (error) {
			this.#error = error;
		}
		this.requestUpdate();
	}

	async #try(work: Promise<void> | undefined): Promise<void> {
		try {
			await work;
		} catch (error) {
			this.#error = error;
			this.requestUpdate();
		}
	}

	#open(id: string | undefined): void {
		this.#dialog.close();
		this.dispatchEvent(new CustomEvent("open-conversation", { detail: id }));
	}

	async #remove(head: ConversationHead): Promise<void> {
		this.#deleted = head;
		await this.#try(this.store?.remove(head.id));
		if (head.id === this.shown)
			this.dispatchEvent(new CustomEvent("open-conversation", { detail: undefined }));
		await this.updateComplete;
		this.renderRoot.querySelector<HTMLElement>(".undo button")?.focus();
	}

	async #restore(): Promise<void> {
		const head = this.#deleted;
		this.#deleted = undefined;
		this.requestUpdate();
		if (head) await this.#try(this.store?.restore(head.id));
		this.renderRoot.querySelector<HTMLElement>("input")?.focus();
	}

	#closed(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		this.#renaming = undefined;
		this.#deleted = undefined;
		this.requestUpdate();
	}

	async #rename(head: ConversationHead, event: SubmitEvent): Promise<void> {
		event.preventDefault();
		const title = String(new FormData(event.target as HTMLFormElement).get("title")).trim();
		this.#renaming = undefined;
		this.requestUpdate();
		if (title !== "") await this.#try(this.store?.rename(head.id, title));
	}

	async #startRenaming(id: string): Promise<void> {
		this.#renaming = id;
		this.requestUpdate();
		await this.updateComplete;
		this.renderRoot.querySelector<HTMLInputElement>("form input")?.select();
	}

	#renderHead(head: ConversationHead) {
		const text = messages.chat.conversations;
		const isShown = head.id === this.shown;
		if (head.id === this.#renaming)
			return html`
				<li>
					<form @submit=${(event: SubmitEvent) => this.#rename(head, event)}>
						<input name="title" type="text" maxlength="120" dir="auto" aria-label=${text.title} .value=${head.title} />
						<button class="primary" type="submit">${text.save}</button>
					</form>
				</li>
			`;
		return html`
			<li class=${isShown ? "shown" : nothing}>
				<button class="open" type="button" aria-current=${isShown ? "true" : nothing} @click=${() => this.#open(head.id)}>
					<span dir="auto">${head.title}</span>
					<span class="muted small">${whenOf(head.updatedAt)}</span>
				</button>
				<button class="icon" type="button" title=${text.rename} aria-label=${text.renameNamed(head.title)} @click=${() => this.#startRenaming(head.id)}>
					<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M10.5 2.5l3 3-8 8-3.5.5.5-3.5z" /></svg>
				</button>
				<button class="icon" type="button" title=${text.delete} aria-label=${text.deleteNamed(head.title)} @click=${() => this.#remove(head)}>
					<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 4.5h11m-7 0v-2h3v2m-5 0l.5 9h6l.5-9" /></svg>
				</button>
			</li>
		`;
	}

	protected override render() {
		const text = messages.chat.conversations;
		const heads = this.#heads ?? [];
		const trouble = this.#error === undefined ? undefined : describeError(this.#error);
		const isSearching = this.#search.trim() !== "";
		return html`
			<dialog aria-labelledby="heading" @close=${this.#closed}>
				<div class="sheet">
					<div class="head">
						<h2 id="heading">${text.heading}</h2>
						<button type="button" @click=${() => this.#dialog.close()}>${text.close}</button>
					</div>
					<button class="primary" type="button" @click=${() => this.#open(undefined)}>${text.new}</button>
					<input
						type="search"
						aria-label=${text.search}
						placeholder=${text.search}
						.value=${live(this.#search)}
						@input=${(event: InputEvent) => {
							this.#search = (event.target as HTMLInputElement).value;
							clearTimeout(this.#searching);
							this.#searching = setTimeout(() => void this.#load(), searchAfterMs);
						}}
					/>
					${
						trouble === undefined
							? nothing
							: html`<tabmesh-notice tone="trouble" heading=${trouble.what} .steps=${trouble.steps}></tabmesh-notice>`
					}
					<div role="status">
						${
							this.#deleted === undefined
								? nothing
								: html`
									<div class="undo">
										<span>${text.deleted}</span>
										<button type="button" @click=${this.#restore}>${text.undo}</button>
									</div>
								`
						}
						${
							this.#heads !== undefined && heads.length === 0
								? html`<p class="muted">${isSearching ? text.nothingFound : text.none}</p>`
								: nothing
						}
					</div>
					${heads.length === 0 ? nothing : html`<ul aria-labelledby="heading">${heads.map((head) => this.#renderHead(head))}</ul>`}
					<p class="muted small">${text.where}</p>
				</div>
			</dialog>
		`;
	}
}

define("tabmesh-conversations", TabmeshConversations);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-conversations": TabmeshConversations;
	}
}
