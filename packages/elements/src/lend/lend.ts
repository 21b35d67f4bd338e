import type { DeviceHistory, Lender, LenderView, LendOptions, StorageView, Tabmesh } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import "../cannot.ts";
import { type Connect, Connection } from "../connection.ts";
import { define } from "../define.ts";
import { describeError, describePeer, describeSpan } from "../describe.ts";
import "./dial.ts";
import { formatBytes, formatBytesUp, formatCount, formatDuration, formatMs, formatTime } from "../format.ts";
import "../invite.ts";
import { keepsNothing, lacksFor } from "../lacks.ts";
import "../layers.ts";
import { messages } from "../language/language.ts";
import { memoryChoice } from "./memory.ts";
import "../notice.ts";
import "../progress.ts";
import "../swarm.ts";
import { controls, theme } from "../theme.ts";

type Backend = NonNullable<LendOptions["backend"]>;
type Phase = LenderView["phase"] | "connecting";

/** How often the time "here for" is written anew. */
const clockMs = 5_000;
/** Whoever wants to read of more lenders than this asks `tabmesh explain`. */
const mostReasons = 12;
const snoozeMs = 60 * 60_000;
/** For how long it is said that something was over. */
const absenceShownMs = 10 * 60_000;

/**
 * A volunteer's panel: what would be shared, one button, and then all that this device holds, serves and costs.
 * Before that button is pressed nothing is asked of the network: not even `connect` is called.
 *
 * @fires tabmesh-phase - `detail.phase`: the lender's phase after every change, for titles and badges
 * @csspart panel - every box
 * @csspart join - the button that starts it
 */
export class TabmeshLend extends LitElement {
	static override properties = {
		tabmesh: { attribute: false },
		connect: { attribute: false },
		model: { type: String },
		lendHref: { type: String, attribute: "lend-href" },
		askHref: { type: String, attribute: "ask-href" },
		storageHref: { type: String, attribute: "storage-href" },
		preferencesHref: { type: String, attribute: "preferences-href" },
		openHistory: { attribute: false },
	};
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
			}
			.before,
			.after {
				display: grid;
				gap: clamp(1.5rem, 1rem + 2.4cqi, 2.5rem);
			}
			.offer {
				display: grid;
				gap: 1.5rem;
			}
			.share {
				display: grid;
				justify-items: center;
				gap: 1.5rem 2.5rem;
			}
			.choose {
				display: grid;
				gap: 1.25rem;
				width: 100%;
			}
			.memory {
				display: grid;
				gap: 0.15rem;
			}
			.memory label {
				font-weight: 550;
			}
			.ends {
				display: flex;
				justify-content: space-between;
			}
			.lists {
				display: grid;
				gap: 1.5rem 2.5rem;
			}
			.lists ul {
				display: grid;
				gap: 0.45rem;
				margin-top: 0.6rem;
			}
			.lists li {
				padding-inline-start: 1.35rem;
				position: relative;
			}
			.lists li::before {
				content: "";
				position: absolute;
				inset-inline-start: 0.1rem;
				top: 0.55em;
				width: 0.5rem;
				height: 0.5rem;
				border-radius: 50%;
				background: var(--_accent);
			}
			.lists .kept li::before {
				background: transparent;
				box-shadow: inset 0 0 0 1.5px var(--_accent);
			}
			.go {
				display: grid;
				justify-items: start;
				gap: 0.7rem;
			}
			details {
				border-top: 1px solid var(--_line);
				padding-top: 0.4rem;
			}
			summary {
				width: fit-content;
				padding: 0.6rem 0;
				color: var(--_muted);
				cursor: pointer;
			}
			.fields {
				display: grid;
				gap: 1rem;
				padding: 0.4rem 0 0.2rem;
			}
			.fields label {
				display: grid;
				gap: 0.3rem;
				font-size: 0.9375rem;
				color: var(--_muted);
			}
			.fields label > * {
				width: 100%;
			}
			.field-value {
				display: flex;
				align-items: center;
				min-height: 44px;
				color: var(--_ink);
			}
			.face {
				display: grid;
				justify-items: center;
				gap: 1.25rem 2.5rem;
			}
			.words {
				display: grid;
				gap: 0.6rem;
				justify-items: center;
				width: 100%;
				text-align: center;
			}
			.words tabmesh-progress {
				width: 100%;
				max-width: 24rem;
				margin-top: 0.35rem;
			}
			.buttons {
				justify-content: center;
				margin-top: 0.6rem;
			}
			.dial-value {
				font-size: 2.25rem;
				font-weight: 600;
				line-height: 1;
				letter-spacing: -0.03em;
			}
			.held tabmesh-dashboard {
				margin-top: 0.9rem;
			}
			.held {
				display: grid;
				gap: 0.6rem;
			}
			.why {
				display: grid;
				gap: 0.9rem;
				padding-bottom: 0.4rem;
			}
			.why ul {
				display: grid;
				gap: 0.7rem;
			}
			.why li > :first-child {
				display: block;
				font-weight: 550;
			}
			.why li > :first-child::first-letter {
				text-transform: uppercase;
			}
			.held details {
				margin-top: 0.6rem;
			}
			.invite {
				display: grid;
				gap: 0.6rem;
			}
			.invite tabmesh-invite {
				margin-top: 0.4rem;
			}
			@container (min-width: 40rem) {
				.lists {
					grid-template-columns: 1fr 1fr;
				}
				.fields {
					grid-template-columns: 1.4fr 1fr 0.8fr;
				}
				.face,
				.share {
					grid-template-columns: auto minmax(0, 1fr);
					align-items: center;
				}
				.words {
					justify-items: start;
					text-align: start;
				}
				.buttons {
					justify-content: start;
				}
			}
			@container (max-width: 39.99rem) {
				.go,
				button.large {
					width: 100%;
				}
				.go {
					justify-items: center;
				}
			}
		`,
	];
	/** An open network, where the app has one. */
	declare tabmesh: Tabmesh | undefined;
	/** Opens one when *Join* is pressed. */
	declare connect: Connect | undefined;
	/** Model id or name to lend for; the network's default if empty. */
	declare model: string;
	/** Address of the lending page, for the invitation to other devices. */
	declare lendHref: string;
	/** Address of the asking page, for browsers that can ask and cannot lend; none is offered where it is empty. */
	declare askHref: string;
	/** Address of the storage page; empty where there is none. */
	declare storageHref: string;
	/** Address of a page that shows this device's preferences, where they are not shown here: other pages could move clicks onto them. */
	declare preferencesHref: string;
	/** Opens what this device did so far, so that it is shown before anybody joins: called where there is something to show. */
	declare openHistory: (() => DeviceHistory | Promise<DeviceHistory>) | undefined;

	readonly #connection = new Connection(this);
	readonly #choice = memoryChoice((navigator as Navigator & { deviceMemory?: number }).deviceMemory);
	#memoryBytes = this.#choice.sensible;
	#backend: Backend | undefined;
	#threads: number | undefined;
	#lender: Lender | undefined;
	/** An error of `lend()` itself, before there is a lender that could report it. */
	#refusal: unknown;
	#confirmLeave = false;
	#showsWhy = false;
	/** When it left, so that the thanks do not go on counting. */
	#leftAt = 0;
	#clock: ReturnType<typeof setInterval> | undefined;
	/** What this device did at earlier visits. */
	#history: DeviceHistory | undefined;
	#storage: StorageView | undefined;
	#storageOf: Tabmesh | undefined;

	constructor() {
		super();
		this.tabmesh = undefined;
		this.connect = undefined;
		this.model = "";
		this.lendHref = "/lend";
		this.askHref = "";
		this.storageHref = "";
		this.preferencesHref = "";
		this.openHistory = undefined;
	}

	/** What the lender is at now; undefined before *Join*. */
	get phase(): Phase | undefined {
		if (this.#lender) return this.#lender.view.phase;
		if (this.#refusal !== undefined || this.#connection.status === "failed") return "failed";
		return this.#connection.status === "connecting" ? "connecting" : undefined;
	}

	override connectedCallback(): void {
		super.connectedCallback();
		// For the page around it: nothing there reaches the network, either.
		this.toggleAttribute("cannot-reach", lacksFor("look").length > 0);
		this.#lender?.addEventListener("change", this.#onChange);
		this.#clock = setInterval(() => this.#lender && this.requestUpdate(), clockMs);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		// Taken out of the page it goes on lending: the app decides, by `leave()` or by closing the network.
		this.#lender?.removeEventListener("change", this.#onChange);
		clearInterval(this.#clock);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("tabmesh") && (this.tabmesh || changed.get("tabmesh")))
			this.#connection.use(this.tabmesh);
		if (changed.has("openHistory")) void this.#lookBack();
		const { tabmesh } = this.#connection;
		if (this.#lender && tabmesh && tabmesh !== this.#storageOf) {
			this.#storageOf = tabmesh;
			tabmesh.storage.addEventListener("change", this.#onStorage);
			this.#onStorage();
		}
	}

	/** Earlier visits are shown before another begins, where there were any. */
	async #lookBack(): Promise<void> {
		const open = this.openHistory;
		const databases = (await globalThis.indexedDB?.databases?.().catch(() => [])) ?? [];
		if (!open || !databases.some(({ name }) => name === "tabmesh-history")) return;
		const [history] = await Promise.all([open(), import("./history.ts")]);
		this.#history = history;
		this.requestUpdate();
	}

	readonly #onStorage = (): void =>
		void this.#storageOf?.storage.view().then(
			(view) => {
				this.#storage = view;
				this.requestUpdate();
			},
			() => {},
		);

	readonly #onChange = () => {
		if (this.phase === "left") this.#leftAt = Date.now();
		this.#tell();
	};

	#tell() {
		this.requestUpdate();
		this.dispatchEvent(
			new CustomEvent("tabmesh-phase", { detail: { phase: this.phase }, bubbles: true, composed: true }),
		);
	}

	async #join() {
		this.#forget();
		// Beside the network, which takes longer.
		void import("./lendPanels.ts");
		const tabmesh = this.#connection.tabmesh ?? (this.connect && (await this.#reach(this.connect)));
		// Cancelled, failed (the connection keeps why), or joined meanwhile by a second click.
		if (tabmesh === undefined || this.#lender) return;
		const options: LendOptions = { memoryBytes: this.#memoryBytes };
		if (this.model !== "") options.model = this.model;
		if (this.#backend !== undefined) options.backend = this.#backend;
		if (this.#threads !== undefined) options.threads = this.#threads;
		try {
			this.#lender = tabmesh.lend(options);
			this.#lender.addEventListener("change", this.#onChange);
		} catch (error) {
			this.#refusal = error;
		}
		this.#tell();
	}

	#reach(connect: Connect) {
		const opening = this.#connection.open(connect);
		this.#tell();
		return opening.then((tabmesh) => {
			if (tabmesh === undefined) this.#tell();
			return tabmesh;
		});
	}

	#forget() {
		this.#lender?.removeEventListener("change", this.#onChange);
		this.#lender = undefined;
		this.#refusal = undefined;
		this.#confirmLeave = false;
	}

	#cancel() {
		this.#connection.cancel();
		this.#tell();
	}

	/** The lender's promises end in its own `failed` phase where they fail; nothing is swallowed here. */
	async #ask(action: "pause" | "resume" | "leave") {
		const lender = this.#lender;
		if (lender === undefined) return;
		if (action === "leave" && lender.view.streams > 0 && !this.#confirmLeave) {
			this.#confirmLeave = true;
			this.requestUpdate();
			await this.updateComplete;
			this.renderRoot.querySelector<HTMLButtonElement>("#leave-now")?.focus();
			return;
		}
		this.#confirmLeave = false;
		this.requestUpdate();
		try {
			await lender[action]();
		} catch (error) {
			if (lender !== this.#lender) return;
			this.#forget();
			this.#refusal = error;
			this.#tell();
		}
	}

	/** Ends whatever it stands still for: its owner's word now counts more than that of before. */
	#goOn() {
		const preferences = this.#connection.tabmesh?.preferences;
		const why = this.#lender?.view.rest?.why;
		if (why === "snoozed") preferences?.set({ snoozedUntil: null });
		else if (why !== undefined && why !== "owner") preferences?.set({ mode: "always" });
		void this.#ask("resume");
	}

	#goOnText(view: LenderView | undefined): string {
		const text = messages.lend;
		const why = view?.rest?.why ?? "owner";
		if (why === "owner") return text.resume;
		return why === "snoozed" ? text.wakeUp : text.runAnyway;
	}

	#snooze() {
		this.#connection.tabmesh?.preferences.set({ snoozedUntil: Date.now() + snoozeMs });
	}

	/** The same device and place, with other memory: leaves politely first. */
	async #rejoin({ detail }: CustomEvent<{ bytes: number }>) {
		this.#memoryBytes = detail.bytes;
		await this.#lender?.leave();
		await this.#join();
	}

	#renderAbsence(view: LenderView | undefined) {
		const absence = view?.absence;
		if (!absence) return nothing;
		const text = messages.lend.absences;
		const { since, until, why } = absence;
		if (until === undefined)
			return why === "offline" ? html`<p class="muted small">${text.offline}</p>` : nothing;
		if (Date.now() - until > absenceShownMs) return nothing;
		return html`<p class="muted small">${text[`${why}For`](formatDuration(until - since))}</p>`;
	}

	#stay() {
		this.#confirmLeave = false;
		this.requestUpdate();
	}

	#renderBefore() {
		const text = messages.lend;
		return html`
			<div class="before">
				<header>
					<h1>${text.title}</h1>
					<p class="lede">${text.lede}</p>
				</header>
				${
					lacksFor("lend").length > 0
						? html`<tabmesh-cannot purpose="lend" ask-href=${this.askHref} lend-href=${this.lendHref}></tabmesh-cannot>`
						: this.#renderOffer()
				}
			</div>
		`;
	}

	#renderOffer() {
		const { least, most, step, deviceGigabytes } = this.#choice;
		const memory = formatBytes(this.#memoryBytes);
		const [amount, unit] = memory.split(" ");
		const text = messages.lend;
		const models = this.#connection.tabmesh?.models ?? [];
		return html`
				<div class="offer panel" part="panel">
					<div class="share">
					<tabmesh-dial state="loading" .progress=${this.#memoryBytes / most} aria-hidden="true">
						<span class="dial-value">${amount}</span><span class="muted small">${unit}</span>
					</tabmesh-dial>
					<div class="choose">
					<div class="memory">
						<label for="memory">${text.memory}</label>
						<input
							id="memory"
							type="range"
							min=${least}
							max=${most}
							step=${step}
							.value=${String(this.#memoryBytes)}
							aria-valuetext=${memory}
							aria-describedby="memory-hint"
							@input=${(event: InputEvent) => {
								this.#memoryBytes = Number((event.target as HTMLInputElement).value);
								this.requestUpdate();
							}}
						/>
						<div class="ends muted small" aria-hidden="true">
							<span>${formatBytes(least)}</span><span>${formatBytes(most)}</span>
						</div>
						<p id="memory-hint" class="muted small">
							${deviceGigabytes === undefined ? text.memoryHintUnknown : text.memoryHint(deviceGigabytes)}
						</p>
					</div>
					<div class="go">
						<button class="primary large" part="join" type="button" @click=${this.#join}>${text.join(memory)}</button>
						<p class="muted small">${text.before} ${keepsNothing() ? messages.cannot.keepsNothing : nothing}</p>
					</div>
					</div>
					</div>
					<details>
						<summary>${text.details}</summary>
						<div class="fields">
							<label>
								${text.model}
								${
									models.length < 2
										? html`<span class="field-value">${this.model || models[0]?.name || text.modelDefault}</span>`
										: html`
											<select
												@change=${(event: Event) => {
													this.model = (event.target as HTMLSelectElement).value;
												}}
											>
												${models.map(({ id, name }) => html`<option value=${id} ?selected=${id === this.model}>${name}</option>`)}
											</select>
										`
								}
							</label>
							<label>
								${text.backend}
								<select
									@change=${(event: Event) => {
										const { value } = event.target as HTMLSelectElement;
										this.#backend = value === "auto" ? undefined : (value as Backend);
									}}
								>
									${(["auto", "webgpu", "wasm"] as const).map((name) => html`<option value=${name}>${text.backends[name]}</option>`)}
								</select>
							</label>
							<label>
								${text.threads}
								<input
									type="number"
									inputmode="numeric"
									min="1"
									max=${navigator.hardwareConcurrency}
									placeholder=${text.threadsAuto}
									@input=${(event: InputEvent) => {
										const { valueAsNumber, validity } = event.target as HTMLInputElement;
										this.#threads = validity.valid && valueAsNumber >= 1 ? valueAsNumber : undefined;
									}}
								/>
							</label>
						</div>
					</details>
				</div>
				<div class="lists">
					<section>
						<h2>${text.sharedTitle}</h2>
						<ul>${text.shared(memory).map((line) => html`<li>${line}</li>`)}</ul>
					</section>
					<section class="kept">
						<h2>${text.keptTitle}</h2>
						<ul>${text.kept.map((line) => html`<li>${line}</li>`)}</ul>
					</section>
				</div>
				<tabmesh-notice heading=${text.privacyTitle} text=${text.privacy}></tabmesh-notice>
				${this.#renderHistory(this.#history)}
		`;
	}

	#waitingFor(view: LenderView): string {
		if (view.error) return describeError(view.error).what;
		const coverage = view.model?.coverage;
		if (coverage && coverage.missingBytes > 0)
			return messages.lend.waitingMissing(formatBytesUp(coverage.missingBytes));
		return coverage?.complete ? messages.lend.waitingComplete : messages.lend.waitingPlan;
	}

	#sentence(phase: Phase, view: LenderView | undefined): string {
		const text = messages.lend;
		switch (phase) {
			case "connecting":
				return text.connecting;
			case "joining":
				return text.joining;
			case "waiting":
				return view ? this.#waitingFor(view) : text.waitingPlan;
			case "loading": {
				const loading = view?.loading;
				if (loading?.phase === "compile") return text.compiling;
				return loading && loading.totalBytes > 0
					? text.fetching(formatBytes(loading.loadedBytes), formatBytes(loading.totalBytes))
					: text.fetchingStart;
			}
			case "paused": {
				const rest = view?.rest;
				if (rest && rest.why !== "owner") {
					const said = text.rests[rest.why];
					return typeof said === "string" ? said : said(formatTime(rest.until ?? Date.now()));
				}
				return view && view.streams > 0 ? `${text.paused} ${text.pausedStreams(view.streams)}` : text.paused;
			}
			case "left":
				return view && view.tokensServed > 0
					? text.leftThanks(
							formatCount(view.tokensServed),
							formatDuration((this.#leftAt || Date.now()) - view.since),
						)
					: text.leftEarly;
			default:
				return view?.sparing && view.bitsPerWeight !== undefined
					? text.sparing(view.bitsPerWeight)
					: text.serving;
		}
	}

	/** 0 to 1: fetching is nine tenths of the way and compiling the last, so that the dial never runs backwards. */
	#loaded(view: LenderView | undefined): number | undefined {
		const loading = view?.loading;
		if (loading === undefined || loading.totalBytes === 0) return undefined;
		const part = loading.loadedBytes / loading.totalBytes;
		return loading.phase === "fetch" ? part * 0.9 : 0.9 + part * 0.1;
	}

	#renderDial(phase: Phase, view: LenderView | undefined) {
		const loaded = this.#loaded(view);
		const face = {
			connecting: "seeking",
			joining: "seeking",
			waiting: "seeking",
			loading: "loading",
			serving: "serving",
			paused: "still",
			left: "still",
			failed: "still",
		}[phase];
		const centre =
			phase === "loading" && loaded !== undefined
				? html`<span class="dial-value">${Math.round(loaded * 100)}<small class="muted small"> %</small></span>`
				: phase === "serving" || phase === "paused"
					? html`<span class="dial-value">${formatMs(view?.msPerToken ?? 0)}</span><span class="muted small">${messages.lend.msPerToken}</span>`
					: nothing;
		return html`
			<tabmesh-dial
				state=${face}
				.progress=${loaded}
				.layers=${view?.model?.layers ?? 0}
				.span=${phase === "left" ? undefined : view?.span}
				aria-hidden="true"
				>${centre}</tabmesh-dial
			>
		`;
	}

	#renderButtons(phase: Phase, view: LenderView | undefined) {
		const text = messages.lend;
		if (phase === "connecting")
			return html`<button type="button" @click=${this.#cancel}>${messages.cancel}</button>`;
		if (phase === "left")
			return html`<button class="primary" type="button" @click=${this.#join}>${text.rejoin}</button>`;
		if (this.#confirmLeave && view && view.streams > 0)
			return html`
				<button id="leave-now" type="button" @click=${() => this.#ask("leave")}>${text.leaveNow}</button>
				<button class="primary" type="button" @click=${this.#stay}>${text.stay}</button>
			`;
		return html`
			${
				phase === "serving"
					? html`
						<button type="button" @click=${() => this.#ask("pause")}>${text.pause}</button>
						<button type="button" @click=${this.#snooze}>${text.snooze}</button>
					`
					: nothing
			}
			${phase === "paused" && view?.rest?.why !== "frozen" ? html`<button class="primary" type="button" @click=${this.#goOn}>${this.#goOnText(view)}</button>` : nothing}
			<button class="quiet" type="button" @click=${() => this.#ask("leave")}>${text.leave}</button>
		`;
	}

	#renderGrowing(view: LenderView, span: string) {
		const { loadedBytes, totalBytes } = view.loading ?? { loadedBytes: 0, totalBytes: 0 };
		const text = messages.lend;
		const fetching = view.loading?.phase === "fetch" && totalBytes > 0;
		const sentence = fetching
			? text.growingBy(span, formatBytes(loadedBytes), formatBytes(totalBytes))
			: text.growing(span);
		return html`
			<p class="muted">${sentence}</p>
			<tabmesh-progress label=${sentence} .value=${this.#loaded(view)}></tabmesh-progress>
		`;
	}

	/** Planned when it is looked at: a plan of a large swarm is not computed for a list that nobody opened. */
	#renderWhy(model: string, tabmesh: Tabmesh | undefined) {
		const text = messages.lend;
		const reasons = (this.#showsWhy && tabmesh?.explain(model)) || [];
		const own = reasons.filter(({ peer }) => peer === tabmesh?.peer);
		const others = reasons.filter(({ peer }) => peer !== tabmesh?.peer);
		return html`
			<details
				@toggle=${(event: Event) => {
					this.#showsWhy = (event.target as HTMLDetailsElement).open;
					this.requestUpdate();
				}}
			>
				<summary>${text.why}</summary>
				<div class="why">
					<ul>
						${[...own, ...others]
							.slice(0, mostReasons)
							.map(
								({ peer, text }) =>
									html`<li><span>${describePeer(peer, tabmesh?.peer)}</span><span class="muted">${text}</span></li>`,
							)}
					</ul>
					<p class="muted small">${text.whyHow}</p>
				</div>
			</details>
		`;
	}

	#renderNotice() {
		const { notice } = this.#connection;
		if (notice === undefined) return nothing;
		const { what, steps } = describeError(notice);
		return html`
			<tabmesh-notice tone="trouble" heading=${what} .steps=${steps}>
				<div class="row"><button type="button" @click=${this.#dismiss}>${messages.dismiss}</button></div>
			</tabmesh-notice>
		`;
	}

	#dismiss() {
		this.#connection.notice = undefined;
		this.requestUpdate();
	}

	#renderAfter(phase: Phase, view: LenderView | undefined) {
		const text = messages.lend;
		const { tabmesh } = this.#connection;
		const model =
			tabmesh?.models.find(({ id }) => id === view?.model?.id) ?? view?.model ?? tabmesh?.models[0];
		const holds = phase === "serving" || phase === "paused";
		return html`
			<div class="after">
				<section class="panel" part="panel" aria-labelledby="phase">
					<div class="face">
						${this.#renderDial(phase, view)}
						<div class="words">
							<h1 id="phase" tabindex="-1">${text.phases[phase]}</h1>
							<p>${this.#confirmLeave && view ? text.leaveWarning(view.streams) : this.#sentence(phase, view)}</p>
							${
								phase === "loading"
									? html`<tabmesh-progress
										label=${this.#sentence(phase, view)}
										.value=${this.#loaded(view)}
									></tabmesh-progress>`
									: nothing
							}
							${this.#renderAbsence(view)}
							<div class="row buttons">${this.#renderButtons(phase, view)}</div>
						</div>
					</div>
				</section>
				${this.#renderNotice()}
				<tabmesh-lend-notices
					.tabmesh=${tabmesh}
					.storage=${this.#storage}
					?lends=${phase === "serving" || phase === "loading"}
					storage-href=${this.storageHref}
				></tabmesh-lend-notices>
				${
					holds && view?.span && model
						? html`
							<section class="held panel" part="panel">
								<h2>${text.heldTitle(describeSpan(view.span), model.layers)}</h2>
								<tabmesh-layers
									.layers=${model.layers}
									.holders=${model.coverage.holders}
									.span=${view.span}
								></tabmesh-layers>
								${view.growingTo ? this.#renderGrowing(view, describeSpan(view.growingTo)) : nothing}
								<tabmesh-dashboard .view=${view} .tabmesh=${tabmesh} .history=${tabmesh?.history}></tabmesh-dashboard>
								${this.#renderWhy(model.id, tabmesh)}
							</section>
						`
						: model
							? html`
								<section class="panel" part="panel">
									<tabmesh-swarm .model=${model} .members=${tabmesh?.members ?? []}></tabmesh-swarm>
								</section>
							`
							: nothing
				}
				${
					holds && view && model
						? html`
							<section class="panel" part="panel">
								<tabmesh-orbit
									.model=${model}
									.members=${tabmesh?.members ?? []}
									.routes=${view.routes}
									self=${tabmesh?.peer ?? ""}
								></tabmesh-orbit>
							</section>
						`
						: nothing
				}
				${this.#renderHistory(tabmesh?.history)}
				${view && phase !== "left" ? this.#renderPreferences(view.memoryBytes) : nothing}
				${
					phase === "waiting" || phase === "serving"
						? html`
							<section class="invite">
								<h2>${text.inviteTitle}</h2>
								<p class="muted">${text.invite}</p>
								<tabmesh-invite href=${this.lendHref}></tabmesh-invite>
							</section>
						`
						: nothing
				}
			</div>
		`;
	}

	#renderPreferences(memoryBytes: number) {
		if (this.preferencesHref !== "")
			return html`
				<p><a href=${this.preferencesHref} target="_blank" rel="noopener">${messages.preferences.elsewhere}</a></p>
			`;
		return html`
			<section class="panel" part="panel">
				<tabmesh-preferences
					.preferences=${this.#connection.tabmesh?.preferences}
					.storage=${this.#storage}
					.memoryBytes=${memoryBytes}
					storage-href=${this.storageHref}
					@tabmesh-memory=${this.#rejoin}
				></tabmesh-preferences>
			</section>
		`;
	}

	#renderHistory(history: DeviceHistory | undefined) {
		if (history === undefined) return nothing;
		return html`
			<section class="panel" part="panel">
				<tabmesh-history .history=${history}></tabmesh-history>
			</section>
		`;
	}

	#renderFailed(error: unknown) {
		const trouble = describeError(error);
		return html`
			<div class="after">
			<h1 id="phase" tabindex="-1">${messages.lend.phases.failed}</h1>
			<tabmesh-notice tone="trouble" heading=${trouble.what} .steps=${trouble.steps}>
				<div class="row">
					<button class="primary" type="button" @click=${this.#join}>${messages.tryAgain}</button>
				</div>
			</tabmesh-notice>
			</div>
		`;
	}

	#shownPhase: Phase | undefined;

	protected override updated(): void {
		const { phase } = this;
		if (phase === this.#shownPhase) return;
		const joined = this.#shownPhase === undefined;
		this.#shownPhase = phase;
		// The button that was pressed is gone: take the keyboard along instead of dropping it at the top of the page.
		if (joined) this.renderRoot.querySelector<HTMLElement>("#phase")?.focus({ preventScroll: true });
	}

	protected override render() {
		const { phase } = this;
		const view = this.#lender?.view;
		const error = view?.error ?? this.#refusal ?? this.#connection.error;
		return html`
			${
				phase === undefined
					? this.#renderBefore()
					: phase === "failed"
						? this.#renderFailed(error)
						: this.#renderAfter(phase, view)
			}
			<p class="unseen" role="status">
				${phase === undefined || phase === "failed" ? nothing : `${messages.lend.phases[phase]}. ${phase === "loading" ? "" : this.#sentence(phase, view)}`}
			</p>
		`;
	}
}

define("tabmesh-lend", TabmeshLend);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-lend": TabmeshLend;
	}
	interface HTMLElementEventMap {
		"tabmesh-phase": CustomEvent<{ phase: Phase | undefined }>;
	}
}
