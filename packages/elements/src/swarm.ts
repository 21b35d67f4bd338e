import type { ModelView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import type { Span } from "@tabmesh/wire";
import { css, html, LitElement, nothing } from "lit";
import { define } from "./define.ts";
import { formatBytesUp } from "./format.ts";
import "./layers.ts";
import { messages } from "./language/language.ts";
import { theme } from "./theme.ts";

/** Peers that lend anything, and say that they lend this model. */
export function lendersOf(model: ModelView | undefined, members: readonly Member[]): number {
	return members.filter(({ lends }) => lends && (model === undefined || lends.models.includes(model.id)))
		.length;
}

/**
 * How much of a model the swarm holds: a bar of its layers and one line of words.
 *
 * @csspart swarm - the whole
 */
export class TabmeshSwarm extends LitElement {
	static override properties = {
		model: { attribute: false },
		members: { attribute: false },
		span: { attribute: false },
	};
	static override styles = [
		theme,
		css`
			.swarm {
				display: grid;
				gap: 0.7rem;
			}
			.head {
				display: flex;
				flex-wrap: wrap;
				justify-content: space-between;
				align-items: baseline;
				gap: 0 1rem;
			}
		`,
	];
	declare model: ModelView | undefined;
	declare members: readonly Member[];
	declare span: Span | undefined;

	constructor() {
		super();
		this.model = undefined;
		this.members = [];
		this.span = undefined;
	}

	protected override render() {
		const { model } = this;
		if (model === undefined) return nothing;
		const { coverage } = model;
		const facts = [messages.swarm.lenders(lendersOf(model, this.members))];
		if (coverage.complete) facts.push(messages.swarm.complete(Math.min(...coverage.holders)));
		else if (coverage.missingBytes > 0)
			facts.push(messages.swarm.missing(formatBytesUp(coverage.missingBytes)));
		if (coverage.loading > 0) facts.push(messages.swarm.loading(coverage.loading));
		return html`
			<div class="swarm" part="swarm">
				<div class="head"><h2>${messages.swarm.title}</h2><span class="muted small mono">${model.name}</span></div>
				<tabmesh-layers .layers=${model.layers} .holders=${coverage.holders} .span=${this.span}></tabmesh-layers>
				<p class="muted small">${facts.join(" · ")}</p>
			</div>
		`;
	}
}

define("tabmesh-swarm", TabmeshSwarm);
