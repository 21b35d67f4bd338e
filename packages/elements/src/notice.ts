import { css, html, LitElement, nothing } from "lit";
import { define } from "./define.ts";
import { theme } from "./theme.ts";

/**
 * One thing a person should know now, and what to do about it; buttons go into its slot.
 *
 * @csspart notice - the box
 * @slot - actions
 */
export class TabmeshNotice extends LitElement {
	static override properties = {
		heading: { type: String },
		text: { type: String },
		steps: { attribute: false },
		tone: { type: String, reflect: true },
	};
	static override styles = [
		theme,
		css`
			.notice {
				display: grid;
				gap: 0.4rem;
				padding: 1rem 1.15rem;
				border-radius: var(--_radius);
				background: var(--_tint);
			}
			:host([tone="trouble"]) .notice {
				background: var(--_danger-tint);
			}
			:host([tone="trouble"]) h2 {
				color: var(--_danger);
			}
			ul {
				display: grid;
				gap: 0.25rem;
			}
			::slotted(*) {
				margin-top: 0.5rem;
			}
		`,
	];
	declare heading: string;
	declare text: string;
	declare steps: readonly string[];
	/** `calm` informs, `trouble` is read out at once. */
	declare tone: "calm" | "trouble";

	constructor() {
		super();
		this.heading = "";
		this.text = "";
		this.steps = [];
		this.tone = "calm";
	}

	protected override render() {
		return html`
			<div class="notice" part="notice" role=${this.tone === "trouble" ? "alert" : "note"}>
				<h2>${this.heading}</h2>
				${this.text === "" ? nothing : html`<p>${this.text}</p>`}
				${this.steps.length === 0 ? nothing : html`<ul>${this.steps.map((step) => html`<li>${step}</li>`)}</ul>`}
				<slot></slot>
			</div>
		`;
	}
}

define("tabmesh-notice", TabmeshNotice);
