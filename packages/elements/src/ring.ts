import type { StageView } from "@tabmesh/client";
import { css, html, LitElement, nothing, svg } from "lit";
import { arcPath, dealArcs, pointAt } from "./arc.ts";
import { define } from "./define.ts";
import { describePeer, describeSpan } from "./describe.ts";
import { formatMs } from "./format.ts";
import { messages } from "./language/language.ts";
import { theme } from "./theme.ts";

/** The mark moves with what really happens: an endless animation would redraw the page sixty times a second and slow the very ring it shows. */
const degreesPerToken = 15;
const radius = 45;
const numberRadius = 55;
/** Where the asker sits: prompts enter and tokens leave at twelve o'clock, between the last stage and the first. */
const seamDegrees = 26;

/**
 * The peers that serve one answer, drawn as the ring they are: one arc for each stage, as long as its share of the
 * layers, in the order in which a token passes them. Beneath it the same in words, with each one's milliseconds.
 *
 * @csspart ring - the drawing
 * @csspart stages - the list
 * @slot - what stands in the middle
 */
export class TabmeshRing extends LitElement {
	static override properties = {
		stages: { attribute: false },
		self: { type: String },
		tokens: { type: Number },
	};
	static override styles = [
		theme,
		css`
			:host {
				display: grid;
				justify-items: center;
				gap: 1.25rem;
			}
			.drawing {
				position: relative;
				width: min(100%, var(--tabmesh-ring-size, 15rem));
				aspect-ratio: 1;
			}
			svg {
				display: block;
				width: 100%;
				height: 100%;
				overflow: visible;
				fill: none;
			}
			.idle,
			.base {
				stroke: var(--_line);
			}
			.idle {
				stroke-width: 2;
				stroke-dasharray: 1 5;
				stroke-linecap: round;
				stroke: var(--_control);
			}
			.base,
			.done,
			.gone {
				stroke-width: 6;
			}
			.done {
				stroke: var(--_accent);
			}
			.gone {
				stroke: var(--_danger);
				stroke-dasharray: 2 3;
			}
			.opening .base {
				stroke: var(--_control);
				stroke-dasharray: 1 4;
			}
			text {
				font: 600 6px var(--_font);
				text-anchor: middle;
				dominant-baseline: central;
				fill: var(--_muted);
			}
			.lost text {
				fill: var(--_danger);
			}
			.asker {
				fill: var(--_ink);
			}
			.asker-label {
				fill: var(--_muted);
				font-weight: 500;
				font-size: 6px;
			}
			.token {
				fill: var(--_paper);
			}
			.centre {
				position: absolute;
				inset: 22%;
				display: grid;
				place-content: center;
				justify-items: center;
				text-align: center;
			}
			ol {
				display: grid;
				width: 100%;
				font-size: 0.9375rem;
			}
			li {
				display: grid;
				grid-template-columns: 1.5rem minmax(0, 1fr) auto;
				align-items: baseline;
				gap: 0.6rem;
				padding: 0.55rem 0;
				border-top: 1px solid var(--_line);
			}
			li:first-child {
				border-top: 0;
			}
			.number {
				display: inline-grid;
				place-items: center;
				width: 1.4rem;
				height: 1.4rem;
				border-radius: 50%;
				background: var(--_accent);
				color: var(--_on-accent);
				font-size: 0.78rem;
				font-weight: 650;
			}
			li.lost .number {
				background: var(--_danger);
				color: var(--_surface);
			}
			li.opening .number,
			li.preparing .number {
				background: transparent;
				box-shadow: inset 0 0 0 1px var(--_control);
				color: var(--_muted);
			}
			.span {
				display: block;
				color: var(--_muted);
				font-size: 0.84rem;
				line-height: 1.35;
			}
			.figure {
				text-align: end;
				white-space: nowrap;
			}
			li.lost .figure {
				color: var(--_danger);
				font-weight: 600;
			}
			li.opening .figure,
			li.preparing .figure {
				color: var(--_muted);
			}
			.empty {
				max-width: 17rem;
				text-align: center;
			}
		`,
	];
	declare stages: readonly StageView[];
	/** Our own peer id, to call it "this tab" where it serves itself. */
	declare self: string;
	/** Tokens that came around so far, while an answer runs; 0 else. Each moves the mark on. */
	declare tokens: number;

	constructor() {
		super();
		this.stages = [];
		this.self = "";
		this.tokens = 0;
	}

	#figure(stage: StageView): string {
		if (stage.state === "lost") return messages.ring.lost;
		if (stage.state === "preparing") return messages.ring.preparing(Math.round(stage.progress * 100));
		if (stage.state === "opening") return messages.ring.opening;
		return messages.ring.ms(formatMs(stage.msPerToken));
	}

	#arcs() {
		const weights = this.stages.map(({ span }) => span.to - span.from);
		return dealArcs(weights, 5, seamDegrees).map((arc, index) => {
			const stage = this.stages[index]!;
			const [x, y] = pointAt(numberRadius, (arc.from + arc.to) / 2);
			const path = arcPath(radius, arc);
			const done =
				stage.state === "ready"
					? svg`<path class="done" d=${path}></path>`
					: stage.state === "lost"
						? svg`<path class="gone" d=${path}></path>`
						: stage.state === "preparing" && stage.progress > 0
							? svg`<path class="done" d=${path} pathLength="1" stroke-dasharray="${stage.progress} 1"></path>`
							: nothing;
			return svg`
				<g class=${stage.state}>
					${stage.state === "lost" ? nothing : svg`<path class="base" d=${path}></path>`}
					${done}
					${arc.to - arc.from >= 10 ? svg`<text x=${x} y=${y}>${index + 1}</text>` : nothing}
				</g>
			`;
		});
	}

	protected override render() {
		const { stages } = this;
		return html`
			<div class="drawing" part="ring">
				<svg viewBox="-60 -60 120 120" aria-hidden="true">
					${stages.length === 0 ? svg`<circle class="idle" r=${radius}></circle>` : this.#arcs()}
					${
						stages.length === 0
							? nothing
							: svg`
								<circle class="asker" cy=${-radius} r="3.2"></circle>
								<text class="asker-label" y=${-radius + 10}>${messages.ring.you}</text>
							`
					}
					${
						this.tokens === 0
							? nothing
							: svg`<circle class="token" cy=${-radius} r="1.7" transform="rotate(${(this.tokens * degreesPerToken) % 360})"></circle>`
					}
				</svg>
				<div class="centre"><slot></slot></div>
			</div>
			${
				stages.length === 0
					? html`<p class="empty muted small">${messages.ring.empty}</p>`
					: html`
						<ol part="stages" aria-label=${messages.ring.label(stages.length)}>
							${stages.map(
								(stage, index) => html`
									<li class=${stage.state}>
										<span class="number" aria-hidden="true">${index + 1}</span>
										<span>
											<span class="mono">${describePeer(stage.peer, this.self)}</span>
											<span class="span">${describeSpan(stage.span)}</span>
										</span>
										<span class="figure">${this.#figure(stage)}</span>
									</li>
								`,
							)}
						</ol>
					`
			}
		`;
	}
}

define("tabmesh-ring", TabmeshRing);
