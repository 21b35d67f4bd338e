import type { ModelView, Tabmesh } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import { css, html, LitElement, nothing } from "lit";
import { define } from "../define.ts";
import { describePeer, describeSpan } from "../describe.ts";
import { formatBytes, formatDuration, formatMs } from "../format.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";

/**
 * All that one peer publishes of itself, and what this page measured of it.
 *
 * @csspart facts - the list
 */
export class TabmeshPeerFacts extends LitElement {
	static override properties = {
		member: { attribute: false },
		models: { attribute: false },
		connections: { attribute: false },
		reason: { type: String },
		self: { type: String },
	};
	static override styles = [
		theme,
		css`
			.id {
				color: var(--_muted);
				font-size: 0.8125rem;
				overflow-wrap: anywhere;
			}
			dl {
				display: grid;
				grid-template-columns: repeat(auto-fit, minmax(min(100%, 7.5rem), 1fr));
				gap: 1rem 1.25rem;
				margin-top: 1rem;
			}
			.wide {
				grid-column: 1 / -1;
			}
			dt {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			dd {
				font-weight: 550;
				overflow-wrap: anywhere;
			}
			.plain {
				font-weight: 400;
			}
			.mono {
				font-weight: 500;
			}
		`,
	];
	declare member: Member | undefined;
	/** To call the models by their names. */
	declare models: readonly ModelView[];
	/** This page's own. */
	declare connections: Tabmesh["connections"];
	/** Why it holds what it does, as the planner says. */
	declare reason: string;
	declare self: string;

	constructor() {
		super();
		this.member = undefined;
		this.models = [];
		this.connections = [];
		this.reason = "";
		this.self = "";
	}

	#name(id: string): string {
		return this.models.find((model) => model.id === id)?.name ?? messages.storage.unnamed(id);
	}

	protected override render() {
		const { member } = this;
		if (!member) return nothing;
		const { peer, kind, joined, lends } = member;
		const text = messages.console.peer;
		const connection = this.connections.find((each) => each.peer === peer);
		const fact = (name: string, value: unknown, wide = false) =>
			html`<div class=${wide ? "wide" : ""}><dt>${name}</dt><dd class=${wide ? "plain" : ""}>${value}</dd></div>`;
		const stored = lends?.stored ?? [];
		return html`
			<p class="id mono">${peer}</p>
			<dl part="facts">
				${fact(text.kind, text.kinds[kind])}
				${fact(text.since, formatDuration(Date.now() - joined))}
				${
					lends
						? [
								fact(
									text.memory,
									text.memoryOf(formatBytes(lends.freeBytes), formatBytes(lends.memoryBytes)),
								),
								fact(text.speed, text.perSecond(formatBytes(lends.bytesPerMs * 1000))),
								fact(messages.console.streams.places, lends.streams),
								fact(
									text.numerics,
									html`<span class="mono">${lends.numericsClass.replaceAll("/", "/\u200b")}</span>`,
								),
							]
						: nothing
				}
				${fact(
					text.connection,
					connection
						? text.connected(
								text.paths[connection.path],
								connection.rttMs === undefined ? undefined : formatMs(connection.rttMs),
							)
						: text.notConnected,
				)}
				${
					lends && lends.spans.length > 0
						? fact(
								text.holds,
								lends.spans.map(
									(span) => html`<div>
										${this.#name(span.model)}: ${span.ready ? describeSpan(span) : messages.console.peers.loading(describeSpan(span))}${span.msPerToken > 0 ? `, ${text.perToken(formatMs(span.msPerToken))}` : ""}
									</div>`,
								),
								true,
							)
						: nothing
				}
				${
					stored.length > 0
						? fact(
								text.stored,
								stored.map(
									({ model, from, to }) =>
										html`<div>${this.#name(model)}: ${describeSpan({ from, to, embed: false, head: false })}</div>`,
								),
								true,
							)
						: nothing
				}
				${
					lends?.links?.length
						? fact(
								text.links,
								lends.links
									.map(([other, rttMs, turn]) => text.link(describePeer(other, this.self), rttMs, turn))
									.join(", "),
								true,
							)
						: nothing
				}
				${this.reason === "" ? nothing : fact(text.reason, this.reason, true)}
			</dl>
		`;
	}
}

define("tabmesh-peer-facts", TabmeshPeerFacts);
