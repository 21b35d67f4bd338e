import type { ModelView, PrivateMode, Tabmesh } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { live } from "lit/directives/live.js";
import { repeat } from "lit/directives/repeat.js";
import {
	Answer,
	type Asked,
	keptTurn,
	type LeftConversation,
	rateOf,
	readConversation,
	readTurn,
	type Turn,
	writeConversation,
} from "./answer.ts";
import "../cannot.ts";
import { type Connect, Connection } from "../connection.ts";
import "../conversations/askSettings.ts";
import type { TabmeshAskSettings } from "../conversations/askSettings.ts";
import { Conversation, titleOf } from "../conversations/conversation.ts";
import type { ConversationStore } from "../conversations/conversationStore.ts";
import "../conversations/conversations.ts";
import { type AskSettings, readSettings } from "../conversations/settings.ts";
import { define } from "../define.ts";
import { describeError } from "../describe.ts";
import { formatBytes, formatBytesUp, formatMs, formatRate, formatWait } from "../format.ts";
import { atFirstSign } from "./firstSign.ts";
import "../invite.ts";
import { lacksFor } from "../lacks.ts";
import { messages } from "../language/language.ts";
import "../notice.ts";
import { onNextFrame } from "../onNextFrame.ts";
import "../progress.ts";
import "../prose/prose.ts";
import { proseStyles } from "../prose/proseStyles.ts";
import { renderReceipts } from "./renderReceipts.ts";
import "../ring.ts";
import { lendersOf } from "../swarm.ts";
import { controls, theme } from "../theme.ts";

/** Long enough for a screen reader to have taken the text over, short enough not to be met twice. */
const announcementMs = 4_000;

/** What a tab that crashes loses of an answer, at most. */
const keepEveryMs = 3_000;

/** How long *Copied* stands on a button. */
const copiedMs = 2_000;

/** A minute of speech. Nobody can find a place again in what is only said; the answer itself stands in the page. */
const announcedLength = 1_000;

/**
 * Asks the swarm: a prompt goes in, the answer streams out, and the peers that compute it stand beside it as the ring
 * they are. What a model writes reaches the page as text, or as one of
 * the few elements that markdown names.
 *
 * @fires tabmesh-conversation - `detail`: `id` and `title` of the conversation that is shown now, both empty for a new one
 * @fires tabmesh-answer - `detail.status`: `running`, `done`, `stopped` or `failed`, for titles and badges
 * @csspart conversation - all turns
 * @csspart answer - one answer
 * @csspart composer - the form
 * @csspart instrument - the ring and the swarm
 */
export class TabmeshChat extends LitElement {
	static override properties = {
		tabmesh: { attribute: false },
		connect: { attribute: false },
		left: { attribute: false },
		lendHref: { type: String, attribute: "lend-href" },
		patient: { type: Boolean },
		store: { attribute: false },
		conversation: { type: String },
	};
	static override styles = [
		theme,
		controls,
		proseStyles,
		css`
			:host {
				container-type: inline-size;
			}
			.chat {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				gap: 1.75rem;
			}
			.talk {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				align-content: start;
				gap: 1.75rem;
			}
			.suggestions {
				display: grid;
				gap: 0.6rem;
			}
			.suggestions ul {
				display: grid;
				gap: 0.5rem;
			}
			.suggestions button {
				width: 100%;
				justify-content: start;
				border-color: var(--_line);
				border-radius: 12px;
				background: var(--_surface);
				font-family: var(--_prose);
				font-size: 1.0625rem;
				font-weight: 400;
				line-height: 1.4;
				text-align: start;
			}
			.suggestions button:hover:not(:disabled) {
				border-color: var(--_accent);
			}
			article {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				gap: 0.75rem;
			}
			article + article {
				padding-top: 1.75rem;
				border-top: 1px solid var(--_line);
			}
			.said {
				justify-self: end;
				max-width: min(85%, 34rem);
				padding: 0.6rem 1rem;
				border-radius: 16px 16px 4px 16px;
				background: var(--_tint);
				white-space: pre-wrap;
				overflow-wrap: anywhere;
			}
			.prose {
				font-family: var(--_prose);
				font-size: 1.1875rem;
				line-height: 1.62;
				white-space: pre-wrap;
				overflow-wrap: anywhere;
				text-wrap: wrap;
				unicode-bidi: plaintext;
			}
			.given {
				color: var(--_accent);
			}
			.caret {
				display: inline-block;
				width: 0.5rem;
				height: 0.5rem;
				margin-inline-start: 0.3rem;
				border-radius: 50%;
				background: var(--_accent);
				animation: breathe 1.1s ease-in-out infinite alternate;
			}
			@keyframes breathe {
				from {
					opacity: 0.25;
				}
			}
			.seconds {
				white-space: nowrap;
				font-variant-numeric: tabular-nums;
			}
			.facts {
				display: flex;
				flex-wrap: wrap;
				gap: 0 0.9rem;
			}
			.step {
				display: grid;
				gap: 0.5rem;
				max-width: 24rem;
			}
			form {
				position: sticky;
				bottom: 0;
				z-index: 1;
				padding-bottom: max(0.75rem, env(safe-area-inset-bottom));
				background: linear-gradient(to top, var(--_paper) 82%, transparent);
			}
			.box {
				display: grid;
				grid-template-columns: minmax(0, 1fr) auto;
				align-items: end;
				gap: 0.5rem;
				padding: 0.5rem;
				border: 1px solid var(--_control);
				border-radius: 18px;
				background: var(--_surface);
			}
			.box:focus-within {
				border-color: var(--_accent);
				box-shadow: 0 0 0 1px var(--_accent);
			}
			textarea {
				display: block;
				width: 100%;
				max-height: 40vh;
				padding: 0.55rem 0.65rem;
				border: 0;
				background: transparent;
				color: var(--_ink);
				font: inherit;
				font-size: 1.0625rem;
				line-height: 1.45;
				resize: none;
				field-sizing: content;
				min-height: 2.6rem;
			}
			textarea::placeholder {
				color: var(--_muted);
				opacity: 1;
			}
			textarea:focus-visible {
				outline: none;
			}
			.below {
				margin-top: -1.5rem;
			}
			.private {
				display: grid;
				gap: 0.5rem;
				margin-top: -1.25rem;
				justify-items: start;
			}
			.private button {
				padding-inline: 0 1rem;
				border-color: transparent;
				font-size: 0.9375rem;
			}
			.private button:hover:not(:disabled) {
				border-color: transparent;
				background: transparent;
			}
			.track {
				position: relative;
				width: 2.5rem;
				height: 1.5rem;
				border: 1px solid var(--_control);
				border-radius: 999px;
			}
			.track::after {
				content: "";
				position: absolute;
				inset: 3px auto 3px 3px;
				aspect-ratio: 1;
				border-radius: 50%;
				background: var(--_control);
				transition: translate 120ms ease;
			}
			[aria-checked="true"] .track {
				border-color: var(--_accent);
				background: var(--_accent);
			}
			[aria-checked="true"] .track::after {
				background: var(--_on-accent);
				translate: 1rem 0;
			}
			.private p {
				max-width: 42rem;
			}
			.bar {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 0.5rem;
			}
			.bar button {
				padding-inline: 1rem;
				border-color: var(--_line);
				font-size: 0.9375rem;
			}
			.bar .who {
				max-width: 100%;
				margin-inline-start: auto;
			}
			.who span {
				overflow: hidden;
				text-overflow: ellipsis;
				white-space: nowrap;
			}
			.who svg {
				flex: none;
				width: 1rem;
				height: 1rem;
				fill: none;
				stroke: currentColor;
				stroke-width: 1.5;
				stroke-linecap: round;
			}
			.actions {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 0 0.25rem;
				margin: -0.5rem -0.75rem -0.5rem;
			}
			.actions button {
				min-width: 44px;
				padding-inline: 0.75rem;
				font-size: 0.9375rem;
				font-weight: 500;
			}
			.actions button:disabled {
				border-color: transparent;
				opacity: 0.45;
			}
			.versions {
				display: inline-flex;
				align-items: center;
				margin-inline-start: auto;
			}
			.edit {
				display: grid;
				gap: 0.75rem;
			}
			.edit .box {
				grid-template-columns: minmax(0, 1fr);
			}
			summary {
				display: flex;
				align-items: center;
				gap: 0.5rem;
				min-height: 44px;
				margin-block: -0.6rem;
				border-radius: 8px;
				list-style: none;
				cursor: pointer;
			}
			summary::-webkit-details-marker {
				display: none;
			}
			summary::after {
				content: "";
				flex: none;
				width: 0.45rem;
				height: 0.45rem;
				margin-block-start: -0.2rem;
				border: solid currentColor;
				border-width: 0 1.5px 1.5px 0;
				rotate: 45deg;
			}
			details[open] summary::after {
				margin-block-start: 0.25rem;
				rotate: 225deg;
			}
			summary:hover {
				color: var(--_ink);
			}
			.made {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				gap: 0.75rem;
				margin-top: 0.75rem;
				padding: 0.5rem 1rem 0.9rem;
				border: 1px solid var(--_line);
				border-radius: 12px;
			}
			.made .wide {
				overflow-x: auto;
			}
			.made table {
				width: 100%;
				border-collapse: collapse;
				font-size: 0.875rem;
			}
			.made :is(th, td) {
				padding: 0.45rem 1rem 0.45rem 0;
				border-bottom: 1px solid var(--_line);
				text-align: start;
				white-space: nowrap;
			}
			.made :is(th, td):last-child {
				padding-inline-end: 0;
			}
			.made th {
				color: var(--_muted);
				font-weight: 500;
			}
			.made .end {
				text-align: end;
			}
			aside {
				display: grid;
				align-self: start;
				gap: 2rem;
				--tabmesh-ring-size: 12.5rem;
			}
			.value {
				font-size: 2rem;
				font-weight: 600;
				line-height: 1;
				letter-spacing: -0.03em;
			}
			.below .keys {
				display: none;
			}
			@media (hover: hover) {
				.below .keys {
					display: inline;
				}
			}
			@media print {
				.bar,
				.actions,
				.private,
				.below,
				form,
				aside,
				.suggestions,
				summary::after {
					display: none !important;
				}
				.chat,
				.chat > .talk {
					display: block !important;
					min-height: 0 !important;
				}
				h1.unseen {
					position: static;
					width: auto;
					height: auto;
					margin: 0 0 1.5rem;
					clip-path: none;
					white-space: normal;
				}
				article {
					display: block;
					margin-top: 1.5rem;
				}
				.said {
					max-width: none;
					border-inline-start: 3px solid var(--_accent);
					border-radius: 0;
					background: none;
					font-weight: 600;
					break-after: avoid;
				}
			}
			@container (min-width: 56rem) {
				.chat {
					grid-template-columns: minmax(0, 1fr) 19rem;
					grid-template-rows: 1fr auto auto auto;
					gap: 1.75rem 4rem;
				}
				.chat > * {
					grid-column: 1;
				}
				.chat > .talk {
					min-height: var(--tabmesh-chat-height, calc(100dvh - 24rem));
				}
				.chat > aside {
					--tabmesh-ring-size: 15rem;
					grid-column: 2;
					grid-row: 1 / span 4;
					position: sticky;
					top: 1.5rem;
				}
			}
		`,
	];
	/** An open network, where the app has one. */
	declare tabmesh: Tabmesh | undefined;
	/** Opens one as soon as the element is in a page: looking computes nothing. */
	declare connect: Connect | undefined;
	/** What `leave()` gave before the page was reloaded: the conversation is shown at once, its answer goes on when the network is there. */
	declare left: string | undefined;
	/** Address of the lending page, for the invitation. */
	declare lendHref: string;
	/** Reaches for the network at the first sign that somebody is there; without it as soon as it is given `connect`. */
	declare patient: boolean;
	/** Keeps conversations; without one they last as long as the page. */
	declare store: ConversationStore | undefined;
	/** Id of the conversation to show, of those that are kept; empty for a new one. */
	declare conversation: string;

	readonly #connection = new Connection(this);
	/** Calls off what waits for a first sign. */
	#awaited: (() => void) | undefined;
	#talk = new Conversation(undefined);
	/** Turns that this page wrote, or goes on with. */
	readonly #own = new Set<string>();
	/** Whether the store has it. */
	#isKept = false;
	#settings: AskSettings = {};
	#unwatch: (() => void) | undefined;
	/** Why nothing is kept any more. */
	#keepError: unknown;
	/** It was deleted while it is shown. */
	#isGone = false;
	/** The question that is being asked otherwise. */
	#editing: Turn | undefined;
	#copied: Turn | undefined;
	#answer: Answer | undefined;
	/** Waits for the network. */
	#left: LeftConversation | undefined;
	/** Whether the person wants the peers to get no text. */
	#private = false;
	/** Why that cannot be. */
	#privateError: unknown;
	#watched: PrivateMode | undefined;
	#draft = "";
	#announcement = "";
	#announcementTimer: ReturnType<typeof setTimeout> | undefined;
	#redraw: (() => void) | undefined;
	/** The conversation that the page was told of last. */
	#told = "";

	constructor() {
		super();
		this.tabmesh = undefined;
		this.connect = undefined;
		this.left = undefined;
		this.lendHref = "/lend";
		this.patient = false;
		this.store = undefined;
		this.conversation = "";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#watchStore();
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#watched?.removeEventListener("change", this.#schedule);
		this.#watched = undefined;
		clearTimeout(this.#announcementTimer);
		this.#awaited?.();
		this.#redraw?.();
		this.#redraw = undefined;
		this.#unwatch?.();
		this.#unwatch = undefined;
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("tabmesh") && (this.tabmesh || changed.get("tabmesh")))
			this.#connection.use(this.tabmesh);
		if (changed.has("connect") && this.connect && !this.tabmesh) {
			this.#awaited?.();
			// An answer that runs somewhere does not wait for a sign.
			if (this.patient && this.left === undefined) this.#awaited = atFirstSign(() => this.#reach());
			else this.#reach();
		}
		if (changed.has("store")) this.#watchStore();
		if (changed.has("left") && this.left !== undefined && this.#turns.length === 0) {
			this.#left = readConversation(this.left);
			const turns = this.#left?.turns ?? [];
			const id = this.#left?.id;
			const head =
				id === undefined ? undefined : { id, title: titleOf(turns[0]!.prompt), leaf: turns.at(-1)!.id };
			this.#talk = new Conversation(head, turns);
			for (const { id } of turns.slice(-1)) this.#own.add(id);
			this.#isKept = id !== undefined;
			this.#told = this.conversation = id ?? "";
			if (id !== undefined) void this.#refresh(id);
			// What was asked in private goes on so, and what is asked next.
			this.#private = this.#turns.at(-1)?.private ?? false;
		}
		if (this.store && this.conversation !== this.#told) void this.#open(this.conversation);
		if (this.#left && this.#model) this.#goOn(this.#left, this.#model);
	}

	/**
	 * Leaves the running answer where it is, because the page is about to go: the swarm keeps it for a minute, for `left` of an
	 * element in the next page. To be called from a `pagehide` listener that was added before the network
	 * was opened: it says goodbye there, too, and listeners are called in their order.
	 *
	 * @returns the conversation; undefined where no answer is running
	 */
	leave(): string | undefined {
		if (this.#left) return writeConversation(this.#left);
		if (!this.#answer) return undefined;
		const id = this.#isKept ? this.#talk.id : undefined;
		return writeConversation({ id, turns: this.#turns, answer: this.#answer.leave() });
	}

	#goOn({ turns, answer }: LeftConversation, model: ModelView) {
		const { tabmesh } = this.#connection;
		if (tabmesh === undefined) return;
		this.#left = undefined;
		const turn = turns.at(-1)!;
		if (answer !== undefined) {
			void this.#attend(Answer.resume(tabmesh, turn, answer, this.#schedule));
			return;
		}
		// Nothing had come yet.
		const earlier = turns.slice(0, -1);
		void this.#write(Answer.ask(tabmesh, turn.prompt, earlier, this.#asked(model), this.#schedule, turn));
	}

	#asked({ id, name, chats }: ModelView): Asked {
		return { id, name, chats, private: this.#private, settings: this.#settings };
	}

	/** What is shown of the conversation. */
	get #turns(): readonly Turn[] {
		return this.#talk.path;
	}

	#watchStore() {
		this.#unwatch?.();
		this.#unwatch = this.store?.watch((id) => {
			if (id === this.#talk.id && this.#isKept) void this.#refresh(id);
		});
		this.store?.settings().then(
			(kept) => {
				this.#settings = readSettings(kept);
				this.requestUpdate();
			},
			() => {},
		);
	}

	/** Takes over what other tabs, or the list, made of the conversation that is shown. */
	async #refresh(id: string) {
		try {
			const kept = await this.store?.read(id);
			if (this.#talk.id !== id) return;
			this.#isGone = kept === undefined;
			if (kept) {
				const turns = kept.turns.flatMap((turn) => readTurn(turn) ?? []);
				this.#talk.merge(kept.head.title, turns, this.#own);
				this.#tellConversation();
			}
			this.requestUpdate();
		} catch {
			// What is shown stays; the next thing that is to be kept says why it is not.
		}
	}

	/** Shows a kept conversation, or a new one where `id` is empty. */
	async #open(id: string) {
		this.#told = this.conversation = id;
		// What there is of a running answer stays in its conversation.
		this.#answer?.stop();
		await this.#answer?.finished;
		if (this.#told !== id) return;
		this.#editing = undefined;
		this.#keepError = undefined;
		this.#isGone = false;
		this.#isKept = false;
		this.#talk = new Conversation(undefined);
		this.requestUpdate();
		if (id !== "") {
			try {
				const kept = await this.store?.read(id);
				if (this.#told !== id) return;
				if (kept) {
					this.#talk = new Conversation(
						kept.head,
						kept.turns.flatMap((turn) => readTurn(turn) ?? []),
					);
					this.#isKept = true;
				} else this.#isGone = true;
			} catch (error) {
				this.#keepError = error;
			}
			this.requestUpdate();
		}
		this.#tellConversation();
		await this.updateComplete;
		this.#input?.focus();
	}

	/** Says which conversation is shown, and what it is called. */
	#tellConversation() {
		const id = this.#isKept ? this.#talk.id : "";
		const { title } = this.#talk;
		if (id !== "" || this.conversation !== "") this.#told = this.conversation = id;
		this.dispatchEvent(
			new CustomEvent("tabmesh-conversation", { detail: { id, title }, bubbles: true, composed: true }),
		);
	}

	/** Keeps a turn as it is now, where there is a store. */
	async #keep(turn: Turn) {
		const { store } = this;
		const talk = this.#talk;
		if (!store || this.#isGone) return;
		const isNew = !this.#isKept;
		if (isNew) talk.title = titleOf(turn.prompt);
		try {
			this.#isGone = !(await store.save(keptTurn(turn, talk.id), isNew ? talk.title : undefined));
			this.#keepError = undefined;
			if (isNew && !this.#isGone && this.#talk === talk) {
				this.#isKept = true;
				this.#tellConversation();
			}
		} catch (error) {
			this.#keepError = error;
		}
		this.requestUpdate();
	}

	#onSettings({ detail }: CustomEvent<AskSettings>) {
		const isOther = detail.model !== this.#settings.model;
		this.#settings = detail;
		if (isOther && this.#private) this.#loadPrivate();
		this.store?.saveSettings(detail).catch((error: unknown) => {
			this.#keepError = error;
			this.requestUpdate();
		});
		this.requestUpdate();
	}

	/** By the person's click only: from here on this device computes, too. */
	#togglePrivate() {
		this.#private = !this.#private;
		this.#privateError = undefined;
		const { tabmesh } = this.#connection;
		if (this.#private) this.#loadPrivate();
		else void tabmesh?.private.free();
		this.requestUpdate();
	}

	#loadPrivate() {
		const { tabmesh } = this.#connection;
		const model = this.#model;
		if (tabmesh === undefined || model === undefined) return;
		if (this.#watched !== tabmesh.private) {
			this.#watched?.removeEventListener("change", this.#schedule);
			this.#watched = tabmesh.private;
			this.#watched.addEventListener("change", this.#schedule);
		}
		tabmesh.private.load(model.id).catch((error: unknown) => {
			// Turned off, or another model chosen meanwhile.
			if (!this.#private || this.#model?.id !== model.id) return;
			this.#private = false;
			this.#privateError = error;
			this.requestUpdate();
		});
	}

	#reach() {
		// It would fail in words of libraries; what is missing is said by name instead.
		if (this.connect && lacksFor("ask").length === 0) void this.#connection.open(this.connect);
	}

	get #model(): ModelView | undefined {
		const models = this.#connection.tabmesh?.models ?? [];
		return models.find(({ id }) => id === this.#settings.model) ?? models[0];
	}

	/**
	 * Draws on the next frame. libp2p shares this thread with us, and every token of the ring passes through it: one
	 * drawing for each frame, not for each token.
	 */
	readonly #schedule = () => {
		if (this.#redraw) return;
		this.#redraw = onNextFrame(() => {
			this.#redraw = undefined;
			this.requestUpdate();
		});
	};

	#announce(text: string) {
		this.#announcement = text;
		clearTimeout(this.#announcementTimer);
		this.#announcementTimer = setTimeout(() => {
			this.#announcement = "";
			this.requestUpdate();
		}, announcementMs);
		this.requestUpdate();
	}

	#tell(turn: Turn) {
		this.dispatchEvent(
			new CustomEvent("tabmesh-answer", { detail: { status: turn.status }, bubbles: true, composed: true }),
		);
	}

	get #canAsk(): boolean {
		const isBusy = this.#answer !== undefined || this.#left !== undefined;
		return !isBusy && this.#model?.coverage.complete === true;
	}

	get #canSend(): boolean {
		return this.#canAsk && this.#draft.trim() !== "";
	}

	/** @param earlier - what was said before */
	async #ask(prompt: string, earlier: readonly Turn[]) {
		const { tabmesh } = this.#connection;
		const model = this.#model;
		if (tabmesh === undefined || model === undefined || this.#answer) return;
		this.#privateError = undefined;
		await this.#write(Answer.ask(tabmesh, prompt, earlier, this.#asked(model), this.#schedule));
	}

	async #write(answer: Answer) {
		this.#talk.add(answer.turn);
		await this.#attend(answer);
	}

	/** What was said before a turn, or all of it. */
	#before(turn: Turn | undefined): readonly Turn[] {
		const turns = this.#turns;
		return turn === undefined ? turns : turns.slice(0, turns.indexOf(turn));
	}

	/** Shows an answer until its end. */
	async #attend(answer: Answer) {
		this.#answer = answer;
		this.#own.add(answer.turn.id);
		this.#announce(messages.chat.announceStart);
		this.#tell(answer.turn);
		this.store?.hold(answer.turn.id, answer.finished);
		void this.#keep(answer.turn);
		const keeping = setInterval(() => void this.#keep(answer.turn), keepEveryMs);
		await this.updateComplete;
		this.#follow(true);
		await answer.finished;
		clearInterval(keeping);
		this.#answer = undefined;
		void this.#keep(answer.turn);
		const { turn } = answer;
		if (turn.status === "done") this.#announce(await this.#spoken(turn));
		else if (turn.status === "stopped") this.#announce(messages.chat.announceStopped);
		else this.#announce(messages.chat.announceFailed(describeError(turn.error).what));
		this.#tell(turn);
	}

	/** What a screen reader says of a whole answer: its words, without the marks between them. */
	async #spoken(turn: Turn): Promise<string> {
		await this.updateComplete;
		const prose = [...this.renderRoot.querySelectorAll("tabmesh-prose")].at(-1);
		await prose?.drawn;
		const text = prose?.spoken ?? turn.text;
		return text.length <= announcedLength
			? text
			: messages.chat.announceLong(text.slice(0, text.lastIndexOf(" ", announcedLength)));
	}

	#send() {
		if (!this.#canSend) return;
		const prompt = this.#draft.trim();
		this.#draft = "";
		void this.#ask(prompt, this.#before(undefined));
	}

	/** Another answer to the same question. The one that is there stays, as another version. */
	#askAgain(turn: Turn) {
		this.#input?.focus();
		void this.#ask(turn.prompt, this.#before(turn));
	}

	async #edit(turn: Turn | undefined) {
		this.#editing = turn;
		this.requestUpdate();
		await this.updateComplete;
		const field = this.renderRoot.querySelector<HTMLTextAreaElement>(".edit textarea") ?? this.#input;
		field?.focus();
		if (turn) field?.setSelectionRange(field.value.length, field.value.length);
	}

	/** Asks the question that was changed. What came of it as it was stays, as another version. */
	#askEdited(turn: Turn) {
		const prompt = this.renderRoot.querySelector<HTMLTextAreaElement>(".edit textarea")?.value.trim() ?? "";
		if (prompt === "" || !this.#canAsk) return;
		this.#editing = undefined;
		this.#input?.focus();
		void this.#ask(prompt, this.#before(turn));
	}

	#onEditKey(turn: Turn, event: KeyboardEvent) {
		if (event.isComposing || event.keyCode === 229) return;
		if (event.key === "Escape") {
			event.preventDefault();
			event.stopPropagation();
			void this.#edit(undefined);
		} else if (event.key === "Enter" && !event.shiftKey) {
			event.preventDefault();
			this.#askEdited(turn);
		}
	}

	#showVersion(turn: Turn) {
		const leaf = this.#talk.show(turn);
		if (this.#isKept) this.store?.select(this.#talk.id, leaf.id).catch(() => {});
		this.requestUpdate();
	}

	async #copy(turn: Turn) {
		try {
			await navigator.clipboard.writeText(turn.chats ? turn.text : turn.prompt + turn.text);
		} catch {
			return;
		}
		this.#copied = turn;
		this.requestUpdate();
		setTimeout(() => {
			this.#copied = undefined;
			this.requestUpdate();
		}, copiedMs);
	}

	get #input(): HTMLTextAreaElement | null {
		return this.renderRoot.querySelector("form textarea");
	}

	#onKey(event: KeyboardEvent) {
		// An input method's Enter chooses a word; Safari sends it after the composition, with the old code 229.
		if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
		event.preventDefault();
		this.#send();
	}

	#onEscape(event: KeyboardEvent) {
		if (event.key !== "Escape" || event.isComposing || this.#answer === undefined) return;
		event.preventDefault();
		this.#stop();
	}

	#stop() {
		this.#answer?.stop();
		this.#input?.focus();
	}

	#suggest(text: string) {
		this.#draft = text;
		this.requestUpdate();
		if (this.#canSend) this.#send();
		this.#input?.focus();
	}

	/** Keeps the end of a growing answer in sight, as long as the reader has not scrolled away from it. */
	#follow(always: boolean) {
		const end = this.renderRoot.querySelector("#end");
		const form = this.renderRoot.querySelector("form");
		if (end === null || form === null) return;
		const covered = end.getBoundingClientRect().bottom - form.getBoundingClientRect().top;
		// A few lines at most have grown since the last drawing; a larger distance is the reader's own doing.
		if (covered > 0 && (always || covered < 120)) window.scrollBy({ top: covered + 12 });
	}

	protected override updated(): void {
		if (this.#answer) this.#follow(false);
	}

	#renderNotice(model: ModelView | undefined) {
		const { status, error, tabmesh } = this.#connection;
		const text = messages.chat;
		if (status === "idle" && this.patient) return nothing;
		if (status === "connecting" || status === "idle")
			return html`
				<div class="step">
					<p class="muted">${text.connecting}</p>
					<tabmesh-progress label=${text.connecting}></tabmesh-progress>
				</div>
			`;
		if (status === "failed") {
			const trouble = describeError(error);
			return html`
				<tabmesh-notice tone="trouble" heading=${trouble.what} .steps=${trouble.steps}>
					<div class="row"><button class="primary" type="button" @click=${this.#reach}>${messages.tryAgain}</button></div>
				</tabmesh-notice>
			`;
		}
		if (model === undefined)
			return html`<tabmesh-notice heading=${text.noModels.title} text=${text.noModels.text}></tabmesh-notice>`;
		const { coverage } = model;
		if (coverage.complete) return nothing;
		const invite = html`<tabmesh-invite emphasis href=${this.lendHref}></tabmesh-invite>`;
		const lenders = lendersOf(model, tabmesh?.members ?? []);
		if (lenders === 0)
			return html`<tabmesh-notice heading=${text.noPeers.title} text=${text.noPeers.text}>${invite}</tabmesh-notice>`;
		if (coverage.missingBytes > 0)
			return html`
				<tabmesh-notice
					heading=${text.missing.title(formatBytesUp(coverage.missingBytes))}
					text=${text.missing.text(model.name, messages.swarm.lenders(lenders))}
					>${invite}</tabmesh-notice
				>
			`;
		if (coverage.loading > 0)
			return html`
				<tabmesh-notice
					heading=${text.loading.title}
					text=${text.loading.text(Math.max(0, lenders - coverage.loading), lenders)}
				>
					<tabmesh-progress label=${text.loading.title}></tabmesh-progress>
				</tabmesh-notice>
			`;
		return html`<tabmesh-notice heading=${text.planning.title} text=${text.planning.text}></tabmesh-notice>`;
	}

	/** What happens between the question and the first token. */
	#renderStep(turn: Turn) {
		const text = messages.chat;
		const { stages, waiting } = turn;
		if (waiting) {
			const { busy, until } = waiting;
			const seconds = until === undefined ? 0 : Math.ceil((until - performance.now()) / 1000);
			// Read out once, not with each second.
			return html`
				<p class="muted">
					<span role="status">${busy ? text.busy : text.regrouping}</span>
					${busy ? html`<span class="seconds">${seconds > 0 ? text.roomIn(seconds) : text.waitingForRoom}</span>` : nothing}<span class="caret"></span>
				</p>
			`;
		}
		const preparing = stages.filter(({ state }) => state === "preparing");
		// What it loads is said where it was turned on.
		const isOwn =
			preparing.length > 0 && preparing.every(({ peer }) => peer === this.#connection.tabmesh?.peer);
		if (isOwn && turn.private)
			return html`<p class="muted">${text.private.loading}<span class="caret"></span></p>`;
		if (preparing.length > 0) {
			const value = stages.reduce((sum, { state, progress }) => sum + (state === "ready" ? 1 : progress), 0);
			const label = text.stagesPreparing(preparing.length, stages.length);
			return html`
				<div class="step">
					<p class="muted">${label}</p>
					<tabmesh-progress label=${label} .value=${value / stages.length}></tabmesh-progress>
				</div>
			`;
		}
		const opening = stages.some(({ state }) => state === "opening");
		const what =
			stages.length === 0 ? text.choosing : opening ? text.stagesOpening(stages.length) : text.reading;
		return html`<p class="muted">${what}<span class="caret"></span></p>`;
	}

	/** Why an answer stands still in the middle, where it does. */
	#renderStandstill(turn: Turn) {
		const text = messages.chat;
		const { stages } = turn;
		let why: string | undefined;
		if (turn.before !== undefined && turn.firstTokenAt === undefined) why = text.resuming;
		else if (stages.some(({ state }) => state === "lost")) why = text.waitingForSpare;
		else if (stages.some(({ state }) => state !== "ready")) why = text.replacing;
		return why === undefined ? nothing : html`<p class="muted" role="status">${why}</p>`;
	}

	#renderFacts(turn: Turn) {
		const text = messages.chat;
		const facts: string[] = [];
		const rate = rateOf(turn);
		const firstTokenMs = turn.summary?.timing.firstTokenMs ?? turn.firstTokenMs;
		if (rate > 0) facts.push(text.speed(formatRate(rate)));
		if (firstTokenMs !== undefined && turn.tokens > 0 && turn.before === undefined)
			facts.push(text.firstToken(formatWait(firstTokenMs)));
		if (turn.tokens > 0) facts.push(text.tokens(turn.tokens));
		// The two ends of a private answer are no peers.
		const peers = turn.stages.length - (turn.private ? 2 : 0);
		if (peers > 0) facts.push(text.over(peers));
		if (turn.private) facts.push(text.private.fact);
		if (turn.before !== undefined) facts.push(text.resumed);
		if (turn.lost > 0) facts.push(text.replayed(turn.lost));
		if (turn.numericsChanged) facts.push(text.numericsChanged);
		if (turn.status === "stopped") facts.push(text.stopped);
		else if (turn.summary?.finishReason === "length") facts.push(text.lengthReached);
		if (facts.length === 0) return nothing;
		return html`
			<details>
				<summary class="muted small"><span class="facts">${facts.map((fact) => html`<span>${fact}</span>`)}</span></summary>
				${renderReceipts(turn, this.#connection.tabmesh?.peer)}
			</details>
		`;
	}

	/** What can be done with an answer that is there. */
	#renderActions(turn: Turn) {
		const text = messages.chat;
		const versions = this.#talk.versions(turn);
		const at = versions.indexOf(turn);
		const isBusy = this.#answer !== undefined;
		const other = (step: -1 | 1, label: string, sign: string) => html`
			<button
				class="quiet"
				type="button"
				aria-label=${label}
				?disabled=${isBusy || versions[at + step] === undefined}
				@click=${() => this.#showVersion(versions[at + step]!)}
			>
				${sign}
			</button>
		`;
		return html`
			<div class="actions" role="group" aria-label=${text.actions}>
				${
					turn.text === ""
						? nothing
						: html`<button class="quiet" type="button" @click=${() => this.#copy(turn)}>${this.#copied === turn ? text.copied : text.copy}</button>`
				}
				${
					turn.status === "failed"
						? nothing
						: html`<button class="quiet" type="button" ?disabled=${!this.#canAsk} @click=${() => this.#askAgain(turn)}>${text.again}</button>`
				}
				<button class="quiet" type="button" ?disabled=${isBusy} @click=${() => this.#edit(turn)}>${text.edit[turn.chats ? "chats" : "continues"]}</button>
				${
					versions.length < 2
						? nothing
						: html`
							<span class="versions">
								${other(-1, text.previousVersion, "‹")}
								<span class="small muted">${text.version(at + 1, versions.length)}</span>
								${other(1, text.nextVersion, "›")}
							</span>
						`
				}
			</div>
		`;
	}

	#renderEdit(turn: Turn) {
		const text = messages.chat;
		const kind = turn.chats ? "chats" : "continues";
		return html`
			<div class="edit">
				<div class="box">
					<textarea
						rows="2"
						dir="auto"
						aria-label=${text.edit[kind]}
						.value=${turn.prompt}
						@keydown=${(event: KeyboardEvent) => this.#onEditKey(turn, event)}
					></textarea>
				</div>
				<div class="row">
					<button class="primary" type="button" ?disabled=${!this.#canAsk} @click=${() => this.#askEdited(turn)}>${text.send[kind]}</button>
					<button type="button" @click=${() => this.#edit(undefined)}>${messages.cancel}</button>
				</div>
			</div>
		`;
	}

	#renderTurn(turn: Turn) {
		const running = turn.status === "running";
		const caret = running && turn.text !== "" ? html`<span class="caret"></span>` : nothing;
		const trouble = turn.status === "failed" ? describeError(turn.error) : undefined;
		const lost = trouble?.code === "StageLost" && turn.text !== "";
		return html`
			<article aria-busy=${running ? "true" : "false"}>
				${turn.chats ? html`<h2 class="unseen">${messages.chat.you}</h2>` : nothing}
				${
					this.#editing === turn
						? this.#renderEdit(turn)
						: turn.chats
							? html`<p class="said" dir="auto">${turn.prompt}</p>`
							: nothing
				}
				${
					turn.chats && turn.text === ""
						? nothing
						: turn.chats
							? html`<tabmesh-prose part="answer" .running=${running} .text=${turn.text}></tabmesh-prose>`
							: html`<p class="prose" part="answer" dir="auto"><span class="given">${turn.prompt}</span>${turn.text}${caret}</p>`
				}
				${running && turn.text === "" ? this.#renderStep(turn) : nothing}
				${running && turn.text !== "" ? this.#renderStandstill(turn) : nothing}
				${turn.elsewhere && running ? html`<p class="muted small" role="status">${messages.chat.elsewhere}</p>` : nothing}
				${running ? nothing : this.#renderFacts(turn)}
				${running || this.#editing === turn ? nothing : this.#renderActions(turn)}
				${
					trouble === undefined
						? nothing
						: html`
							<tabmesh-notice
								tone="trouble"
								heading=${trouble.what}
								text=${lost ? messages.chat.lostHint : ""}
								.steps=${trouble.steps}
							>
								${
									this.#answer
										? nothing
										: html`
											<div class="row">
												<button class="primary" type="button" @click=${() => this.#askAgain(turn)}>${messages.chat.askAgain}</button>
											</div>
										`
								}
							</tabmesh-notice>
						`
				}
			</article>
		`;
	}

	/** Where other conversations are, and whom the next question goes to. */
	#renderBar(model: ModelView | undefined) {
		const text = messages.chat;
		return html`
			<div class="bar" role="group" aria-label=${text.bar}>
				${
					this.store === undefined
						? nothing
						: html`
							<button type="button" @click=${() => this.renderRoot.querySelector("tabmesh-conversations")?.show()}>
								${text.conversations.open}
							</button>
						`
				}
				${
					this.#turns.length === 0
						? nothing
						: html`<button type="button" @click=${() => this.#open("")}>${text.conversations.newShort}</button>`
				}
				<button
					class="who"
					type="button"
					aria-label=${text.settings.open(model?.name ?? "")}
					?disabled=${this.#answer !== undefined}
					@click=${() => this.renderRoot.querySelector<TabmeshAskSettings>("tabmesh-ask-settings")?.show()}
				>
					<span>${model?.name ?? text.settings.heading}</span>
					<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 4.5h6m4 0h4M1 11.5h2m4 0h8" /><circle cx="9" cy="4.5" r="2" /><circle cx="5" cy="11.5" r="2" /></svg>
				</button>
			</div>
		`;
	}

	/** Why this conversation is not kept, where it is not. */
	#renderKeeping() {
		const text = messages.chat.conversations;
		if (this.#isGone)
			return html`<tabmesh-notice heading=${text.gone.title} text=${text.gone.text}></tabmesh-notice>`;
		if (this.#keepError === undefined) return nothing;
		const { what, steps } = describeError(this.#keepError);
		return html`<tabmesh-notice heading=${what} .steps=${steps}></tabmesh-notice>`;
	}

	#renderEmpty(model: ModelView | undefined) {
		const text = messages.chat;
		const kind = model === undefined || model.chats ? "chats" : "continues";
		return html`
			<header>
				<h1>${text.title[kind]}</h1>
				${model === undefined ? nothing : html`<p class="lede">${text.lede[kind](model.name)}</p>`}
			</header>
			${
				model?.coverage.complete
					? html`
						<section class="suggestions" aria-labelledby="suggestions">
							<p id="suggestions" class="muted small">${text.suggestionsLabel}</p>
							<ul>
								${text.suggestions[kind].map(
									(suggestion) =>
										html`<li><button type="button" @click=${() => this.#suggest(suggestion)}>${suggestion}</button></li>`,
								)}
							</ul>
						</section>
					`
					: nothing
			}
		`;
	}

	#renderInstrument(model: ModelView) {
		const { tabmesh } = this.#connection;
		const turn = this.#turns.at(-1);
		const rate = turn ? rateOf(turn) : 0;
		const stages = turn?.stages ?? [];
		const measured = stages.every(({ state, msPerToken }) => state === "ready" && msPerToken > 0);
		const lap = measured ? stages.reduce((sum, { msPerToken }) => sum + msPerToken, 0) : 0;
		const centre =
			rate > 0
				? html`<span class="value">${formatRate(rate)}</span><span class="muted small">${messages.chat.rateUnit}</span>`
				: lap > 0
					? html`<span class="value">${formatMs(lap)}</span><span class="muted small">${messages.chat.lapUnit}</span>`
					: nothing;
		return html`
			<aside part="instrument" aria-label=${messages.chat.instrument}>
				<tabmesh-ring
					.stages=${stages}
					self=${tabmesh?.peer ?? ""}
					.tokens=${turn?.status === "running" ? turn.tokens : 0}
					>${centre}</tabmesh-ring
				>
				<tabmesh-swarm .model=${model} .members=${tabmesh?.members ?? []}></tabmesh-swarm>
			</aside>
		`;
	}

	#renderComposer(model: ModelView | undefined) {
		const text = messages.chat;
		const kind = model === undefined || model.chats ? "chats" : "continues";
		return html`
			<form
				part="composer"
				@submit=${(event: SubmitEvent) => {
					event.preventDefault();
					this.#send();
				}}
			>
				<div class="box">
					<textarea
						rows="1"
						dir="auto"
						enterkeyhint="send"
						aria-label=${text.prompt[kind]}
						aria-describedby="hint"
						placeholder=${text.placeholder[kind]}
						.value=${live(this.#draft)}
						@input=${(event: InputEvent) => {
							this.#draft = (event.target as HTMLTextAreaElement).value;
							this.requestUpdate();
						}}
						@keydown=${this.#onKey}
					></textarea>
					${
						this.#answer
							? html`<button type="button" @click=${this.#stop}>${text.stop}</button>`
							: html`<button class="primary" type="submit" ?disabled=${!this.#canSend}>${text.send[kind]}</button>`
					}
				</div>
			</form>
			<p id="hint" class="below muted small">
				<span class="keys">${text.hint}.</span> ${this.#private ? nothing : html`<span>${text.privacy}</span>`}
			</p>
			${model === undefined ? nothing : this.#renderPrivate()}
		`;
	}

	#renderPrivate() {
		const text = messages.chat.private;
		const [lack] = lacksFor("lend");
		const view = this.#private ? this.#connection.tabmesh?.private.view : undefined;
		const loading = view?.phase === "loading" ? view.loading : undefined;
		const label =
			loading && loading.totalBytes > 0
				? text.loadingOf(formatBytes(loading.loadedBytes), formatBytes(loading.totalBytes))
				: text.loading;
		const trouble = this.#privateError === undefined ? undefined : describeError(this.#privateError);
		return html`
			<section class="private" aria-label=${text.label}>
				<button
					type="button"
					role="switch"
					aria-checked=${this.#private ? "true" : "false"}
					aria-describedby=${this.#private || lack ? "private-text" : nothing}
					?disabled=${this.#answer !== undefined || lack !== undefined}
					@click=${this.#togglePrivate}
				>
					<span class="track" aria-hidden="true"></span>${text.label}
				</button>
				${
					this.#private
						? html`<p id="private-text" class="muted small">${text.text} ${text.limits}</p>`
						: lack
							? html`<p id="private-text" class="muted small">${messages.cannot.private} ${messages.cannot.lacks[lack].what}</p>`
							: nothing
				}
				${
					view?.phase === "loading"
						? html`
							<div class="step">
								<p class="muted small">${label}</p>
								<tabmesh-progress
									label=${text.loading}
									.value=${loading && loading.totalBytes > 0 ? loading.loadedBytes / loading.totalBytes : undefined}
								></tabmesh-progress>
							</div>
						`
						: view?.phase === "ready"
							? html`<p class="muted small">${text.ready(formatBytes(view.usedBytes))}</p>`
							: nothing
				}
				${
					trouble === undefined
						? nothing
						: html`<tabmesh-notice tone="trouble" heading=${trouble.what} .steps=${trouble.steps}></tabmesh-notice>`
				}
			</section>
		`;
	}

	#renderCannot() {
		return html`
			<div class="talk">
				<h1>${messages.chat.title.chats}</h1>
				<tabmesh-cannot purpose="ask" lend-href=${this.lendHref}></tabmesh-cannot>
			</div>
		`;
	}

	protected override render() {
		if (lacksFor("ask").length > 0 && !this.tabmesh) return this.#renderCannot();
		const model = this.#model;
		const { status, tabmesh } = this.#connection;
		const models = tabmesh?.models ?? [];
		// Nothing to write for where no network answers or none offers a model.
		const composes = status !== "failed" && (tabmesh === undefined || model !== undefined);
		return html`
			<div class="chat" @keydown=${this.#onEscape}>
				<div class="talk">
					${this.#renderBar(model)}
					${this.#turns.length === 0 ? this.#renderEmpty(model) : nothing}
					<div class="talk" part="conversation" role="region" aria-label=${messages.chat.conversation} ?hidden=${this.#turns.length === 0}>
						<h1 class="unseen">${this.#talk.title || messages.chat.conversation}</h1>
						${repeat(
							this.#turns,
							({ id }) => id,
							(turn) => this.#renderTurn(turn),
						)}
						<span id="end"></span>
					</div>
					${this.#renderKeeping()}
					${this.#renderNotice(model)}
				</div>
				${model === undefined ? nothing : this.#renderInstrument(model)}
				${composes ? this.#renderComposer(model) : nothing}
			</div>
			<p class="unseen" role="status">${this.#announcement}</p>
			${
				this.store
					? html`
						<tabmesh-conversations
							.store=${this.store}
							shown=${this.#isKept ? this.#talk.id : ""}
							@open-conversation=${({ detail }: CustomEvent<string | undefined>) => this.#open(detail ?? "")}
						></tabmesh-conversations>
					`
					: nothing
			}
			<tabmesh-ask-settings
				.models=${models}
				chosen=${model?.id ?? ""}
				.settings=${this.#settings}
				@settings=${this.#onSettings}
			></tabmesh-ask-settings>
		`;
	}
}

define("tabmesh-chat", TabmeshChat);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-chat": TabmeshChat;
	}
	interface HTMLElementEventMap {
		"tabmesh-answer": CustomEvent<{ status: Turn["status"] }>;
		"tabmesh-conversation": CustomEvent<{ id: string; title: string }>;
	}
}
