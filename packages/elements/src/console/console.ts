import type { Explanation, ModelView, Tabmesh } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import "../cannot.ts";
import type { Connect } from "../connection.ts";
import { define } from "../define.ts";
import { describeError, describePeer } from "../describe.ts";
import { formatBytes, formatBytesUp, formatCount } from "../format.ts";
import { lacksFor } from "../lacks.ts";
import { messages } from "../language/language.ts";
import "../layers.ts";
import "../notice.ts";
import "./peerFacts.ts";
import "./peers.ts";
import "../progress.ts";
import type { RelayFigures, RelayReading } from "./relayFacts.ts";
import "./relayFacts.ts";
import { lendersOf } from "../swarm.ts";
import "./swarmMap.ts";
import { controls, theme } from "../theme.ts";
import "./trend.ts";
import { type LoggedTrouble, logTrouble } from "./troubles.ts";

export type { RelayFigures, RelayReading };

/** What peers publish, at one moment. */
export type SwarmView = Pick<Tabmesh, "peer" | "room" | "models" | "members" | "connections">;

/** At most so often what peers publish is drawn anew: whoever reads figures wants them to stand still. */
const drawMs = 500;
/** Of the time at most this share is spent on it: in a very large swarm it is drawn less often. */
const drawShare = 0.1;
/** How often load is noted down, and for how long: five minutes. */
const sampleMs = 2_000;
const mostSamples = 150;
/** A relay's figures are for people, not for alarms. */
const relayMs = 10_000;
const busiestNamed = 5;
const mostReasons = 12;
/** So many models have room above the map on a phone. */
const fewModels = 3;

/**
 * What a swarm does, for whoever runs a part of it or wants to know: who is there, which layers are held how often, why, how busy
 * everybody is, how the relay is, and what went wrong on this page. It only shows what peers publish: it lends nothing and asks nothing.
 *
 * @fires tabmesh-look - `detail`: `model` and `peer` that are looked at now, and `room` where another is wanted; for the page's address
 * @csspart panel - every box
 */
export class TabmeshConsole extends LitElement {
	static override properties = {
		tabmesh: { attribute: false },
		connect: { attribute: false },
		view: { attribute: false },
		readRelay: { attribute: false },
		model: { type: String },
		peer: { type: String },
	};
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
			}
			.console {
				display: grid;
				gap: clamp(1.25rem, 0.8rem + 1.6cqi, 2rem);
			}
			.panel {
				display: grid;
				align-content: start;
				gap: 1.1rem;
				min-width: 0;
			}
			.head {
				display: flex;
				flex-wrap: wrap;
				justify-content: space-between;
				align-items: baseline;
				gap: 0.1rem 1.25rem;
			}
			.sums {
				display: grid;
				grid-template-columns: repeat(2, minmax(0, 1fr));
				gap: 1.25rem 1.5rem;
			}
			.sums > div {
				display: flex;
				flex-direction: column-reverse;
				justify-content: start;
			}
			dt {
				color: var(--_muted);
				font-size: 0.875rem;
			}
			dd {
				font-size: 1.5rem;
				font-weight: 600;
				line-height: 1.25;
				letter-spacing: -0.015em;
			}
			dd small {
				color: var(--_muted);
				font-size: 0.8125rem;
				font-weight: 400;
				letter-spacing: 0;
			}
			.two {
				display: grid;
				gap: inherit;
			}
			.models {
				display: grid;
				align-content: start;
				gap: 0.4rem;
				min-width: 0;
			}
			.models h2 {
				padding-inline-start: 1rem;
			}
			.models ul {
				display: grid;
				gap: 0.4rem;
			}
			.models button {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				justify-content: stretch;
				gap: 0.45rem;
				width: 100%;
				padding: 0.8rem 1rem;
				border-color: transparent;
				border-radius: var(--_radius);
				font-weight: 450;
				text-align: start;
			}
			.models button[aria-pressed="true"] {
				border-color: var(--_line);
				background: var(--_surface);
			}
			.models .name {
				font-weight: 550;
				overflow-wrap: anywhere;
			}
			.models tabmesh-layers {
				--tabmesh-layers-height: 1.1rem;
			}
			/* Where there is no room beside the map, many models are a list of names. */
			@container (max-width: 55.99rem) {
				.many button {
					gap: 0;
					padding-block: 0.5rem;
				}
				.many tabmesh-layers {
					display: none;
				}
			}
			.lack {
				color: var(--_danger);
			}
			summary {
				width: fit-content;
				padding: 0.6rem 0;
				color: var(--_muted);
				cursor: pointer;
			}
			.why,
			.why ul {
				display: grid;
				gap: 0.8rem;
			}
			.busiest li {
				display: flex;
				justify-content: space-between;
				gap: 1rem;
				padding: 0.35rem 0;
			}
			.busiest li + li {
				border-top: 1px solid var(--_line);
			}
			.room {
				display: flex;
				flex-wrap: wrap;
				gap: 0.6rem;
				padding-bottom: 0.4rem;
			}
			.room input {
				flex: 1 1 14rem;
				max-width: 24rem;
				min-height: 44px;
				padding: 0.4rem 0.9rem;
				border: 1px solid var(--_control);
				border-radius: 10px;
				background: var(--_surface);
				color: var(--_ink);
				font: inherit;
			}
			.close {
				margin-inline-end: -1.1rem;
			}
			.wait {
				max-width: 24rem;
			}
			@container (min-width: 34rem) {
				.sums {
					grid-template-columns: repeat(4, minmax(0, 1fr));
				}
			}
			@container (min-width: 56rem) {
				.overview {
					display: grid;
					grid-template-columns: minmax(0, 17rem) minmax(0, 1fr);
					align-items: start;
					gap: inherit;
				}
				.two {
					grid-template-columns: repeat(2, minmax(0, 1fr));
				}
			}
			.overview {
				display: grid;
				gap: inherit;
			}
		`,
	];
	/** An open network, where the app has one. */
	declare tabmesh: Tabmesh | undefined;
	/** Opens one, as soon as the element is on a page: looking costs nobody anything. */
	declare connect: Connect | undefined;
	/** What to show, without any network. */
	declare view: SwarmView | undefined;
	/** Asks the page's relay how it is; without it nothing is said of relays. */
	declare readRelay: ((signal: AbortSignal) => Promise<RelayReading>) | undefined;
	/** Id or name of the model that is looked at; the network's default if empty. */
	declare model: string;
	/** Peer id that is looked at, if any. */
	declare peer: string;

	#status: "idle" | "connecting" | "open" | "failed" = "idle";
	#error: unknown;
	#log: readonly LoggedTrouble[] = [];
	#relay: RelayReading | undefined;
	#samples: readonly number[] = [];
	#showsWhy = false;
	/** What the planner said last, of which view and model. */
	#explained: { view: SwarmView; model: string; reasons: readonly Explanation[] } | undefined;
	#drawAt: ReturnType<typeof setTimeout> | undefined;
	#sampling: ReturnType<typeof setInterval> | undefined;
	#asking: ReturnType<typeof setInterval> | undefined;
	/** Ends with the element's life on the page. */
	#living = new AbortController();
	#listened: Tabmesh | undefined;

	constructor() {
		super();
		this.tabmesh = undefined;
		this.connect = undefined;
		this.view = undefined;
		this.readRelay = undefined;
		this.model = "";
		this.peer = "";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		this.#living = new AbortController();
		this.#listen(this.tabmesh);
		this.#sampling = setInterval(() => this.#sample(), sampleMs);
		this.#asking = setInterval(() => void this.#askRelay(), relayMs);
		document.addEventListener("visibilitychange", this.#onVisible);
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		this.#living.abort();
		this.#listen(undefined);
		clearInterval(this.#sampling);
		clearInterval(this.#asking);
		clearTimeout(this.#drawAt);
		this.#drawAt = undefined;
		document.removeEventListener("visibilitychange", this.#onVisible);
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("tabmesh")) {
			this.#listen(this.tabmesh);
			if (this.tabmesh) {
				this.#status = "open";
				this.#look();
			}
		}
		if (changed.has("connect") && this.connect && !this.tabmesh && lacksFor("look").length === 0)
			void this.#open();
		if (changed.has("readRelay")) void this.#askRelay();
	}

	/** Events of a network, until another is given. */
	#listen(tabmesh: Tabmesh | undefined): void {
		for (const [type, listener] of [
			["swarm", this.#onSwarm],
			["connections", this.#onSwarm],
		] as const) {
			this.#listened?.removeEventListener(type, listener);
			tabmesh?.addEventListener(type, listener);
		}
		this.#listened?.removeEventListener("notice", this.#onNotice);
		tabmesh?.addEventListener("notice", this.#onNotice);
		this.#listened = tabmesh;
	}

	readonly #onNotice = ({ detail }: CustomEvent<unknown>) => this.#note(detail);
	readonly #onSwarm = () => {
		this.#drawAt ??= setTimeout(() => this.#look(), drawMs);
	};
	readonly #onVisible = () => {
		if (document.visibilityState === "visible") this.#onSwarm();
	};

	async #open(): Promise<void> {
		const { signal } = this.#living;
		this.#status = "connecting";
		this.#error = undefined;
		this.requestUpdate();
		try {
			const tabmesh = await this.connect!(signal);
			if (!signal.aborted) this.tabmesh = tabmesh;
		} catch (error) {
			if (signal.aborted) return;
			this.#status = "failed";
			this.#error = error;
			this.#note(error);
		}
	}

	#note(error: unknown): void {
		this.#log = logTrouble(this.#log, error, Date.now());
		this.requestUpdate();
	}

	/** Takes what peers publish now. Nobody looks at a hidden page: it is drawn when it is shown again. */
	#look(): void {
		clearTimeout(this.#drawAt);
		this.#drawAt = undefined;
		const { tabmesh } = this;
		if (!tabmesh || document.visibilityState === "hidden") return;
		const began = performance.now();
		const { peer, room, models, members, connections } = tabmesh;
		this.view = { peer, room, models, members, connections };
		void this.updateComplete.then(() => {
			const pause = (performance.now() - began) / drawShare;
			if (pause > drawMs) this.#drawAt ??= setTimeout(() => this.#look(), pause);
		});
	}

	#sample(): void {
		if (!this.view) return;
		this.#samples = [...this.#samples, placesTaken(this.view.members)].slice(-mostSamples);
		if (document.visibilityState === "visible") this.requestUpdate();
	}

	async #askRelay(): Promise<void> {
		if (!this.readRelay || document.visibilityState === "hidden") return;
		const { signal } = this.#living;
		try {
			this.#relay = await this.readRelay(AbortSignal.any([signal, AbortSignal.timeout(relayMs)]));
		} catch (error) {
			if (signal.aborted) return;
			this.#relay = undefined;
			this.#note(error);
		}
		this.requestUpdate();
	}

	get #model(): ModelView | undefined {
		const models = this.view?.models ?? [];
		return models.find(({ id, name }) => id === this.model || name === this.model) ?? models[0];
	}

	/** The plan is worked out only while somebody reads of it, and once for each view: of hundreds of peers it takes tens of milliseconds. */
	#reasons(model: string): readonly Explanation[] {
		const { tabmesh, view } = this;
		if (!tabmesh || !view) return [];
		if (this.#explained?.view !== view || this.#explained.model !== model)
			this.#explained = { view, model, reasons: tabmesh.explain(model) };
		return this.#explained.reasons;
	}

	#show(detail: { model?: string; peer?: string; room?: string }): void {
		if (detail.model !== undefined) this.model = detail.model;
		if (detail.peer !== undefined) this.peer = detail.peer;
		this.dispatchEvent(
			new CustomEvent("tabmesh-look", {
				detail: { model: this.model, peer: this.peer, ...detail },
				bubbles: true,
				composed: true,
			}),
		);
	}

	async #choosePeer({ detail }: CustomEvent<{ peer: string }>): Promise<void> {
		this.#show({ peer: detail.peer === this.peer ? "" : detail.peer });
		await this.updateComplete;
		this.renderRoot.querySelector<HTMLElement>("#chosen")?.focus();
	}

	#closePeer(): void {
		this.#show({ peer: "" });
		this.renderRoot.querySelector<HTMLElement>("#peers")?.focus();
	}

	#changeRoom(event: SubmitEvent): void {
		event.preventDefault();
		const room = new FormData(event.target as HTMLFormElement).get("room");
		if (typeof room === "string" && room.trim() !== "") this.#show({ room: room.trim(), peer: "" });
	}

	#renderSums({ members, models }: SwarmView) {
		const text = messages.console.sums;
		const lends = members.flatMap(({ lends }) => lends ?? []);
		const sum = (of: (one: (typeof lends)[number]) => number) => lends.reduce((all, one) => all + of(one), 0);
		const whole = models.filter(({ coverage }) => coverage.complete).length;
		return html`
			<dl class="sums">
				<div><dt>${text.lenders}</dt><dd>${formatCount(lendersOf(undefined, members))}</dd></div>
				<div>
					<dt>${text.memory}</dt>
					<dd>${formatBytes(sum(({ memoryBytes }) => memoryBytes))} <small>${text.free(formatBytes(sum(({ freeBytes }) => freeBytes)))}</small></dd>
				</div>
				<div><dt>${text.whole}</dt><dd>${formatCount(whole)} <small>${text.of(models.length)}</small></dd></div>
				<div><dt>${messages.console.streams.places}</dt><dd>${formatCount(placesTaken(members))}</dd></div>
			</dl>
		`;
	}

	#modelLine({ coverage, layers }: ModelView) {
		const text = messages.console.models;
		if (coverage.complete) return text.copies(Math.min(...coverage.holders), Math.max(...coverage.holders));
		const held = coverage.holders.filter((count) => count > 0).length;
		const line = [text.held(held, layers)];
		if (coverage.missingBytes > 0) line.push(messages.swarm.missing(formatBytesUp(coverage.missingBytes)));
		return html`<span class="lack">${line.join(" · ")}</span>`;
	}

	#renderModels({ models }: SwarmView, shown: ModelView) {
		const text = messages.console.models;
		return html`
			<section class="models" aria-labelledby="models">
				<h2 id="models">${text.title}</h2>
				<ul class=${models.length > fewModels ? "many" : ""}>
					${models.map(
						(model) => html`
							<li>
								<button type="button" aria-pressed=${model === shown} @click=${() => this.#show({ model: model.name })}>
									<span class="name">${model.name}</span>
									<tabmesh-layers .layers=${model.layers} .holders=${model.coverage.holders}></tabmesh-layers>
									<span class="muted small">${this.#modelLine(model)}</span>
								</button>
							</li>
						`,
					)}
				</ul>
			</section>
		`;
	}

	#renderMap({ members, peer }: SwarmView, model: ModelView) {
		const text = messages.console;
		const { coverage } = model;
		const facts = [
			text.models.layers(model.layers),
			formatBytes(model.sourceBytes),
			text.models.context(formatCount(model.contextLength)),
			...(model.license ? [model.license] : []),
		];
		const held = members.some(({ lends }) => lends?.spans.some((span) => span.model === model.id));
		return html`
			<section class="panel" part="panel" aria-labelledby="map">
				<div class="head">
					<h2 id="map">${text.map.title(model.name)}</h2>
					<span class="muted small">${facts.join(" · ")}</span>
				</div>
				<tabmesh-swarm-map .model=${model} .members=${members} .peer=${this.peer} .self=${peer} @tabmesh-peer=${this.#choosePeer}></tabmesh-swarm-map>
				${held ? nothing : html`<p class="muted">${text.map.nobody}</p>`}
				${coverage.loading > 0 ? html`<p class="muted small">${messages.swarm.loading(coverage.loading)}</p>` : nothing}
				${this.#renderWhy(members, peer, model)}
			</section>
		`;
	}

	#renderWhy(members: readonly Member[], self: string, model: ModelView) {
		const text = messages.console.why;
		if (!this.tabmesh || lendersOf(model, members) === 0) return nothing;
		const reasons = this.#showsWhy ? this.#reasons(model.id) : [];
		return html`
			<details
				?open=${this.#showsWhy}
				@toggle=${(event: Event) => {
					this.#showsWhy = (event.target as HTMLDetailsElement).open;
					this.requestUpdate();
				}}
			>
				<summary>${text.title}</summary>
				<div class="why">
					<p class="muted small">${messages.lend.whyHow}</p>
					<ul class="small">
						${reasons
							.slice(0, mostReasons)
							.map(
								({ peer, text }) =>
									html`<li><span class="mono">${describePeer(peer, self)}</span> ${text}</li>`,
							)}
					</ul>
					${reasons.length > mostReasons ? html`<p class="muted small">${text.more(reasons.length - mostReasons)}</p>` : nothing}
				</div>
			</details>
		`;
	}

	#renderPeers({ members, models, connections, peer: self }: SwarmView, model: ModelView | undefined) {
		const text = messages.console.peers;
		const chosen = members.find(({ peer }) => peer === this.peer);
		const reason =
			chosen?.lends && model ? this.#reasons(model.id).find(({ peer }) => peer === chosen.peer)?.text : "";
		return html`
			${
				this.peer === ""
					? nothing
					: html`
						<section class="panel" part="panel" aria-labelledby="chosen">
							<div class="head">
								<h2 id="chosen" tabindex="-1">${messages.console.peer.title(describePeer(this.peer, self))}</h2>
								<button class="quiet close" type="button" @click=${this.#closePeer}>${messages.console.peer.close}</button>
							</div>
							${
								chosen
									? html`<tabmesh-peer-facts .member=${chosen} .models=${models} .connections=${connections} .reason=${reason ?? ""} .self=${self}></tabmesh-peer-facts>`
									: html`<p class="muted">${messages.console.peer.gone}</p>`
							}
						</section>
					`
			}
			<section class="panel" part="panel" aria-labelledby="peers">
				<h2 id="peers" tabindex="-1">${text.title}</h2>
				<tabmesh-peers .model=${model} .members=${members} .peer=${this.peer} .self=${self} @tabmesh-peer=${this.#choosePeer}></tabmesh-peers>
			</section>
		`;
	}

	#renderStreams({ members, peer: self }: SwarmView) {
		const text = messages.console.streams;
		const busy = members
			.flatMap(({ peer, lends }) => (lends && lends.streams > 0 ? [{ peer, streams: lends.streams }] : []))
			.sort((a, b) => b.streams - a.streams || (a.peer < b.peer ? -1 : 1));
		const now = placesTaken(members);
		const most = Math.max(now, ...this.#samples);
		return html`
			<section class="panel" part="panel" aria-labelledby="streams">
				<div class="head">
					<h2 id="streams">${text.title}</h2>
					<span class="muted small">${text.computing(busy.length, lendersOf(undefined, members))}</span>
				</div>
				<tabmesh-trend
					.samples=${this.#samples}
					.most=${mostSamples}
					.label=${text.trend(now, most)}
				></tabmesh-trend>
				${
					busy.length === 0
						? html`<p class="muted">${text.quiet}</p>`
						: html`
							<ul class="busiest small" aria-label=${text.busiest}>
								${busy
									.slice(0, busiestNamed)
									.map(
										({ peer, streams }) =>
											html`<li><span class="mono">${describePeer(peer, self)}</span><span>${messages.console.answers(streams)}</span></li>`,
									)}
							</ul>
						`
				}
				<p class="muted small">${text.how}</p>
			</section>
		`;
	}

	#renderRest() {
		const text = messages.console;
		return html`
			<div class="two">
				${
					this.readRelay
						? html`
							<section class="panel" part="panel" aria-labelledby="relay">
								<h2 id="relay">${text.relay.title}</h2>
								<tabmesh-relay-facts .reading=${this.#relay} .members=${this.view?.members ?? []}></tabmesh-relay-facts>
							</section>
						`
						: nothing
				}
				${this.view ? this.#renderStreams(this.view) : nothing}
			</div>
			<section class="panel" part="panel" aria-labelledby="troubles">
				<h2 id="troubles">${text.troubles.title}</h2>
				<tabmesh-troubles .log=${this.#log}></tabmesh-troubles>
				<p class="muted small">${text.troubles.how}</p>
			</section>
		`;
	}

	#renderNetwork() {
		const { view } = this;
		const text = messages.console;
		if (!view) {
			if (lacksFor("look").length > 0) return html`<tabmesh-cannot purpose="look"></tabmesh-cannot>`;
			if (this.#status === "failed") {
				const { what, steps } = describeError(this.#error);
				return html`
					<tabmesh-notice tone="trouble" heading=${text.failed} text=${what} .steps=${steps}>
						<div class="row"><button type="button" @click=${() => void this.#open()}>${messages.tryAgain}</button></div>
					</tabmesh-notice>
				`;
			}
			return this.#status === "connecting"
				? html`<div class="wait"><p class="muted" role="status">${text.connecting}</p><tabmesh-progress label=${text.connecting}></tabmesh-progress></div>`
				: nothing;
		}
		const model = this.#model;
		const lenders = lendersOf(undefined, view.members);
		return html`
			${this.#renderSums(view)}
			${model ? nothing : html`<tabmesh-notice heading=${messages.chat.noModels.title} text=${messages.chat.noModels.text}></tabmesh-notice>`}
			${
				lenders === 0
					? html`<tabmesh-notice heading=${messages.chat.noPeers.title} text=${text.noPeers}></tabmesh-notice>`
					: nothing
			}
			${model ? html`<div class="overview">${this.#renderModels(view, model)}${this.#renderMap(view, model)}</div>` : nothing}
			${view.members.length === 0 && this.peer === "" ? nothing : this.#renderPeers(view, model)}
		`;
	}

	protected override render() {
		const text = messages.console;
		const { view } = this;
		return html`
			<div class="console">
				<header>
					<h1>${text.title}</h1>
					<p class="lede">${text.lede}</p>
					${
						view
							? html`
								<details>
									<summary>${text.room.title(view.room)}</summary>
									<form class="room" @submit=${this.#changeRoom}>
										<input name="room" aria-label=${text.room.label} placeholder=${text.room.label} maxlength="128" autocomplete="off" />
										<button type="submit">${text.room.go}</button>
									</form>
								</details>
							`
							: nothing
					}
				</header>
				${this.#renderNetwork()}
				${this.#renderRest()}
			</div>
		`;
	}
}

/** Of all peers together: an answer takes one at each peer of its ring. */
function placesTaken(members: readonly Member[]): number {
	return members.reduce((sum, { lends }) => sum + (lends?.streams ?? 0), 0);
}

define("tabmesh-console", TabmeshConsole);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-console": TabmeshConsole;
	}
	interface HTMLElementEventMap {
		"tabmesh-look": CustomEvent<{ readonly model?: string; readonly peer?: string; readonly room?: string }>;
	}
}
