import type { Span } from "@tabmesh/wire";
import { css, html, LitElement } from "lit";
import { define } from "./define.ts";
import { describeSpan } from "./describe.ts";
import { messages } from "./language/language.ts";
import { theme } from "./theme.ts";

/**
 * The whole model as one bar, a cell for each layer from first to last: hollow where nobody holds it, filled where
 * somebody does, taller where it is held twice, in the accent where this tab does.
 *
 * @csspart bar - the row of cells
 */
export class TabmeshLayers extends LitElement {
	static override properties = {
		layers: { type: Number },
		holders: { attribute: false },
		span: { attribute: false },
	};
	static override styles = [
		theme,
		css`
			.bar {
				display: flex;
				align-items: end;
				gap: clamp(1px, 0.6cqi, 4px);
				height: var(--tabmesh-layers-height, 2.1rem);
			}
			:host {
				container-type: inline-size;
			}
			.cell {
				flex: 1 1 0;
				min-width: 0;
				height: 62%;
				border-radius: 3px;
				background: transparent;
				box-shadow: inset 0 0 0 1.5px var(--_control);
			}
			.many {
				gap: 0;
			}
			.many .cell {
				border-radius: 0;
				box-shadow: inset 0 -2px 0 0 var(--_control);
			}
			.cell.held {
				background: color-mix(in oklab, var(--_accent) 42%, var(--_surface));
				box-shadow: none;
			}
			.cell.spare {
				height: 100%;
			}
			.cell.own {
				background: var(--_accent);
				box-shadow: none;
			}
			@media (forced-colors: active) {
				.cell {
					border: 1px solid;
				}
				.cell.held {
					background: GrayText;
				}
				.cell.own {
					background: Highlight;
				}
			}
		`,
	];
	declare layers: number;
	/** For each layer, how many ready peers hold it. */
	declare holders: readonly number[];
	/** What this tab holds of it. */
	declare span: Span | undefined;

	constructor() {
		super();
		this.layers = 0;
		this.holders = [];
		this.span = undefined;
	}

	#label(): string {
		const sentences: string[] = [];
		if (this.holders.length > 0) {
			const held = this.holders.filter((count) => count > 0).length;
			sentences.push(messages.layers.coverage(held, this.layers));
		}
		if (this.span) sentences.push(messages.layers.held(describeSpan(this.span), this.layers));
		return sentences.join(" ");
	}

	protected override render() {
		const cells = Array.from({ length: this.layers }, (_, layer) => {
			const count = this.holders[layer] ?? 0;
			const own = this.span !== undefined && layer >= this.span.from && layer < this.span.to;
			const kinds = ["cell", count > 0 ? "held" : "", count > 1 ? "spare" : "", own ? "own" : ""];
			return html`<div class=${kinds.join(" ")} title=${messages.swarm.layer(layer + 1, count)}></div>`;
		});
		return html`<div class="bar ${this.layers > 40 ? "many" : ""}" part="bar" role="img" aria-label=${this.#label()}>${cells}</div>`;
	}
}

define("tabmesh-layers", TabmeshLayers);
