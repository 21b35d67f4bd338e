import { css, html, LitElement, svg } from "lit";
import { define } from "../define.ts";
import { theme } from "../theme.ts";

const width = 300;
const height = 48;

/**
 * How a figure went lately: a line without axes, as long as the time that was watched.
 *
 * @csspart trend - the drawing
 */
export class TabmeshTrend extends LitElement {
	static override properties = {
		samples: { attribute: false },
		most: { type: Number },
		label: { type: String },
	};
	static override styles = [
		theme,
		css`
			svg {
				display: block;
				width: 100%;
				height: 3rem;
			}
			.line {
				fill: none;
				stroke: var(--_accent);
				stroke-width: 2;
				stroke-linejoin: round;
				vector-effect: non-scaling-stroke;
			}
			.ground {
				fill: var(--_tint);
			}
			.base {
				stroke: var(--_line);
				vector-effect: non-scaling-stroke;
			}
		`,
	];
	/** Oldest first, at equal distances. */
	declare samples: readonly number[];
	/** How many samples the whole width is. */
	declare most: number;
	/** What the line says, in words. */
	declare label: string;

	constructor() {
		super();
		this.samples = [];
		this.most = 2;
		this.label = "";
	}

	protected override render() {
		const { samples, most } = this;
		const top = Math.max(1, ...samples);
		const first = most - samples.length;
		const points = samples.map((value, i) => {
			const x = ((first + i) * width) / Math.max(1, most - 1);
			return `${x.toFixed(1)} ${(height - 1 - (value / top) * (height - 4)).toFixed(1)}`;
		});
		const line = points.length < 2 ? "" : `M${points.join("L")}`;
		const startX = ((first * width) / Math.max(1, most - 1)).toFixed(1);
		return html`
			<svg part="trend" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label=${this.label}>
				${line === "" ? "" : svg`<path class="ground" d="${line}L${width} ${height}L${startX} ${height}z"></path>`}
				<line class="base" x1="0" x2=${width} y1=${height - 0.5} y2=${height - 0.5}></line>
				<path class="line" d=${line}></path>
			</svg>
		`;
	}
}

define("tabmesh-trend", TabmeshTrend);
