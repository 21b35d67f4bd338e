import type { ModelView, ServedRoute } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import type { Span } from "@tabmesh/wire";
import { css, html, LitElement, nothing, svg } from "lit";
import { type Arc, arcPath, pointAt } from "../arc.ts";
import { define } from "../define.ts";
import { describePeer, describeSpan } from "../describe.ts";
import { formatCount } from "../format.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";

/** Tracks beyond these would be thinner than a line that can be seen. */
const mostTracks = 7;
const outermost = 96;
const trackStep = 9;
/** Answers that are listed in words; one device seldom serves more at once. */
const mostStreams = 3;

interface DrawnSpan {
	readonly peer: string;
	readonly arc: Arc;
	readonly track: number;
	readonly ready: boolean;
}

/**
 * Who holds what, seen from above: the model's layers once around the clock, each device an arc over those it holds. The answers
 * that run through this tab are drawn as the ring they take from device to device; the mark on it moves with each token.
 *
 * @csspart orbit - the drawing
 * @csspart streams - the list of answers
 */
export class TabmeshOrbit extends LitElement {
	static override properties = {
		model: { attribute: false },
		members: { attribute: false },
		self: { type: String },
		routes: { attribute: false },
	};
	static override styles = [
		theme,
		css`
			:host {
				container-type: inline-size;
			}
			.orbit {
				display: grid;
				gap: 1.25rem 2rem;
				justify-items: center;
			}
			h2 {
				margin-bottom: 1rem;
			}
			.drawing {
				position: relative;
				width: min(100%, 17rem);
				aspect-ratio: 1;
			}
			svg {
				display: block;
				width: 100%;
				height: 100%;
				overflow: visible;
				fill: none;
			}
			.rim {
				stroke: var(--_line);
				stroke-width: 1;
			}
			.tick {
				stroke: var(--_control);
				stroke-width: 1;
			}
			.arc {
				stroke: color-mix(in oklab, var(--_accent) 42%, var(--_surface));
				stroke-width: 6;
			}
			.arc.own {
				stroke: var(--_accent);
			}
			.arc.loading {
				stroke: var(--_control);
				stroke-width: 2;
				stroke-dasharray: 2 3;
			}
			.way {
				stroke: var(--_ink);
				stroke-width: 1.5;
				stroke-linejoin: round;
			}
			.stop {
				fill: var(--_surface);
				stroke: var(--_ink);
				stroke-width: 1.5;
			}
			.stop.here {
				fill: var(--_ink);
			}
			.centre {
				position: absolute;
				inset: 34%;
				display: grid;
				place-content: center;
				justify-items: center;
				text-align: center;
				border-radius: 50%;
				background: var(--_surface);
			}
			.count {
				font-size: 1.6rem;
				font-weight: 600;
				line-height: 1;
				letter-spacing: -0.03em;
			}
			.words {
				display: grid;
				gap: 1rem;
				width: 100%;
				align-content: center;
			}
			.key {
				display: flex;
				flex-wrap: wrap;
				gap: 0.35rem 1.1rem;
				color: var(--_muted);
				font-size: 0.875rem;
			}
			.key li {
				display: inline-flex;
				align-items: center;
				gap: 0.45rem;
			}
			.key svg {
				width: 1.4rem;
				height: 0.7rem;
			}
			.streams {
				display: grid;
				gap: 0.9rem;
			}
			.hops {
				display: grid;
				gap: 0.1rem;
				margin-top: 0.25rem;
				font-size: 0.9375rem;
			}
			.hops li {
				display: flex;
				flex-wrap: wrap;
				gap: 0 0.6rem;
			}
			.hops .here {
				font-weight: 600;
			}
			@container (min-width: 34rem) {
				.orbit {
					grid-template-columns: 17rem minmax(0, 1fr);
				}
			}
			@media (forced-colors: active) {
				.arc.own {
					stroke: Highlight;
				}
			}
		`,
	];
	declare model: ModelView | undefined;
	declare members: readonly Member[];
	/** Our own peer id. */
	declare self: string;
	/** Of the answers that run through this tab. */
	declare routes: readonly ServedRoute[];

	constructor() {
		super();
		this.model = undefined;
		this.members = [];
		this.self = "";
		this.routes = [];
	}

	/** The embedding comes before the first layer and the head after the last: each takes a place of its own. */
	#arcOf(span: Span, layers: number): Arc {
		const places = layers + 2;
		const from = span.embed ? 0 : span.from + 1;
		const to = span.head ? places : span.to + 1;
		return { from: (360 * from) / places + 1, to: (360 * to) / places - 1 };
	}

	/** Every span on the outermost track that is free there; our own first, so that it is always drawn. */
	#spans({ id, layers }: ModelView): { drawn: DrawnSpan[]; left: number } {
		const spans = this.members.flatMap(
			({ peer, lends }) =>
				lends?.spans.filter(({ model }) => model === id).map((span) => ({ peer, span })) ?? [],
		);
		spans.sort(
			(a, b) =>
				Number(b.peer === this.self) - Number(a.peer === this.self) ||
				Number(b.span.ready) - Number(a.span.ready) ||
				a.span.from - b.span.from,
		);
		const tracks: Arc[][] = Array.from({ length: mostTracks }, () => []);
		const drawn: DrawnSpan[] = [];
		for (const { peer, span } of spans) {
			const arc = this.#arcOf(span, layers);
			const track = tracks.findIndex((taken) =>
				taken.every((other) => arc.to <= other.from || other.to <= arc.from),
			);
			if (track < 0) continue;
			tracks[track]!.push(arc);
			drawn.push({ peer, arc, track, ready: span.ready });
		}
		return { drawn, left: spans.length - drawn.length };
	}

	#way(route: ServedRoute, model: ModelView, drawn: readonly DrawnSpan[]) {
		const stops = route.hops.map(({ peer, span }) => {
			const arc = this.#arcOf(span, model.layers);
			const at = drawn.find((each) => each.peer === peer);
			const radius = outermost - (at?.track ?? mostTracks) * trackStep;
			return pointAt(radius, (arc.from + arc.to) / 2);
		});
		// Not where the token is this moment: that it moves on with what really happens.
		const here = route.positions % stops.length;
		const points = stops.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
		return svg`
			<polygon class="way" points=${points}></polygon>
			${stops.map(([x, y], i) => svg`<circle class="stop ${i === here ? "here" : ""}" cx=${x.toFixed(1)} cy=${y.toFixed(1)} r="3.4"></circle>`)}
		`;
	}

	#renderDrawing(model: ModelView, lenders: number) {
		const { drawn } = this.#spans(model);
		const places = model.layers <= 88 ? model.layers + 2 : 0;
		return html`
			<div class="drawing" part="orbit">
				<svg
					viewBox="-104 -104 208 208"
					role="img"
					aria-label=${messages.orbit.label(messages.swarm.lenders(lenders), model.layers)}
				>
					<circle class="rim" r=${outermost + 6}></circle>
					${Array.from(
						{ length: places },
						(_, place) =>
							svg`<path class="tick" d="M0 ${-outermost - 4}V${-outermost - 8}" transform="rotate(${(360 * place) / places})"></path>`,
					)}
					${drawn.map(
						({ peer, arc, track, ready }) =>
							svg`<path class="arc ${peer === this.self ? "own" : ""} ${ready ? "" : "loading"}" d=${arcPath(outermost - track * trackStep, arc)}></path>`,
					)}
					${this.routes.filter((route) => route.model === model.id).map((route) => this.#way(route, model, drawn))}
				</svg>
				<div class="centre" aria-hidden="true">
					<span class="count">${formatCount(lenders)}</span>
					<span class="muted small">${messages.orbit.peers(lenders)}</span>
				</div>
			</div>
		`;
	}

	#renderStreams() {
		const text = messages.orbit;
		const routes = this.routes.slice(0, mostStreams);
		if (routes.length === 0) return html`<p class="muted small">${text.idle}</p>`;
		return html`
			<ul class="streams" part="streams">
				${routes.map(
					({ hops, place, positions }) => html`
						<li>
							<span>${text.stream(formatCount(positions))}</span>
							<ol class="hops">
								${hops.map(
									({ peer, span }, i) => html`
										<li class=${i === place ? "here" : ""}>
											<span class=${i === place ? "" : "mono"}>${i === place ? messages.thisTab : describePeer(peer, undefined)}</span>
											<span class="muted">${describeSpan(span)}</span>
										</li>
									`,
								)}
							</ol>
						</li>
					`,
				)}
			</ul>
			${this.routes.length > routes.length ? html`<p class="muted small">${text.moreStreams(this.routes.length - routes.length)}</p>` : nothing}
		`;
	}

	protected override render() {
		const { model } = this;
		if (model === undefined) return nothing;
		const { key, more, title } = messages.orbit;
		const lenders = this.members.filter(({ lends }) => lends?.models.includes(model.id)).length;
		const { drawn, left } = this.#spans(model);
		const line = (kind: string) =>
			html`<svg viewBox="0 0 28 14" aria-hidden="true">${svg`<path class=${kind} d="M1 7H27"></path>`}</svg>`;
		return html`
			<h2>${title}</h2>
			<div class="orbit">
				${this.#renderDrawing(model, lenders)}
				<div class="words">
					<ul class="key">
						<li>${line("arc own")}${key.own}</li>
						<li>${line("arc")}${key.others}</li>
						${drawn.some(({ ready }) => !ready) ? html`<li>${line("arc loading")}${key.loading}</li>` : nothing}
						${this.routes.length > 0 ? html`<li>${line("way")}${key.stream}</li>` : nothing}
					</ul>
					${this.#renderStreams()}
					${left > 0 ? html`<p class="muted small">${more(left)}</p>` : nothing}
				</div>
			</div>
		`;
	}
}

define("tabmesh-orbit", TabmeshOrbit);
