import type { DeviceWallet, FoundWallet, PassphraseOptions, Tabmesh, WalletView } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { type Connect, Connection } from "./connection.ts";
import { define } from "./define.ts";
import { describeError } from "./describe.ts";
import { formatDate } from "./format.ts";
import { messages } from "./language/language.ts";
import "./notice.ts";
import "./progress.ts";
import { controls, theme } from "./theme.ts";

/** What a person is about to do. */
type Act = "create" | "import" | "installed" | "export" | "passphrase" | "revoke";

const empty: WalletView = {
	kind: undefined,
	address: undefined,
	guarded: false,
	locked: false,
	persistent: true,
	delegation: undefined,
	revoked: false,
};

/**
 * The wallet that this tab acts for: made here, brought from its recovery phrase, or one that is installed in the browser.
 * Nothing is made, and nobody asked, before a button is pressed; not even `connect` is called.
 *
 * @csspart panel - the box
 * @csspart address - the wallet's address
 */
export class TabmeshWallet extends LitElement {
	static override properties = { tabmesh: { attribute: false }, connect: { attribute: false } };
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
			}
			.panel,
			form,
			.who {
				display: grid;
				gap: 1rem;
				justify-items: start;
			}
			.who {
				gap: 0.3rem;
			}
			h2:focus-visible {
				outline: none;
			}
			.address {
				font-size: 1.125rem;
				font-weight: 600;
				overflow-wrap: anywhere;
			}
			.hold {
				display: flex;
				align-items: baseline;
				gap: 0.6rem;
			}
			.hold::before {
				content: "";
				flex: none;
				width: 0.6rem;
				height: 0.6rem;
				border-radius: 50%;
				background: var(--_accent);
			}
			.hold.none::before {
				background: transparent;
				box-shadow: inset 0 0 0 1.5px var(--_control);
			}
			form,
			form label,
			tabmesh-notice,
			tabmesh-progress {
				width: 100%;
				max-width: 30rem;
			}
			form label {
				display: grid;
				gap: 0.3rem;
				color: var(--_muted);
				font-size: 0.9375rem;
			}
			input,
			textarea {
				width: 100%;
				min-height: 44px;
				padding: 0.5rem 0.75rem;
				border: 1px solid var(--_control);
				border-radius: 10px;
				background: var(--_surface);
				color: var(--_ink);
				font: inherit;
			}
			textarea {
				resize: vertical;
			}
			[aria-invalid="true"] {
				border-color: var(--_danger);
			}
			.wrong {
				color: var(--_danger);
			}
			ol {
				display: grid;
				grid-template-columns: repeat(2, minmax(0, 1fr));
				gap: 0.45rem 1.5rem;
				width: 100%;
				max-width: 30rem;
				padding: 1rem 1.15rem;
				border-radius: var(--_radius);
				background: var(--_tint);
				counter-reset: word;
			}
			ol li {
				counter-increment: word;
				font-family: var(--_mono);
			}
			ol li::before {
				content: counter(word) " ";
				display: inline-block;
				min-width: 1.9em;
				color: var(--_muted);
			}
			ul {
				display: grid;
				gap: 0.6rem;
			}
			img {
				width: 24px;
				height: 24px;
				border-radius: 6px;
			}
			@container (min-width: 34rem) {
				ol {
					grid-template-columns: repeat(3, minmax(0, 1fr));
				}
			}
			@container (max-width: 26rem) {
				.row,
				.row > button {
					width: 100%;
				}
			}
		`,
	];
	/** An open network, where the app has one. */
	declare tabmesh: Tabmesh | undefined;
	/** Opens one when a button is pressed that needs it. */
	declare connect: Connect | undefined;

	readonly #connection = new Connection(this);
	#wallet: DeviceWallet | undefined;
	#act: Act | undefined;
	/** 0 to 1 while a key is derived from a passphrase; undefined while something else takes its time. */
	#busy: { done: number | undefined } | undefined;
	#error: unknown;
	/** The words, while they are shown. */
	#phrase: readonly string[] | undefined;
	#installed: readonly FoundWallet[] | undefined;
	#watch: AbortController | undefined;

	constructor() {
		super();
		this.tabmesh = undefined;
		this.connect = undefined;
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#watch?.abort();
		// Nobody reads them over a shoulder later.
		this.#phrase = undefined;
		this.#listenTo(undefined);
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#listenTo(this.#connection.tabmesh?.wallet);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("tabmesh") && (this.tabmesh || changed.get("tabmesh")))
			this.#connection.use(this.tabmesh);
		this.#listenTo(this.#connection.tabmesh?.wallet);
	}

	readonly #onChange = () => this.requestUpdate();

	#listenTo(wallet: DeviceWallet | undefined): void {
		if (wallet === this.#wallet) return;
		this.#wallet?.removeEventListener("change", this.#onChange);
		this.#wallet = wallet;
		wallet?.addEventListener("change", this.#onChange);
	}

	/** Does what a button says; what goes wrong is shown beside it. @returns whether it was done */
	async #do(work: (wallet: DeviceWallet) => Promise<unknown>): Promise<boolean> {
		if (this.#busy) return false;
		this.#busy = { done: undefined };
		this.#error = undefined;
		this.requestUpdate();
		try {
			const mesh = this.#connection.tabmesh ?? (this.connect && (await this.#connection.open(this.connect)));
			if (!mesh) {
				this.#error = this.#connection.error;
				return false;
			}
			await work(mesh.wallet);
			return true;
		} catch (error) {
			this.#error = error;
			return false;
		} finally {
			this.#busy = undefined;
			this.requestUpdate();
		}
	}

	#guard(passphrase: FormDataEntryValue | null): PassphraseOptions {
		return {
			...(typeof passphrase === "string" && passphrase !== "" ? { passphrase } : {}),
			onProgress: (done) => {
				this.#busy = { done };
				this.requestUpdate();
			},
		};
	}

	async #open(act: Act) {
		this.#act = act;
		this.#error = undefined;
		this.requestUpdate();
		if (act === "installed") await this.#look();
		await this.updateComplete;
		this.renderRoot.querySelector<HTMLElement>("form :is(textarea, input, button), ul button")?.focus();
	}

	readonly #back = async () => {
		this.#act = undefined;
		this.#error = undefined;
		this.#phrase = undefined;
		this.#watch?.abort();
		this.requestUpdate();
		await this.updateComplete;
		// The button that was pressed is gone.
		this.renderRoot.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
	};

	async #look() {
		this.#watch?.abort();
		const watch = new AbortController();
		this.#watch = watch;
		this.#installed = [];
		await this.#do((wallet) =>
			wallet.watchInstalled((found) => {
				this.#installed = found;
				this.requestUpdate();
			}, watch.signal),
		);
	}

	async #use(found: FoundWallet) {
		const done = await this.#do(async (wallet) => {
			await wallet.use(found);
			await wallet.delegate();
		});
		if (done) await this.#back();
	}

	async #submit(event: SubmitEvent) {
		event.preventDefault();
		const act = this.#act;
		const data = new FormData(event.target as HTMLFormElement);
		const guard = this.#guard(data.get("passphrase"));
		const done = await this.#do(async (wallet) => {
			switch (act) {
				case "create":
					this.#phrase = (await wallet.create(guard)).split(" ");
					await wallet.delegate();
					break;
				case "import":
					await wallet.importPhrase(String(data.get("phrase")), guard);
					await wallet.delegate();
					break;
				case "export":
					this.#phrase = (await wallet.exportPhrase(guard)).split(" ");
					break;
				case "passphrase": {
					const { passphrase: current, ...rest } = guard;
					const next = String(data.get("next"));
					await wallet.changePassphrase({
						...rest,
						...(current === undefined ? {} : { current }),
						...(next === "" ? {} : { next }),
					});
					break;
				}
				case "revoke":
					if (wallet.view.locked) await wallet.unlock(guard);
					await wallet.revoke();
					break;
				default:
					await wallet.unlock(guard);
					if (!wallet.view.delegation) await wallet.delegate();
			}
		});
		if (done && !this.#phrase) await this.#back();
	}

	readonly #delegate = () => this.#do((wallet) => wallet.delegate());

	#renderTrouble() {
		if (this.#error === undefined) return nothing;
		const { code, steps, what } = describeError(this.#error);
		// Said at the field itself.
		if (code === "WrongPassphrase" || code === "RecoveryPhrase") return nothing;
		return html`<tabmesh-notice tone="trouble" heading=${what} .steps=${steps}></tabmesh-notice>`;
	}

	#renderWrong(...codes: string[]) {
		const { code, steps, what } = describeError(this.#error);
		if (this.#error === undefined || !codes.includes(code ?? "")) return nothing;
		return html`<p id="wrong" class="wrong small" role="alert">${what} ${steps.join(" ")}</p>`;
	}

	#renderPassphrase(label: string, name = "passphrase", fresh = false) {
		const wrong = this.#renderWrong(name === "passphrase" ? "WrongPassphrase" : "");
		return html`
			<label>
				${label}
				<input
					type="password"
					name=${name}
					autocomplete=${fresh ? "new-password" : "current-password"}
					aria-invalid=${wrong === nothing ? nothing : "true"}
					aria-describedby=${wrong === nothing ? nothing : "wrong"}
				/>
			</label>
			${wrong}
		`;
	}

	#renderForm(fields: unknown, button: string, cancel = true) {
		const busy = this.#busy !== undefined;
		return html`
			<form @submit=${this.#submit}>
				${fields}
				<div class="row">
					<button class="primary" type="submit" ?disabled=${busy}>${button}</button>
					${cancel ? html`<button class="quiet" type="button" ?disabled=${busy} @click=${this.#back}>${messages.cancel}</button>` : nothing}
				</div>
			</form>
		`;
	}

	#renderPhrase(words: readonly string[]) {
		const text = messages.wallet;
		return html`
			<p>${text.phraseHint}</p>
			<ol aria-label=${text.phrase}>${words.map((word) => html`<li>${word}</li>`)}</ol>
			<button class="primary" type="button" @click=${this.#back}>${text.written}</button>
		`;
	}

	#renderAct(act: Act, view: WalletView): TemplateResult {
		const text = messages.wallet;
		switch (act) {
			case "create":
				return this.#renderForm(
					html`${this.#renderPassphrase(text.passphraseNew, "passphrase", true)}<p class="muted small">${text.passphraseHint}</p>`,
					text.create,
				);
			case "import": {
				const wrong = this.#renderWrong("RecoveryPhrase");
				return this.#renderForm(
					html`
						<label>
							${text.phraseField}
							<textarea
								name="phrase"
								rows="3"
								required
								autocomplete="off"
								autocapitalize="none"
								spellcheck="false"
								aria-invalid=${wrong === nothing ? nothing : "true"}
								aria-describedby=${wrong === nothing ? nothing : "wrong"}
							></textarea>
						</label>
						${wrong} ${this.#renderPassphrase(text.passphraseNew, "passphrase", true)}
					`,
					text.import,
				);
			}
			case "installed":
				return html`
					${
						this.#installed?.length
							? html`<ul>
								${this.#installed.map(
									(found) => html`
										<li>
											<button type="button" ?disabled=${this.#busy !== undefined} @click=${() => this.#use(found)}>
												${found.icon === "" ? nothing : html`<img src=${found.icon} alt="" />`}${found.name}
											</button>
										</li>
									`,
								)}
							</ul>`
							: html`<p role="status">${this.#busy ? text.looking : text.noneInstalled}</p>`
					}
					<button class="quiet" type="button" @click=${this.#back}>${messages.cancel}</button>
				`;
			case "export":
				return this.#renderForm(
					html`<p>${text.exportHint}</p>${view.guarded ? this.#renderPassphrase(text.passphrase) : nothing}`,
					text.show,
				);
			case "passphrase":
				return this.#renderForm(
					html`
						${view.guarded ? this.#renderPassphrase(text.passphraseNow) : nothing}
						${this.#renderPassphrase(text.passphraseNext, "next", true)}
						<p class="muted small">${text.passphraseHint}</p>
					`,
					text.change,
				);
			case "revoke":
				return this.#renderForm(
					html`<p>${text.revokeHint}</p>${view.locked ? this.#renderPassphrase(text.passphrase) : nothing}`,
					text.revokeNow,
				);
		}
	}

	#renderNone() {
		const text = messages.wallet;
		const busy = this.#busy !== undefined;
		return html`
			<p class="muted">${text.lede}</p>
			<div class="row">
				<button type="button" ?disabled=${busy} @click=${() => this.#open("create")}>${text.make}</button>
				<button type="button" ?disabled=${busy} @click=${() => this.#open("installed")}>${text.useInstalled}</button>
				<button class="quiet" type="button" ?disabled=${busy} @click=${() => this.#open("import")}>${text.bring}</button>
			</div>
		`;
	}

	#renderWallet(view: WalletView) {
		const text = messages.wallet;
		const { delegation, kind } = view;
		return html`
			<div class="who">
				<p class="address mono" part="address">${view.address}</p>
				<p class="muted small">${kind === "injected" ? text.injected : view.persistent ? text.embedded : text.embeddedBriefly}</p>
			</div>
			<p class="hold ${delegation ? "" : "none"}" role="status">
				${delegation ? (delegation.published ? text.acts(formatDate(delegation.expires)) : text.publishing) : view.revoked ? text.revoked : text.actsNot}
			</p>
			${
				view.locked && !delegation
					? html`
						${this.#renderForm(this.#renderPassphrase(text.passphrase), text.unlock, false)}
						<button class="quiet" type="button" @click=${() => this.#open("import")}>${text.bring}</button>
					`
					: html`
						<div class="row">
							${
								delegation
									? html`<button type="button" @click=${() => this.#open("revoke")}>${text.revoke}</button>`
									: kind === "injected"
										? html`<button class="primary" type="button" @click=${() => this.#open("installed")}>${text.delegate}</button>`
										: html`<button class="primary" type="button" @click=${this.#delegate}>${text.delegate}</button>`
							}
							${
								kind === "embedded"
									? html`
										<button class="quiet" type="button" @click=${() => this.#open("export")}>${text.export}</button>
										<button class="quiet" type="button" @click=${() => this.#open("passphrase")}>${text.changePassphrase}</button>
									`
									: nothing
							}
						</div>
					`
			}
		`;
	}

	protected override render() {
		const text = messages.wallet;
		const view = this.#wallet?.view ?? empty;
		return html`
			<section class="panel" part="panel" aria-labelledby="title" aria-busy=${this.#busy ? "true" : "false"}>
				<h2 id="title" tabindex="-1">${this.#phrase ? text.phrase : this.#act ? text.acting[this.#act] : text.title}</h2>
				${
					this.#phrase
						? this.#renderPhrase(this.#phrase)
						: this.#act
							? this.#renderAct(this.#act, view)
							: view.kind === undefined
								? this.#renderNone()
								: this.#renderWallet(view)
				}
				${this.#busy && this.#busy.done !== undefined ? html`<tabmesh-progress label=${text.deriving} .value=${this.#busy.done}></tabmesh-progress>` : nothing}
				${this.#renderTrouble()}
			</section>
		`;
	}
}

define("tabmesh-wallet", TabmeshWallet);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-wallet": TabmeshWallet;
	}
}
