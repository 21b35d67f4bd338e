import type { ModelView } from "@tabmesh/client";
import { css, html, LitElement, nothing } from "lit";
import { live } from "lit/directives/live.js";
import { define } from "../define.ts";
import { formatBytes, formatBytesUp } from "../format.ts";
import { messages } from "../language/language.ts";
import { controls, theme } from "../theme.ts";
import { type AskSettings, readSettings, type SettableName, settableNumbers } from "./settings.ts";
import { sheet } from "./sheet.ts";

/**
 * Whom to ask and how, in a sheet: the models with what the swarm holds of each now, and the numbers of sampling.
 *
 * @fires settings - `detail`: the `AskSettings` from now on
 */
export class TabmeshAskSettings extends LitElement {
	static override properties = {
		models: { attribute: false },
		chosen: { type: String },
		settings: { attribute: false },
	};
	static override styles = [
		theme,
		controls,
		sheet,
		css`
			:host {
				display: contents;
			}
			fieldset {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				gap: 0.5rem;
				margin: 0;
				padding: 0;
				border: 0;
			}
			legend {
				margin-bottom: 0.6rem;
				padding: 0;
				font-weight: 600;
			}
			.model {
				display: grid;
				grid-template-columns: auto minmax(0, 1fr);
				gap: 0.1rem 0.75rem;
				padding: 0.75rem 0.9rem;
				border: 1px solid var(--_line);
				border-radius: 12px;
				background: var(--_surface);
				cursor: pointer;
			}
			.model:has(:checked) {
				border-color: var(--_accent);
				background: var(--_tint);
			}
			.model:has(:focus-visible) {
				outline: 2px solid var(--_accent);
				outline-offset: 2px;
			}
			.model input {
				grid-row: 1 / span 3;
				width: 1.15rem;
				height: 1.15rem;
				margin: 0.2rem 0 0;
				accent-color: var(--_accent);
				outline: none;
			}
			.model strong {
				font-weight: 600;
				overflow-wrap: anywhere;
			}
			.ready {
				color: var(--_accent);
			}
			.field {
				display: grid;
				grid-template-columns: minmax(0, 1fr) 8.5rem;
				align-items: center;
				gap: 0.1rem 1rem;
			}
			.field .small {
				grid-column: 1;
			}
			.field input {
				grid-row: 1 / span 2;
				grid-column: 2;
				width: 100%;
			}
			.text {
				display: grid;
				gap: 0.4rem;
			}
			dialog textarea {
				min-height: 6rem;
				resize: vertical;
				line-height: 1.45;
			}
		`,
	];
	declare models: readonly ModelView[];
	/** Id of the model that is asked. */
	declare chosen: string;
	declare settings: AskSettings;

	constructor() {
		super();
		this.models = [];
		this.chosen = "";
		this.settings = {};
	}

	/** Opens the sheet. */
	show(): void {
		this.renderRoot.querySelector("dialog")!.showModal();
	}

	#tell(settings: AskSettings): void {
		this.settings = settings;
		this.dispatchEvent(new CustomEvent("settings", { detail: settings }));
	}

	#set(name: keyof AskSettings, value: unknown): void {
		this.#tell(readSettings({ ...this.settings, [name]: value }));
		this.requestUpdate();
	}

	#renderModel(model: ModelView) {
		const text = messages.chat.settings;
		const { complete, missingBytes, holders, loading } = model.coverage;
		const state = complete
			? text.ready(Math.min(...holders))
			: missingBytes > 0
				? messages.swarm.missing(formatBytesUp(missingBytes))
				: loading > 0
					? messages.swarm.loading(loading)
					: messages.chat.planning.title;
		const about = [
			text.layers(model.layers),
			formatBytes(model.sourceBytes),
			text.context(model.contextLength),
			...(model.license === undefined ? [] : [model.license]),
		];
		return html`
			<label class="model">
				<input
					type="radio"
					name="model"
					.checked=${live(model.id === this.chosen)}
					@change=${() => this.#set("model", model.id)}
				/>
				<strong>${model.name}</strong>
				<span class="small ${complete ? "ready" : "muted"}">${state}</span>
				<span class="muted small">${about.join(" · ")}</span>
			</label>
		`;
	}

	#renderNumber(name: SettableName) {
		const { label, hint, unset } = messages.chat.settings.numbers[name];
		const { least, most, step } = settableNumbers[name];
		return html`
			<div class="field">
				<label for=${name}>${label}</label>
				<span class="muted small" id="${name}-hint">${hint}</span>
				<input
					id=${name}
					type="number"
					inputmode="decimal"
					min=${least}
					max=${most}
					step=${step}
					placeholder=${unset}
					aria-describedby="${name}-hint"
					.value=${live(this.settings[name]?.toString() ?? "")}
					@change=${({ target }: Event) => {
						const { value, valueAsNumber } = target as HTMLInputElement;
						this.#set(name, value === "" ? undefined : valueAsNumber);
					}}
				/>
			</div>
		`;
	}

	protected override render() {
		const text = messages.chat.settings;
		const { model, ...rest } = this.settings;
		const isDefault = Object.keys(rest).length === 0;
		return html`
			<dialog class="end" aria-labelledby="heading">
				<div class="sheet">
					<div class="head">
						<h2 id="heading">${text.heading}</h2>
						<button type="button" @click=${() => this.renderRoot.querySelector("dialog")!.close()}>
							${messages.chat.conversations.close}
						</button>
					</div>
					${
						this.models.length === 0
							? nothing
							: html`
								<fieldset>
									<legend>${text.models}</legend>
									${this.models.map((each) => this.#renderModel(each))}
								</fieldset>
							`
					}
					<div class="text">
						<label for="system"><strong>${text.system}</strong></label>
						<textarea
							id="system"
							dir="auto"
							aria-describedby="system-hint"
							.value=${live(this.settings.system ?? "")}
							@change=${({ target }: Event) => this.#set("system", (target as HTMLTextAreaElement).value)}
						></textarea>
						<span class="muted small" id="system-hint">${text.systemHint}</span>
					</div>
					<fieldset>
						<legend>${text.sampling}</legend>
						${(Object.keys(settableNumbers) as SettableName[]).map((name) => this.#renderNumber(name))}
					</fieldset>
					<div>
						<button
							type="button"
							?disabled=${isDefault}
							@click=${() => this.#tell(model === undefined ? {} : { model })}
						>
							${text.restore}
						</button>
					</div>
				</div>
			</dialog>
		`;
	}
}

define("tabmesh-ask-settings", TabmeshAskSettings);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-ask-settings": TabmeshAskSettings;
	}
}
