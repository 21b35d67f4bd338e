import type { Member } from "@tabmesh/directory";
import { css, html, LitElement, nothing } from "lit";
import { define } from "../define.ts";
import { describePeer } from "../describe.ts";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";

/** What a relay's metrics say; a figure that it does not give is missing. */
export interface RelayFigures {
	/** WebSockets open now. */
	readonly sockets?: number;
	/** Circuit relay reservations held now. */
	readonly reservations?: number;
	/** WebSockets refused since it started. */
	readonly refusedSockets?: number;
	/** Gossip messages passed on, and those that were dropped, since it started. */
	readonly messages?: number;
	readonly refusedMessages?: number;
	readonly memoryBytes?: number;
	/** Milliseconds since 1970. */
	readonly started?: number;
	/** How late its timers are at worst (the 99th of 100), in milliseconds. */
	readonly lagMs?: number;
}

/** How a relay is, as it answered itself. */
export interface RelayReading {
	readonly host: string;
	readonly peer: string;
	/** `draining`: it is stopping and takes nobody new. */
	readonly status: "ok" | "draining";
	/** How long it took to answer. */
	readonly answeredMs: number;
	/** Undefined where it shows them to its own machine only. */
	readonly figures: RelayFigures | undefined;
}

/**
 * How this page's relay is: what it says itself, and how far peers measured it to be.
 *
 * @csspart facts - the figures
 */
export class TabmeshRelayFacts extends LitElement {
	static override properties = { reading: { attribute: false }, members: { attribute: false } };
	static override styles = [
		theme,
		css`
			.relay {
				display: grid;
				gap: 1rem;
			}
			.state {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 0.2rem 0.6rem;
			}
			.state::before {
				content: "";
				width: 0.6rem;
				height: 0.6rem;
				border-radius: 50%;
				background: var(--_accent);
			}
			.state.draining::before {
				background: var(--_danger);
			}
			dl {
				display: grid;
				grid-template-columns: repeat(2, minmax(0, 1fr));
				gap: 1rem 1.5rem;
			}
			dl > div {
				display: flex;
				flex-direction: column-reverse;
				justify-content: start;
			}
			dt {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			dd {
				font-size: 1.125rem;
				font-weight: 600;
				letter-spacing: -0.01em;
			}
			small {
				color: var(--_muted);
				font-size: 0.8125rem;
				font-weight: 400;
				letter-spacing: 0;
			}
		`,
	];
	declare reading: RelayReading | undefined;
	declare members: readonly Member[];

	constructor() {
		super();
		this.reading = undefined;
		this.members = [];
	}

	/** The middle of what peers measured to it, and how many did. */
	#distance(relay: string): { ms: number; peers: number } | undefined {
		const measured = this.members
			.flatMap(({ lends }) => lends?.links?.find(([peer]) => peer === relay)?.[1] ?? [])
			.sort((a, b) => a - b);
		const ms = measured[Math.floor(measured.length / 2)];
		return ms === undefined ? undefined : { ms, peers: measured.length };
	}

	protected override render() {
		const text = messages.console.relay;
		const { reading } = this;
		if (!reading) return html`<p class="muted">${text.looking}</p>`;
		const { figures, status } = reading;
		const distance = this.#distance(reading.peer);
		const count = (value: number | undefined) => (value === undefined ? undefined : formatCount(value));
		const facts: [name: string, value: string | undefined, more?: string | undefined][] = [
			[text.answered, `${formatCount(reading.answeredMs)} ms`],
			[
				text.distance,
				distance && `${formatCount(distance.ms)} ms`,
				distance && text.measured(distance.peers),
			],
			[text.sockets, count(figures?.sockets)],
			[text.reservations, count(figures?.reservations)],
			[text.messages, count(figures?.messages)],
			[text.refused, figures && count((figures.refusedSockets ?? 0) + (figures.refusedMessages ?? 0))],
			[text.memory, figures?.memoryBytes === undefined ? undefined : formatBytes(figures.memoryBytes)],
			[text.lag, figures?.lagMs === undefined ? undefined : `${formatCount(figures.lagMs)} ms`],
			[text.up, figures?.started === undefined ? undefined : formatDuration(Date.now() - figures.started)],
		];
		return html`
			<div class="relay">
				<p class="state ${status}">
					<strong>${text.status[status]}</strong>
					<span class="muted small">${reading.host} · <span class="mono">${describePeer(reading.peer, undefined)}</span></span>
				</p>
				<dl part="facts">
					${facts.map(([name, value, more]) => (value === undefined ? nothing : html`<div><dt>${name}</dt><dd>${value} ${more ? html`<small>${more}</small>` : nothing}</dd></div>`))}
				</dl>
				${figures ? nothing : html`<p class="muted small">${text.closed}</p>`}
			</div>
		`;
	}
}

define("tabmesh-relay-facts", TabmeshRelayFacts);
