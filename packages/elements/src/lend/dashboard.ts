import type { DeviceHistory, LenderView, Tabmesh } from "@tabmesh/client";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { define } from "../define.ts";
import { formatBytes, formatCount, formatDate, formatDuration, formatMs } from "../format.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";
import { HistoryWatch } from "./historyWatch.ts";

/** How often "the last hour" moves on when nothing else does. */
const clockMs = 30_000;

/**
 * What this tab does now, and what this device did today and ever, in figures.
 *
 * @csspart figures - those of now
 * @csspart sums - those of today and ever
 */
export class TabmeshDashboard extends LitElement {
	static override properties = {
		view: { attribute: false },
		tabmesh: { attribute: false },
		history: { attribute: false },
	};
	static override styles = [
		theme,
		css`
			:host {
				container-type: inline-size;
			}
			dl {
				display: grid;
				grid-template-columns: repeat(2, minmax(0, 1fr));
				gap: 1.25rem 1.5rem;
			}
			dl > div {
				display: flex;
				flex-direction: column-reverse;
				justify-content: start;
			}
			.sums {
				margin-top: 1.25rem;
				padding-top: 1.25rem;
				border-top: 1px solid var(--_line);
			}
			.sums > div {
				flex-direction: column;
			}
			.sums p {
				color: var(--_muted);
				font-size: 0.8125rem;
				font-weight: 400;
				letter-spacing: 0;
			}
			dt {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			dd {
				font-size: 1.25rem;
				font-weight: 600;
				line-height: 1.3;
				letter-spacing: -0.01em;
			}
			dd small {
				color: var(--_muted);
				font-size: 0.8125rem;
				font-weight: 400;
				letter-spacing: 0;
			}
			@container (max-width: 31.99rem) {
				.sums > :last-child {
					grid-column: 1 / -1;
				}
			}
			@container (min-width: 32rem) {
				dl {
					grid-template-columns: repeat(3, minmax(0, 1fr));
				}
			}
		`,
	];
	declare view: LenderView | undefined;
	declare tabmesh: Tabmesh | undefined;
	declare history: DeviceHistory | undefined;

	readonly #history = new HistoryWatch(this);
	#clock: ReturnType<typeof setInterval> | undefined;

	constructor() {
		super();
		this.view = undefined;
		this.tabmesh = undefined;
		this.history = undefined;
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.tabmesh?.addEventListener("connections", this.#onConnections);
		this.#clock = setInterval(this.#history.look, clockMs);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.tabmesh?.removeEventListener("connections", this.#onConnections);
		clearInterval(this.#clock);
	}

	readonly #onConnections = (): void => this.requestUpdate();

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("tabmesh")) {
			changed.get("tabmesh")?.removeEventListener("connections", this.#onConnections);
			this.tabmesh?.addEventListener("connections", this.#onConnections);
		}
		this.#history.use(this.history);
	}

	#renderSums() {
		const { view } = this.#history;
		const text = messages.lend;
		if (view === undefined || view.ever.since === undefined) return nothing;
		const { lastHour, today } = view;
		const { tokens, minutes, since } = view.ever;
		const sum = (name: string, value: string, line: string) =>
			html`<div><dt>${name}</dt><dd>${value}<p>${line}</p></dd></div>`;
		return html`
			<dl class="sums" part="sums">
				${sum(text.figures.lastHour, text.minutes(lastHour), text.servedOfHour)}
				${sum(
					text.figures.today,
					text.tokens(formatCount(today.tokens)),
					text.servedFor(formatDuration(today.minutes * 60_000)),
				)}
				${sum(
					text.figures.ever,
					text.tokens(formatCount(tokens)),
					text.servedSince(
						formatDuration(minutes * 60_000),
						formatDate(new Date(`${since}T12:00`).getTime()),
					),
				)}
			</dl>
		`;
	}

	protected override render() {
		const { view, tabmesh } = this;
		if (view === undefined) return nothing;
		const text = messages.lend.figures;
		// A line to a relay is no peer that one works with.
		const peers = tabmesh?.connections.filter(({ path }) => path !== "socket").length ?? 0;
		const backend = view.backend === undefined ? "–" : messages.lend.backendNames[view.backend];
		const threads = view.backend === "webgpu" ? undefined : messages.lend.threadCount(view.threads);
		const memory = view.bitsPerWeight === undefined ? text.memory : text.memoryIn(view.bitsPerWeight);
		const figure = (name: string, value: string, extra?: string) =>
			html`<div><dt>${name}</dt><dd>${value}${extra === undefined ? nothing : html` <small>${extra}</small>`}</dd></div>`;
		return html`
			<dl class="figures" part="figures">
				${figure(text.streams, formatCount(view.streams))}
				${figure(text.tokens, formatCount(view.tokensServed))}
				${figure(text.ms, formatMs(view.msPerToken), view.msPerToken > 0 ? messages.lend.msUnit : undefined)}
				${figure(text.peers, formatCount(peers))}
				${figure(memory, formatBytes(view.usedBytes), messages.lend.ofMemory(formatBytes(view.memoryBytes)))}
				${figure(text.backend, backend, threads)}
			</dl>
			${this.#renderSums()}
		`;
	}
}

define("tabmesh-dashboard", TabmeshDashboard);
