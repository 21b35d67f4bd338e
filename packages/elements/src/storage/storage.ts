import type { DeviceStorage, KeptThing, StorageView } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues, svg } from "lit";
import { define } from "../define.ts";
import { describeError } from "../describe.ts";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { messages } from "../language/language.ts";
import { budgetChoices } from "../lend/budget.ts";
import "../notice.ts";
import "../progress.ts";
import "./sources.ts";
import { controls, theme } from "../theme.ts";

/** How often "last used" is written anew. */
const clockMs = 30_000;

/** What is asked once more before it is done. */
type Question = { readonly about: "thing"; readonly id: string } | { readonly about: "unused" };

/**
 * What this device keeps: models and files, from whom they came, how much room they take and may take, and the buttons that
 * free it. Looks only; nothing is joined.
 *
 * @csspart panel - every box
 * @csspart thing - one model or file
 */
export class TabmeshStorage extends LitElement {
	static override properties = {
		storage: { attribute: false },
		openStorage: { attribute: false },
		lendHref: { type: String, attribute: "lend-href" },
	};
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
			}
			.all {
				display: grid;
				gap: clamp(1.5rem, 1rem + 2.4cqi, 2.5rem);
			}
			.room {
				display: grid;
				gap: 1.5rem;
			}
			.taken {
				display: grid;
				gap: 0.75rem;
			}
			.amount {
				display: flex;
				flex-wrap: wrap;
				align-items: baseline;
				gap: 0 0.6rem;
			}
			.amount strong {
				font-size: 2.25rem;
				font-weight: 600;
				line-height: 1.1;
				letter-spacing: -0.03em;
			}
			.gauge {
				display: block;
				width: 100%;
				height: 14px;
				border-radius: 7px;
				background: var(--_line);
			}
			.gauge .used {
				fill: var(--_accent);
			}
			.gauge .pinned {
				fill: var(--_ink);
			}
			.figures {
				display: grid;
				grid-template-columns: repeat(auto-fit, minmax(5.5rem, 1fr));
				gap: 1rem;
			}
			.figures > div {
				display: flex;
				flex-direction: column-reverse;
				justify-content: start;
			}
			dt {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			.figures dd {
				font-size: 1.25rem;
				font-weight: 600;
				line-height: 1.3;
				letter-spacing: -0.01em;
			}
			.settings {
				display: grid;
				gap: 1.25rem 2.5rem;
				padding-top: 1.25rem;
				border-top: 1px solid var(--_line);
			}
			.setting {
				display: grid;
				align-content: start;
				justify-items: start;
				gap: 0.35rem;
			}
			.setting label,
			.setting h2 {
				font-size: 1rem;
				font-weight: 550;
				line-height: 1.35;
			}
			.setting button {
				margin-top: 0.4rem;
			}
			.things {
				display: grid;
				gap: 1rem;
			}
			.head {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				justify-content: space-between;
				gap: 0.5rem 1rem;
				min-height: 44px;
			}
			.head h2:focus-visible {
				outline: none;
			}
			.things ul.list {
				display: grid;
				gap: 1rem;
			}
			.thing {
				display: grid;
				gap: 1rem;
			}
			.title {
				display: flex;
				align-items: baseline;
				justify-content: space-between;
				gap: 0.5rem 1rem;
			}
			.title h3 {
				font-size: 1.125rem;
				font-weight: 600;
				line-height: 1.3;
				overflow-wrap: anywhere;
			}
			.title .size {
				flex: none;
				font-size: 1.125rem;
				font-weight: 600;
			}
			.facts {
				display: flex;
				flex-wrap: wrap;
				gap: 0 0.9rem;
				margin-top: 0.2rem;
			}
			.badge {
				color: var(--_accent);
				font-weight: 550;
			}
			.foot {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				justify-content: space-between;
				gap: 0.5rem 1rem;
			}
			.foot p {
				flex: 1 1 14rem;
			}
			.empty {
				display: grid;
				justify-items: start;
				gap: 0.75rem;
			}
			.empty h2 {
				font-size: 1.25rem;
			}
			a.button {
				display: inline-flex;
				align-items: center;
				min-height: 44px;
				padding: 0.5rem 1.1rem;
				border-radius: 999px;
				background: var(--_accent);
				color: var(--_on-accent);
				font-weight: 550;
				text-decoration: none;
			}
			.waiting {
				display: grid;
				gap: 0.9rem;
			}
			@container (min-width: 40rem) {
				.settings {
					grid-template-columns: 1fr 1fr;
				}
			}
			@media (forced-colors: active) {
				.gauge {
					border: 1px solid;
				}
				.gauge .used,
				.gauge .pinned {
					fill: Highlight;
				}
			}
		`,
	];
	/** What is looked at, where the app has it open. */
	declare storage: DeviceStorage | undefined;
	/** Opens it, so that the code behind it loads after the panel is drawn. */
	declare openStorage: (() => DeviceStorage | Promise<DeviceStorage>) | undefined;
	/** Address of the lending page. */
	declare lendHref: string;

	#storage: DeviceStorage | undefined;
	#view: StorageView | undefined;
	/** Why nothing can be shown. */
	#error: unknown;
	/** What went wrong with the last thing that was asked for, and where it was asked: a thing's id, or a part of the panel. */
	#refusal: { readonly error: unknown; readonly at: string } | undefined;
	#question: Question | undefined;
	#busy = false;
	/** The budget that the slider is at, while it is not the one that holds. */
	#wantedBudget: number | undefined;
	/** Whether the browser said no to keeping everything. */
	#notPersisted = false;
	#said = "";
	#looking = 0;
	#clock: ReturnType<typeof setInterval> | undefined;

	constructor() {
		super();
		this.storage = undefined;
		this.openStorage = undefined;
		this.lendHref = "/lend";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#storage?.addEventListener("change", this.#look);
		if (this.#storage) this.#look();
		this.#clock = setInterval(() => this.#view && this.requestUpdate(), clockMs);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#storage?.removeEventListener("change", this.#look);
		clearInterval(this.#clock);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("storage") || (changed.has("openStorage") && !this.storage)) void this.#begin();
	}

	async #begin(): Promise<void> {
		this.#use(undefined);
		this.#error = undefined;
		try {
			const opened = this.storage ?? (await this.openStorage?.());
			if (opened && !this.#storage) this.#use(opened);
		} catch (error) {
			this.#error = error;
			this.requestUpdate();
		}
	}

	#use(storage: DeviceStorage | undefined): void {
		this.#storage?.removeEventListener("change", this.#look);
		this.#storage = storage;
		this.#view = undefined;
		if (!storage) return;
		storage.addEventListener("change", this.#look);
		this.#look();
	}

	readonly #look = (): void => void this.#read();

	/** Reads all of it anew. Of several readings that are under way the last one counts. */
	async #read(): Promise<void> {
		const looking = ++this.#looking;
		try {
			const view = await this.#storage?.view();
			if (looking !== this.#looking || !view) return;
			this.#view = view;
			this.#error = undefined;
			if (this.#wantedBudget === view.budgetBytes) this.#wantedBudget = undefined;
		} catch (error) {
			if (looking !== this.#looking) return;
			this.#error = error;
		}
		this.requestUpdate();
	}

	readonly #again = (): void => {
		this.#error = undefined;
		this.requestUpdate();
		if (this.#storage) this.#look();
		else void this.#begin();
	};

	/** One thing at a time; what it did is said, what went wrong is shown. */
	async #do(at: string, work: (storage: DeviceStorage) => Promise<string>): Promise<void> {
		if (!this.#storage || this.#busy) return;
		this.#busy = true;
		this.#refusal = undefined;
		this.#said = "";
		this.requestUpdate();
		try {
			this.#said = await work(this.#storage);
		} catch (error) {
			this.#refusal = { error, at };
		}
		await this.#read();
		this.#busy = false;
		this.requestUpdate();
	}

	async #ask(question: Question): Promise<void> {
		this.#question = question;
		this.requestUpdate();
		await this.updateComplete;
		this.renderRoot.querySelector<HTMLButtonElement>("#really")?.focus();
	}

	async #keep(): Promise<void> {
		const asked = this.#question;
		this.#question = undefined;
		this.requestUpdate();
		await this.updateComplete;
		const buttons = [...this.renderRoot.querySelectorAll<HTMLButtonElement>("button[data-frees]")];
		const wanted = asked?.about === "thing" ? asked.id : "";
		buttons.find(({ dataset }) => dataset.frees === wanted)?.focus();
	}

	async #free(question: Question): Promise<void> {
		this.#question = undefined;
		await this.#do(question.about === "thing" ? question.id : "unused", async (storage) => {
			const freed =
				question.about === "unused" ? await storage.freeUnused() : await storage.free(question.id);
			return messages.storage.freed(formatBytes(freed));
		});
		await this.updateComplete;
		if (this.#refusal) return;
		// The button is gone with what it freed.
		this.renderRoot.querySelector<HTMLElement>("#kept")?.focus({ preventScroll: true });
	}

	#allow(bytes: number): Promise<void> {
		return this.#do("room", async (storage) => {
			await storage.setBudget(bytes);
			return messages.storage.allowed(formatBytes(bytes));
		});
	}

	#persist(): Promise<void> {
		return this.#do("room", async (storage) => {
			const agreed = await storage.persist();
			this.#notPersisted = !agreed;
			return agreed ? messages.storage.persisted : messages.storage.persistRefused;
		});
	}

	#renderRoom(view: StorageView) {
		const text = messages.storage;
		const { usedBytes, budgetBytes, pinnedBytes, originBytes, quotaBytes, memoryBytes } = view;
		const share = (bytes: number) => (budgetBytes > 0 ? Math.min(1000, (1000 * bytes) / budgetBytes) : 0);
		const figure = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
		return html`
			<section class="room panel" part="panel" aria-label=${text.room}>
				<div class="taken">
					<p class="amount">
						<strong>${formatBytes(usedBytes)}</strong>
						<span class="muted">${text.ofBudget(formatBytes(budgetBytes))}</span>
					</p>
					<svg class="gauge" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">
						${svg`<rect class="used" width=${share(usedBytes)} height="14"></rect>`}
						${svg`<rect class="pinned" width=${share(pinnedBytes)} height="14"></rect>`}
					</svg>
				</div>
				<dl class="figures">
					${figure(text.figures.pinned, formatBytes(pinnedBytes))}
					${memoryBytes > 0 ? figure(text.figures.memory, formatBytes(memoryBytes)) : nothing}
					${originBytes === undefined ? nothing : figure(text.figures.origin, formatBytes(originBytes))}
					${quotaBytes === undefined ? nothing : figure(text.figures.quota, formatBytes(quotaBytes))}
				</dl>
				<div class="settings">${this.#renderBudget(view)}${this.#renderPersist(view)}</div>
				${this.#renderRefusal("room")}
			</section>
		`;
	}

	#renderBudget({ budgetBytes, usedBytes, pinnedBytes, quotaBytes }: StorageView) {
		const text = messages.storage;
		const choices = budgetChoices(budgetBytes, quotaBytes);
		const wanted = this.#wantedBudget ?? budgetBytes;
		const size = formatBytes(wanted);
		// Pinned files stay, whatever the budget.
		const frees = Math.max(0, usedBytes - Math.max(wanted, pinnedBytes));
		return html`
			<div class="setting">
				<label for="budget">${text.budget(size)}</label>
				<input
					id="budget"
					type="range"
					min="0"
					max=${choices.length - 1}
					step="1"
					.value=${String(choices.indexOf(choices.findLast((bytes) => bytes <= wanted) ?? choices[0]!))}
					aria-valuetext=${size}
					aria-describedby="budget-hint"
					@input=${(event: InputEvent) => {
						const chosen = choices[Number((event.target as HTMLInputElement).value)];
						this.#wantedBudget = chosen === budgetBytes ? undefined : chosen;
						this.requestUpdate();
					}}
				/>
				<p id="budget-hint" class="muted small">${frees > 0 ? text.budgetFrees(formatBytes(frees)) : text.budgetHint}</p>
				${
					this.#wantedBudget === undefined
						? nothing
						: html`<button class="primary" type="button" ?disabled=${this.#busy} @click=${() => this.#allow(wanted)}>
							${text.allow(size)}
						</button>`
				}
			</div>
		`;
	}

	#renderPersist({ persisted }: StorageView) {
		const text = messages.storage;
		return html`
			<div class="setting">
				<h2>${text.persistTitle}</h2>
				<p class="muted small">
					${persisted ? text.persisted : this.#notPersisted ? text.persistRefused : text.persistHint}
				</p>
				${
					persisted
						? nothing
						: html`<button type="button" ?disabled=${this.#busy} @click=${() => this.#persist()}>${text.persist}</button>`
				}
			</div>
		`;
	}

	#renderQuestion(question: Question, hint: string, yes: string) {
		return html`
			<p class="small">${hint}</p>
			<div class="row">
				<button id="really" type="button" ?disabled=${this.#busy} @click=${() => this.#free(question)}>${yes}</button>
				<button class="primary" type="button" @click=${() => this.#keep()}>${messages.storage.keep}</button>
			</div>
		`;
	}

	#renderThing(thing: KeptThing) {
		const text = messages.storage;
		const { id, kind, bytes, wholeBytes, blocks, pinned, inUse, usedAt } = thing;
		const name = thing.name ?? text.unnamed(id);
		const part =
			kind === "file" && wholeBytes === undefined
				? text.someOfFile
				: wholeBytes === undefined || bytes >= wholeBytes
					? text.whole
					: text.partOf(Math.max(1, Math.floor((100 * bytes) / wholeBytes)), formatBytes(wholeBytes));
		const asked = this.#question?.about === "thing" && this.#question.id === id;
		return html`
			<li class="thing panel" part="thing">
				<div>
					<div class="title"><h3>${name}</h3><span class="size">${formatBytes(bytes)}</span></div>
					<p class="facts muted small">
						<span>${text.kinds[kind]}</span>
						<span>${part}</span>
						<span>${text.blocks(formatCount(blocks), blocks)}</span>
						${pinned ? html`<span class="badge">${text.pinned}</span>` : nothing}
						${inUse ? html`<span class="badge">${text.inUse}</span>` : nothing}
					</p>
				</div>
				<tabmesh-sources .from=${thing.from}></tabmesh-sources>
				<div class="foot">
					${
						asked
							? this.#renderQuestion(
									{ about: "thing", id },
									pinned ? text.freePinned : text.freeHint[kind],
									text.freeNow(formatBytes(bytes)),
								)
							: html`
								<p class="muted small">
									${inUse ? text.inUseHint : text.lastUsed(formatDuration(Date.now() - usedAt))}
								</p>
								${
									inUse
										? nothing
										: html`<button
											type="button"
											data-frees=${id}
											aria-label=${text.freeNamed(name)}
											?disabled=${this.#busy}
											@click=${() => this.#ask({ about: "thing", id })}
										>
											${text.free}
										</button>`
								}
							`
					}
				</div>
				${this.#renderRefusal(id)}
			</li>
		`;
	}

	#renderThings(view: StorageView) {
		const text = messages.storage;
		const unused = view.kept.filter(({ pinned, inUse }) => !pinned && !inUse);
		const unusedBytes = unused.reduce((sum, { bytes }) => sum + bytes, view.looseBytes);
		const asked = this.#question?.about === "unused";
		return html`
			<section class="things" aria-labelledby="kept">
				<div class="head">
					<h2 id="kept" tabindex="-1">${text.keptTitle}</h2>
					${
						asked
							? this.#renderQuestion(
									{ about: "unused" },
									text.freeUnusedHint(formatBytes(unusedBytes)),
									text.freeUnusedNow,
								)
							: unusedBytes === 0
								? nothing
								: html`<button
									type="button"
									data-frees=""
									?disabled=${this.#busy}
									@click=${() => this.#ask({ about: "unused" })}
								>
									${text.freeUnused}
								</button>`
					}
				</div>
				${this.#renderRefusal("unused")}
				<ul class="list">${view.kept.map((thing) => this.#renderThing(thing))}</ul>
				${view.looseBytes > 0 ? html`<p class="muted small">${text.loose(formatBytes(view.looseBytes))}</p>` : nothing}
			</section>
		`;
	}

	#renderEmpty() {
		const text = messages.storage.empty;
		return html`
			<section class="empty panel" part="panel">
				<h2 id="kept" tabindex="-1">${text.title}</h2>
				<p class="muted">${text.text}</p>
				<a class="button" href=${this.lendHref}>${text.lend}</a>
			</section>
		`;
	}

	#renderRefusal(at: string) {
		if (this.#refusal?.at !== at) return nothing;
		return this.#renderTrouble(this.#refusal.error, {
			label: messages.dismiss,
			press: () => {
				this.#refusal = undefined;
				this.requestUpdate();
			},
		});
	}

	/** Goes on in memory: why, and how much. */
	#renderDegraded({ degraded, memoryBytes, originBytes, quotaBytes }: StorageView) {
		if (degraded === undefined) return nothing;
		const text = messages.storage.degraded;
		const steps = [text.inMemory(formatBytes(memoryBytes))];
		if (degraded.reason === "quota" && originBytes !== undefined && quotaBytes !== undefined)
			steps.push(text.taken(formatBytes(originBytes), formatBytes(quotaBytes)));
		return html`
			<tabmesh-notice tone="trouble" heading=${text[degraded.reason].title} text=${text[degraded.reason].text} .steps=${steps}>
			</tabmesh-notice>
		`;
	}

	#renderTrouble(error: unknown, act: { readonly label: string; readonly press: () => void }) {
		const { what, steps } = describeError(error);
		return html`
			<tabmesh-notice tone="trouble" heading=${what} .steps=${steps}>
				<div class="row"><button type="button" @click=${act.press}>${act.label}</button></div>
			</tabmesh-notice>
		`;
	}

	#renderBody() {
		const text = messages.storage;
		const view = this.#view;
		if (this.#error !== undefined)
			return this.#renderTrouble(this.#error, { label: messages.tryAgain, press: this.#again });
		if (!view)
			return html`
				<section class="waiting panel" part="panel">
					<p class="muted">${text.looking}</p>
					<tabmesh-progress label=${text.looking}></tabmesh-progress>
				</section>
			`;
		const empty = view.kept.length === 0 && view.looseBytes === 0;
		// There is no room to speak of, nor anything to set.
		if (view.degraded?.reason === "denied")
			return [this.#renderDegraded(view), empty ? nothing : this.#renderThings(view)];
		return html`
			${this.#renderDegraded(view)}
			${
				empty
					? [this.#renderEmpty(), this.#renderRoom(view)]
					: [this.#renderRoom(view), this.#renderThings(view)]
			}
		`;
	}

	protected override render() {
		const text = messages.storage;
		return html`
			<div class="all">
				<header>
					<h1 tabindex="-1">${text.title}</h1>
					<p class="lede">${text.lede}</p>
				</header>
				${this.#renderBody()}
			</div>
			<p class="unseen" role="status">${this.#said}</p>
		`;
	}
}

define("tabmesh-storage", TabmeshStorage);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-storage": TabmeshStorage;
	}
}
