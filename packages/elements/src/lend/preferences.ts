import type { DevicePreferences, LendPreferences, StorageView } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { define } from "../define.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language/language.ts";
import { controls, theme } from "../theme.ts";
import { memoryChoice } from "./memory.ts";

const shares = [1, 0.75, 0.5, 0.25] as const;
/** What people mean by "at night", until they say otherwise. */
const night = { from: 22 * 60, to: 7 * 60 };

/**
 * When and how much this device lends, in the words that volunteers know. Each setting holds at once, for all tabs of this device.
 *
 * @fires tabmesh-memory - `detail.bytes`: the memory with which to join anew
 * @csspart preferences - all of them
 */
export class TabmeshPreferences extends LitElement {
	static override properties = {
		preferences: { attribute: false },
		storage: { attribute: false },
		memoryBytes: { type: Number },
		storageHref: { type: String, attribute: "storage-href" },
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
				gap: 1.25rem;
			}
			fieldset {
				min-width: 0;
				margin: 0;
				padding: 0;
				border: 0;
			}
			.modes {
				display: grid;
				gap: 0.6rem;
			}
			.mode {
				display: grid;
				grid-template-columns: auto minmax(0, 1fr);
				align-items: start;
				gap: 0 0.75rem;
				padding: 0.7rem 1rem;
				border: 1px solid var(--_line);
				border-radius: 10px;
				cursor: pointer;
			}
			.mode:has(:checked) {
				border-color: var(--_accent);
				background: var(--_tint);
			}
			.mode:has(:focus-visible) {
				outline: 2px solid var(--_accent);
				outline-offset: 2px;
			}
			.mode input:focus-visible {
				outline: none;
			}
			.mode small {
				grid-column: 2;
			}
			input[type="radio"],
			input[type="checkbox"] {
				width: 1.25rem;
				height: 1.25rem;
				margin: 0.15rem 0 0;
				accent-color: var(--_accent);
				cursor: pointer;
			}
			small {
				display: block;
				color: var(--_muted);
				font-size: 0.875rem;
				line-height: 1.45;
			}
			.rows {
				display: grid;
				border-top: 1px solid var(--_line);
			}
			.setting {
				display: grid;
				gap: 0.35rem;
				padding: 0.7rem 0;
				border-bottom: 1px solid var(--_line);
			}
			.rows > :last-child {
				padding-bottom: 0;
				border-bottom: 0;
			}
			.check {
				display: grid;
				grid-template-columns: auto minmax(0, 1fr);
				gap: 0 0.75rem;
				min-height: 44px;
				align-content: center;
				cursor: pointer;
			}
			.check small {
				grid-column: 2;
			}
			.more {
				margin-inline-start: 2rem;
			}
			.named {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				justify-content: space-between;
				gap: 0.35rem 1rem;
				min-height: 44px;
			}
			.named > :first-child {
				flex: 1 1 14rem;
			}
			.times {
				display: flex;
				flex-wrap: wrap;
				gap: 0.6rem 1.25rem;
			}
			.times label {
				display: inline-flex;
				align-items: center;
				gap: 0.6rem;
				color: var(--_muted);
			}
			input[type="time"] {
				min-height: 44px;
				padding: 0.4rem 0.75rem;
				border: 1px solid var(--_control);
				border-radius: 10px;
				background: var(--_surface);
				color: var(--_ink);
				font: inherit;
			}
			fieldset:disabled label,
			fieldset:disabled small {
				color: var(--_muted);
				cursor: default;
			}
			@container (min-width: 34rem) {
				.modes {
					grid-template-columns: 1fr 1fr;
				}
			}
		`,
	];
	declare preferences: DevicePreferences | undefined;
	/** What this device keeps, where it is known. */
	declare storage: StorageView | undefined;
	/** What is lent now. */
	declare memoryBytes: number;
	/** Address of the storage page; empty where there is none. */
	declare storageHref: string;

	readonly #choice = memoryChoice((navigator as Navigator & { deviceMemory?: number }).deviceMemory);
	/** What the slider is at, while it is not what is lent. */
	#wantedBytes: number | undefined;
	/** Whether the browser said no to showing the whole device. */
	#refused = false;

	constructor() {
		super();
		this.preferences = undefined;
		this.storage = undefined;
		this.memoryBytes = 0;
		this.storageHref = "";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.preferences?.addEventListener("change", this.#onChange);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.preferences?.removeEventListener("change", this.#onChange);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("preferences")) {
			changed.get("preferences")?.removeEventListener("change", this.#onChange);
			this.preferences?.addEventListener("change", this.#onChange);
		}
		if (changed.has("memoryBytes")) this.#wantedBytes = undefined;
	}

	readonly #onChange = (): void => this.requestUpdate();

	#set(wishes: Partial<LendPreferences>): void {
		this.preferences?.set(wishes);
		// A box that was ticked and not taken must not stay ticked.
		this.requestUpdate();
	}

	async #seeDevice(): Promise<void> {
		this.#refused = !(await this.preferences?.askForIdle());
		this.requestUpdate();
	}

	#renderModes({ mode }: LendPreferences) {
		const text = messages.preferences;
		return html`
			<fieldset>
				<legend class="unseen">${text.mode}</legend>
				<div class="modes">
					${(["preferences", "always"] as const).map(
						(each) => html`
							<label class="mode">
								<input
									type="radio"
									name="mode"
									.checked=${mode === each}
									@change=${() => this.#set({ mode: each })}
								/>
								<span>${text.modes[each]}</span>
								<small>${text.modeHints[each]}</small>
							</label>
						`,
					)}
				</div>
			</fieldset>
		`;
	}

	#renderCheck(
		name: string,
		hint: string | undefined,
		checked: boolean,
		set: (checked: boolean) => void,
		more: unknown = nothing,
	) {
		return html`
			<div class="setting">
				<label class="check">
					<input
						type="checkbox"
						.checked=${checked}
						@change=${(event: Event) => set((event.target as HTMLInputElement).checked)}
					/>
					<span>${name}</span>
					${hint === undefined ? nothing : html`<small>${hint}</small>`}
				</label>
				${more}
			</div>
		`;
	}

	#renderHours({ hours }: LendPreferences) {
		const text = messages.preferences;
		const field = (name: string, which: "from" | "to") => html`
			<label>
				${name}
				<input
					type="time"
					required
					.value=${clock(hours![which])}
					@change=${(event: Event) => {
						const { value } = event.target as HTMLInputElement;
						const [hour, minute] = value.split(":").map(Number);
						if (value !== "") this.#set({ hours: { ...hours!, [which]: hour! * 60 + minute! } });
						else this.requestUpdate();
					}}
				/>
			</label>
		`;
		return this.#renderCheck(
			text.hours,
			undefined,
			hours !== null,
			(checked) => this.#set({ hours: checked ? night : null }),
			hours === null
				? nothing
				: html`<div class="times more">${field(text.from, "from")}${field(text.to, "to")}</div>`,
		);
	}

	#renderMemory() {
		const text = messages.preferences;
		const { least, most, step } = this.#choice;
		const bytes = this.#wantedBytes ?? this.memoryBytes;
		return html`
			<div class="setting">
				<label class="named" for="memory"><span>${text.memory}</span><span>${formatBytes(bytes)}</span></label>
				<input
					id="memory"
					type="range"
					min=${least}
					max=${Math.max(most, this.memoryBytes)}
					step=${step}
					.value=${String(bytes)}
					aria-valuetext=${formatBytes(bytes)}
					@input=${(event: InputEvent) => {
						this.#wantedBytes = Number((event.target as HTMLInputElement).value);
						this.requestUpdate();
					}}
				/>
				${
					this.#wantedBytes === undefined || this.#wantedBytes === this.memoryBytes
						? nothing
						: html`
							<div class="row">
								<button type="button" @click=${() => this.#rejoin(bytes)}>${text.memoryApply(formatBytes(bytes))}</button>
							</div>
							<small>${text.memoryHint}</small>
						`
				}
			</div>
		`;
	}

	#rejoin(bytes: number): void {
		this.dispatchEvent(new CustomEvent("tabmesh-memory", { detail: { bytes } }));
	}

	#renderStorage() {
		const text = messages.preferences;
		const { storage } = this;
		if (!storage) return nothing;
		return html`
			<div class="setting">
				<div class="named">
					<div>
						${text.storage}
						<small>${text.storageHint(formatBytes(storage.usedBytes), formatBytes(storage.budgetBytes))}</small>
					</div>
					${this.storageHref === "" ? nothing : html`<a href=${this.storageHref} target="_blank" rel="noopener">${text.storageLink}</a>`}
				</div>
			</div>
		`;
	}

	protected override render() {
		const view = this.preferences?.view;
		if (view === undefined) return nothing;
		const { wishes, device, mayDetectIdle } = view;
		const text = messages.preferences;
		const network = device.metered === undefined ? "unknown" : device.metered ? "metered" : "free";
		const sees = wishes.onlyWhenIdle && mayDetectIdle && device.idleOf === "page";
		return html`
			<section class="all" part="preferences">
				<h2>${text.title}</h2>
				${this.#renderModes(wishes)}
				<div class="rows">
					<fieldset ?disabled=${wishes.mode === "always"}>
						${this.#renderCheck(text.battery, text.power[device.power], wishes.onBattery, (onBattery) => this.#set({ onBattery }))}
						${this.#renderCheck(text.metered, text.network[network], wishes.onMetered, (onMetered) => this.#set({ onMetered }))}
						${this.#renderCheck(
							text.idle,
							text.idleOf[device.idleOf],
							wishes.onlyWhenIdle,
							(onlyWhenIdle) => this.#set({ onlyWhenIdle }),
							sees
								? html`<div class="more">
										<button type="button" @click=${this.#seeDevice}>${text.seeDevice}</button>
										${this.#refused ? html`<small>${text.seeDeviceRefused}</small>` : nothing}
									</div>`
								: nothing,
						)}
						${this.#renderHours(wishes)}
					</fieldset>
					<div class="setting">
						<div class="named">
							<label for="share">${text.share}<small>${text.shareHint}</small></label>
							<select
								id="share"
								@change=${(event: Event) => this.#set({ computeShare: Number((event.target as HTMLSelectElement).value) })}
							>
								${shares.map((share) => html`<option value=${share} ?selected=${share === wishes.computeShare}>${text.percent(share * 100)}</option>`)}
							</select>
						</div>
					</div>
					${this.#renderCheck(text.upload, text.uploadHint, wishes.givesLayers, (givesLayers) => this.#set({ givesLayers }))}
					${this.#renderMemory()}
					${this.#renderStorage()}
				</div>
			</section>
		`;
	}
}

function clock(minutes: number): string {
	const two = (value: number): string => String(value).padStart(2, "0");
	return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

define("tabmesh-preferences", TabmeshPreferences);
