import type { ModelView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import { css, html, LitElement, nothing, type PropertyValues, svg } from "lit";
import { define } from "../define.ts";
import { describePeer, describeSpan } from "../describe.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";
import { type LaneBar, packLanes } from "./packLanes.ts";

/** A lane is as high as a line of text where there are few, and the whole is never higher than half a screen. */
const mostLanePx = 28;
const mostHeightPx = 392;
/** From here on a bar has room for the name of its peer. */
const namedFromPx = { lane: 20, width: 56 };
/** Left of the bars, for the number of copies; below them, for the numbers of the layers. */
const gutterPx = 30;
const axisPx = 22;
const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/** The finest step at which so many values have at most `most` marks. */
function stepFor(values: number, most: number): number {
	return steps.find((step) => values / step <= most) ?? steps.at(-1)!;
}

/**
 * Who holds which layers of a model: layers from left to right, one bar for each peer, piled up, so that the outline is the number of
 * copies. One path for each kind of bar and not an element for each peer: a thousand peers are drawn as quickly as one.
 *
 * @fires tabmesh-peer - `detail.peer`: whose bar was clicked; the same by keyboard belongs in a list beside it
 * @csspart map - the drawing
 */
export class TabmeshSwarmMap extends LitElement {
	static override properties = {
		model: { attribute: false },
		members: { attribute: false },
		peer: { type: String },
		self: { type: String },
	};
	static override styles = [
		theme,
		css`
			.map {
				display: grid;
				gap: 0.75rem;
			}
			svg {
				display: block;
				width: 100%;
				overflow: visible;
				touch-action: pan-y;
			}
			text {
				font: 500 11px var(--_font);
				fill: var(--_muted);
			}
			.grid {
				stroke: var(--_line);
				stroke-width: 1;
			}
			.base {
				stroke: var(--_control);
				stroke-width: 1;
			}
			.idle {
				fill: color-mix(in oklab, var(--_accent) 42%, var(--_surface));
			}
			.serving {
				fill: var(--_accent);
			}
			.loading {
				fill: var(--_surface);
				stroke: var(--_control);
				stroke-width: 1;
				stroke-dasharray: 2 2;
			}
			.missing {
				fill: var(--_danger-tint);
				stroke: var(--_danger);
				stroke-width: 1;
				stroke-dasharray: 3 3;
			}
			.chosen,
			.over {
				fill: none;
				stroke: var(--_ink);
				stroke-width: 2;
			}
			.over {
				stroke-width: 1.5;
			}
			.name {
				font-family: var(--_mono);
				fill: var(--_ink);
				pointer-events: none;
			}
			.name.on {
				fill: var(--_on-accent);
			}
			.bars {
				cursor: pointer;
			}
			.foot {
				display: flex;
				flex-wrap: wrap;
				justify-content: space-between;
				gap: 0.35rem 1.25rem;
				min-height: 1.3rem;
			}
			.legend {
				display: flex;
				flex-wrap: wrap;
				gap: 0.35rem 1.25rem;
			}
			.legend li {
				display: inline-flex;
				align-items: center;
				gap: 0.45rem;
			}
			.legend svg {
				width: 0.9rem;
				height: 0.7rem;
			}
			@media (forced-colors: active) {
				.idle {
					fill: GrayText;
				}
				.serving {
					fill: Highlight;
				}
			}
		`,
	];
	declare model: ModelView | undefined;
	declare members: readonly Member[];
	/** The peer whose bars are framed. */
	declare peer: string;
	/** Our own peer id. */
	declare self: string;

	#packed: ReturnType<typeof packLanes> = { bars: [], lanes: 0 };
	#width = 640;
	#over: LaneBar | undefined;
	readonly #size = new ResizeObserver(([entry]) => {
		const width = Math.floor(entry!.contentRect.width);
		if (width === 0 || width === this.#width) return;
		this.#width = width;
		this.requestUpdate();
	});

	constructor() {
		super();
		this.model = undefined;
		this.members = [];
		this.peer = "";
		this.self = "";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#size.observe(this);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#size.disconnect();
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (!changed.has("model") && !changed.has("members")) return;
		this.#packed = this.model ? packLanes(this.model, this.members) : { bars: [], lanes: 0 };
		this.#over = undefined;
	}

	get #lanePx(): number {
		return Math.min(mostLanePx, mostHeightPx / Math.max(1, this.#packed.lanes));
	}

	get #height(): number {
		return Math.max(mostLanePx, Math.ceil(this.#lanePx * this.#packed.lanes));
	}

	/** Left edge of a layer, in pixels. */
	#x(layer: number): number {
		const { layers } = this.model!;
		return gutterPx + ((this.#width - gutterPx) * Math.min(layer, layers)) / layers;
	}

	/** A bar's outline; rounded where there is room for it. */
	#outline({ span, lane }: LaneBar): string {
		const lanePx = this.#lanePx;
		const gap = lanePx >= 6 ? 2 : lanePx >= 3 ? 1 : 0;
		const left = this.#x(span.from) + 0.5;
		const width = Math.max(1, this.#x(span.to) - left - 1);
		const height = lanePx - gap;
		const top = this.#height - (lane + 1) * lanePx + gap / 2;
		const round = height >= 10 && width >= 8 ? 3 : 0;
		const n = (value: number): string => value.toFixed(1);
		if (round === 0) return `M${n(left)} ${n(top)}h${n(width)}v${n(height)}h${n(-width)}z`;
		const corner = (x: number, y: number): string => `a${round} ${round} 0 0 1 ${x * round} ${y * round}`;
		const across = n(width - 2 * round);
		const down = n(height - 2 * round);
		return `M${n(left + round)} ${n(top)}h${across}${corner(1, 1)}v${down}${corner(-1, 1)}h-${across}${corner(-1, -1)}v-${down}${corner(1, -1)}z`;
	}

	#at(event: PointerEvent | MouseEvent): LaneBar | undefined {
		const box = (event.currentTarget as SVGElement).ownerSVGElement!.getBoundingClientRect();
		const x = event.clientX - box.left;
		const lane = Math.floor((this.#height - (event.clientY - box.top)) / this.#lanePx);
		return this.#packed.bars.find(
			(bar) => bar.lane === lane && this.#x(bar.span.from) <= x && x < this.#x(bar.span.to),
		);
	}

	#hover(bar: LaneBar | undefined): void {
		if (bar === this.#over) return;
		this.#over = bar;
		this.requestUpdate();
	}

	#choose(event: MouseEvent): void {
		const bar = this.#at(event);
		if (!bar) return;
		this.dispatchEvent(
			new CustomEvent("tabmesh-peer", { detail: { peer: bar.peer }, bubbles: true, composed: true }),
		);
	}

	#label(): string {
		const { coverage, layers, name } = this.model!;
		const held = coverage.holders.filter((count) => count > 0).length;
		const text = messages.console.map;
		return [
			text.label(name, new Set(this.#packed.bars.map(({ peer }) => peer)).size),
			messages.layers.coverage(held, layers),
			...(held === layers ? [text.copies(Math.min(...coverage.holders), Math.max(...coverage.holders))] : []),
		].join(" ");
	}

	/** Runs of layers that nobody holds and nobody is fetching. */
	#gaps(): { from: number; to: number }[] {
		const covered = new Array<boolean>(this.model!.layers).fill(false);
		for (const { span } of this.#packed.bars)
			covered.fill(true, span.from, Math.min(span.to, covered.length));
		const gaps: { from: number; to: number }[] = [];
		for (const [layer, is] of covered.entries()) {
			if (is) continue;
			const last = gaps.at(-1);
			if (last?.to === layer) last.to++;
			else gaps.push({ from: layer, to: layer + 1 });
		}
		return gaps;
	}

	#names() {
		const lanePx = this.#lanePx;
		if (lanePx < namedFromPx.lane) return nothing;
		return this.#packed.bars.map((bar) => {
			const left = this.#x(bar.span.from);
			if (this.#x(bar.span.to) - left < namedFromPx.width) return nothing;
			const y = this.#height - (bar.lane + 0.5) * lanePx;
			const on = bar.span.ready && bar.streams > 0;
			return svg`<text class="name ${on ? "on" : ""}" x=${left + 8} y=${y} dominant-baseline="central">${describePeer(bar.peer, this.self)}</text>`;
		});
	}

	protected override render() {
		const { model } = this;
		if (!model) return nothing;
		const { bars, lanes } = this.#packed;
		const height = this.#height;
		const text = messages.console.map;
		const paths = { idle: "", serving: "", loading: "" };
		for (const bar of bars)
			paths[!bar.span.ready ? "loading" : bar.streams > 0 ? "serving" : "idle"] += this.#outline(bar);
		const framed = (peer: string) =>
			bars
				.filter((bar) => bar.peer === peer)
				.map((bar) => this.#outline(bar))
				.join("");
		const copyStep = stepFor(lanes, 5);
		const layerStep = stepFor(model.layers, this.#width < 480 ? 6 : 12);
		const copies = Array.from({ length: Math.floor(lanes / copyStep) }, (_, i) => (i + 1) * copyStep);
		const layers = [1];
		for (let layer = layerStep; layer <= model.layers; layer += layerStep)
			if (layer - 1 > layerStep / 2) layers.push(layer);
		const over = this.#over;
		return html`
			<div class="map">
				<svg
					part="map"
					role="img"
					aria-label=${this.#label()}
					viewBox="0 -4 ${this.#width} ${height + axisPx + 4}"
					height=${height + axisPx + 4}
				>
					${copies.map((count) => {
						const y = height - count * this.#lanePx;
						return svg`
							<line class="grid" x1=${gutterPx} x2=${this.#width} y1=${y} y2=${y}></line>
							<text x=${gutterPx - 8} y=${y + (this.#lanePx >= namedFromPx.lane ? this.#lanePx / 2 : 0)} text-anchor="end" dominant-baseline="central">${count}</text>`;
					})}
					${this.#gaps().map(({ from, to }) => {
						const left = this.#x(from) + 1;
						return svg`<rect class="missing" x=${left} width=${Math.max(1, this.#x(to) - left - 1)} y="1" height=${height - 2} rx="2"></rect>`;
					})}
					<g
						class="bars"
						@pointermove=${(event: PointerEvent) => this.#hover(this.#at(event))}
						@pointerleave=${() => this.#hover(undefined)}
						@click=${this.#choose}
					>
						<path class="idle" d=${paths.idle}></path>
						<path class="serving" d=${paths.serving}></path>
						<path class="loading" d=${paths.loading}></path>
					</g>
					${this.#names()}
					${over && over.peer !== this.peer ? svg`<path class="over" d=${this.#outline(over)} pointer-events="none"></path>` : nothing}
					${this.peer === "" ? nothing : svg`<path class="chosen" d=${framed(this.peer)} pointer-events="none"></path>`}
					<line class="base" x1=${gutterPx} x2=${this.#width} y1=${height + 0.5} y2=${height + 0.5}></line>
					${layers.map(
						(layer) =>
							svg`<text x=${(this.#x(layer - 1) + this.#x(layer)) / 2} y=${height + 15} text-anchor="middle">${layer}</text>`,
					)}
				</svg>
				<div class="foot small muted">
					<ul class="legend" aria-label=${text.legend}>
						${(["serving", "idle", "loading", "missing"] as const).map(
							(kind) => html`
								<li>
									<svg viewBox="0 0 14 11" aria-hidden="true"><rect class=${kind} x="0.5" y="0.5" width="13" height="10" rx="2"></rect></svg>
									${text.kinds[kind]}
								</li>
							`,
						)}
					</ul>
					<span aria-hidden="true">
						${over ? `${describePeer(over.peer, this.self)} · ${describeSpan(over.span)}${over.streams > 0 ? ` · ${messages.console.answers(over.streams)}` : ""}` : text.axis}
					</span>
				</div>
			</div>
		`;
	}
}

define("tabmesh-swarm-map", TabmeshSwarmMap);
