import type { Span } from "@tabmesh/wire";
import { css, html, LitElement, nothing, svg } from "lit";
import { arcPath } from "../arc.ts";
import { define } from "../define.ts";
import { theme } from "../theme.ts";

const radius = 52;

/**
 * The round face of a lender: it turns while something is looked for, fills while layers load, and then shows which
 * part of the whole model this tab holds. What it shows is also said in words beside it, so it is hidden from screen
 * readers.
 *
 * @slot - what stands in the middle
 */
export class TabmeshDial extends LitElement {
	static override properties = {
		progress: { type: Number },
		layers: { type: Number },
		span: { attribute: false },
		state: { type: String, reflect: true },
	};
	static override styles = [
		theme,
		css`
			:host {
				position: relative;
				width: 11rem;
				aspect-ratio: 1;
			}
			svg {
				display: block;
				width: 100%;
				height: 100%;
				overflow: visible;
				fill: none;
			}
			.track {
				stroke: var(--_line);
				stroke-width: 3;
			}
			.tick {
				stroke: var(--_control);
				stroke-width: 1;
			}
			.mark {
				stroke: var(--_accent);
				stroke-width: 8;
			}
			:host([state="still"]) .mark {
				stroke: var(--_control);
			}
			:host([state="seeking"]) .mark {
				stroke-width: 3;
				animation: turn 2.4s linear infinite;
			}
			.centre {
				position: absolute;
				inset: 14%;
				display: grid;
				place-content: center;
				justify-items: center;
				text-align: center;
			}
			@keyframes turn {
				to {
					transform: rotate(360deg);
				}
			}
		`,
	];
	/** 0 to 1 while something loads. */
	declare progress: number | undefined;
	/** Layers of the whole model. */
	declare layers: number;
	/** What of them this tab holds. */
	declare span: Span | undefined;
	declare state: "seeking" | "loading" | "serving" | "still";

	constructor() {
		super();
		this.progress = undefined;
		this.layers = 0;
		this.span = undefined;
		this.state = "still";
	}

	#mark() {
		if (this.state === "seeking") return { from: 0, to: 70 };
		if (this.state === "loading") return { from: 0, to: Math.max(3, 360 * Math.min(1, this.progress ?? 0)) };
		if (this.span === undefined || this.layers === 0) return undefined;
		// The embedding comes before the first layer and the head after the last: each takes a place of its own.
		const places = this.layers + 2;
		const from = this.span.embed ? 0 : this.span.from + 1;
		const to = this.span.head ? places : this.span.to + 1;
		return { from: (360 * from) / places + 1.5, to: (360 * to) / places - 1.5 };
	}

	protected override render() {
		const mark = this.#mark();
		// Ticks closer than about four degrees run into one grey band and say nothing.
		const places = this.layers > 0 && this.layers <= 88 ? this.layers + 2 : 0;
		const ticks = Array.from({ length: places }, (_, place) => (360 * place) / places);
		return html`
			<svg viewBox="-60 -60 120 120" aria-hidden="true">
				<circle class="track" r=${radius}></circle>
				${ticks.map((angle) => svg`<path class="tick" d="M0 -49.5V-54.5" transform="rotate(${angle})"></path>`)}
				${mark === undefined ? nothing : svg`<path class="mark" d=${arcPath(radius, mark)}></path>`}
			</svg>
			<div class="centre"><slot></slot></div>
		`;
	}
}

define("tabmesh-dial", TabmeshDial);
