import type { ModelView } from "@tabmesh/client";
import type { Member } from "@tabmesh/directory";
import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { define } from "../define.ts";
import { describePeer, describeSpan } from "../describe.ts";
import { formatBytes, formatCount, formatMs } from "../format.ts";
import { messages } from "../language/language.ts";
import { controls, theme } from "../theme.ts";

/** What a page of the table shows: a screen's height. */
const rowsAtOnce = 20;

type Column = "peer" | "layers" | "speed" | "memory" | "distance" | "streams";

/** A peer as a row of the table. */
interface Row {
	readonly member: Member;
	readonly from: number;
	/** Milliseconds per token of its first ready span; 0 where none was measured. */
	readonly ms: number;
	readonly memory: number;
	readonly distance: number;
	readonly streams: number;
}

/** Round trip in milliseconds to the nearest relay or peer that it measured; infinite where it measured none. */
function nearest({ lends }: Member): number {
	return Math.min(Number.POSITIVE_INFINITY, ...(lends?.links ?? []).map(([, rttMs]) => rttMs));
}

/**
 * Everybody in a room as a table that can be sorted and searched, a page at a time: the same for keyboards and screen readers as the map
 * is for eyes.
 *
 * @fires tabmesh-peer - `detail.peer`: the peer that was chosen
 * @csspart table - the table
 */
export class TabmeshPeers extends LitElement {
	static override properties = {
		model: { attribute: false },
		members: { attribute: false },
		peer: { type: String },
		self: { type: String },
	};
	static override styles = [
		theme,
		controls,
		css`
			:host {
				container-type: inline-size;
			}
			.peers {
				display: grid;
				grid-template-columns: minmax(0, 1fr);
				gap: 1rem;
			}
			.tools {
				display: flex;
				flex-wrap: wrap;
				justify-content: space-between;
				gap: 0.75rem 1.5rem;
			}
			input[type="search"] {
				flex: 1 1 12rem;
				max-width: 22rem;
				min-height: 44px;
				padding: 0.4rem 0.9rem;
				border: 1px solid var(--_control);
				border-radius: 10px;
				background: var(--_surface);
				color: var(--_ink);
				font: inherit;
			}
			input::placeholder {
				color: var(--_muted);
				opacity: 1;
			}
			.which {
				display: flex;
				flex-wrap: wrap;
				gap: 0.25rem;
			}
			.which button {
				border-color: transparent;
				color: var(--_muted);
				font-weight: 450;
			}
			.which button[aria-pressed="true"] {
				background: var(--_tint);
				color: var(--_ink);
			}
			table {
				width: 100%;
				border-collapse: collapse;
				font-size: 0.9375rem;
			}
			th,
			td {
				padding: 0 0.6rem;
				border-bottom: 1px solid var(--_line);
				text-align: end;
				white-space: nowrap;
			}
			th:first-child,
			td:first-child {
				padding-inline-start: 0;
			}
			th:last-child,
			td:last-child {
				padding-inline-end: 0;
			}
			.words {
				text-align: start;
				white-space: normal;
			}
			.words.peer {
				white-space: nowrap;
			}
			thead th {
				font-weight: 400;
			}
			th button {
				min-height: 44px;
				padding: 0;
				border: 0;
				border-radius: 4px;
				color: var(--_muted);
				font-size: 0.875rem;
				font-weight: 450;
			}
			th[aria-sort] button {
				color: var(--_ink);
				font-weight: 600;
			}
			tbody td {
				height: 44px;
			}
			td button {
				justify-content: start;
				padding: 0;
				border: 0;
				border-radius: 4px;
				font-family: var(--_mono);
				font-size: 0.9em;
				font-weight: 500;
				text-decoration: underline;
				text-decoration-color: var(--_line);
				text-underline-offset: 0.3em;
			}
			tr[aria-current] td {
				background: var(--_tint);
			}
			/* The mark reaches a little beyond the columns, or text would begin at its very edge. */
			tr[aria-current] td:first-child {
				box-shadow: -0.6rem 0 0 var(--_tint);
			}
			tr[aria-current] td:last-child {
				box-shadow: 0.6rem 0 0 var(--_tint);
			}
			.unit {
				color: var(--_muted);
			}
			.pages {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 0.5rem 1rem;
			}
			@container (max-width: 44rem) {
				.memory,
				.distance {
					display: none;
				}
			}
			@container (max-width: 28rem) {
				th,
				td {
					padding-inline: 0.35rem;
				}
				.which button {
					padding-inline: 0.8rem;
				}
				table,
				th button {
					font-size: 0.875rem;
				}
			}
			@container (max-width: 19rem) {
				.speed {
					display: none;
				}
			}
		`,
	];
	/** Whose layers the column shows. */
	declare model: ModelView | undefined;
	declare members: readonly Member[];
	/** The chosen peer. */
	declare peer: string;
	declare self: string;

	#sort: Column = "layers";
	#descending = false;
	#search = "";
	/** Whether everybody is listed, or those with layers of the model; as it makes sense until somebody chose. */
	#all: boolean | undefined;
	#page = 0;
	#rows: readonly Row[] = [];
	#holding = 0;

	constructor() {
		super();
		this.model = undefined;
		this.members = [];
		this.peer = "";
		this.self = "";
	}

	protected override willUpdate(changed: PropertyValues<this>): void {
		if (changed.has("model") || changed.has("members")) {
			const id = this.model?.id;
			this.#rows = this.members.map((member): Row => {
				const spans = (member.lends?.spans ?? []).filter(({ model }) => model === id);
				return {
					member,
					from: spans[0]?.from ?? Number.POSITIVE_INFINITY,
					ms: spans.find(({ ready }) => ready)?.msPerToken ?? 0,
					memory: member.lends?.memoryBytes ?? 0,
					distance: nearest(member),
					streams: member.lends?.streams ?? 0,
				};
			});
			this.#holding = this.#rows.filter(({ from }) => Number.isFinite(from)).length;
		}
		// A peer that was chosen on the map is brought before the eyes.
		if (changed.has("peer") && this.peer !== "") {
			const place = this.#listed().findIndex(({ member }) => member.peer === this.peer);
			if (place >= 0) this.#page = Math.floor(place / rowsAtOnce);
		}
	}

	get #showsAll(): boolean {
		return this.#all ?? this.#holding === 0;
	}

	#listed(): Row[] {
		const wanted = this.#search.trim().toLowerCase().replace(/^…/, "");
		const rows = this.#rows.filter(
			({ member, from }) =>
				(this.#showsAll || Number.isFinite(from)) && member.peer.toLowerCase().includes(wanted),
		);
		const key: Record<Column, (row: Row) => number> = {
			peer: () => 0,
			layers: ({ from }) => from,
			speed: ({ ms }) => (ms > 0 ? ms : Number.POSITIVE_INFINITY),
			memory: ({ memory }) => -memory,
			distance: ({ distance }) => distance,
			streams: ({ streams }) => -streams,
		};
		const of = key[this.#sort];
		const sign = this.#descending ? -1 : 1;
		// The end of an id is what people see of it.
		const tail = (row: Row): string => row.member.peer.slice(-5);
		return rows.sort((a, b) => {
			const [x, y] = [of(a), of(b)];
			const order = x === y ? 0 : x < y ? -1 : 1;
			return sign * (order || (tail(a) < tail(b) ? -1 : Number(tail(a) > tail(b))));
		});
	}

	#sortBy(column: Column): void {
		this.#descending = this.#sort === column && !this.#descending;
		this.#sort = column;
		this.#page = 0;
		this.requestUpdate();
	}

	#list(all: boolean): void {
		this.#all = all;
		this.#page = 0;
		this.requestUpdate();
	}

	#choose(peer: string): void {
		this.dispatchEvent(new CustomEvent("tabmesh-peer", { detail: { peer }, bubbles: true, composed: true }));
	}

	#holds({ member, from }: Row): string {
		const text = messages.console.peers;
		const lends = member.lends;
		if (!lends) return text.asks;
		const spans = lends.spans.filter(({ model }) => model === this.model?.id);
		const others = new Set(lends.spans.filter((span) => !spans.includes(span)).map(({ model }) => model))
			.size;
		if (!Number.isFinite(from)) return others > 0 ? text.others(others) : text.nothing;
		const held = spans.map((span) => (span.ready ? describeSpan(span) : text.loading(describeSpan(span))));
		return [held.join(", "), ...(others > 0 ? [text.andOthers(others)] : [])].join(" ");
	}

	#head(column: Column, words = false) {
		const sorted = this.#sort === column;
		const direction = this.#descending ? "descending" : "ascending";
		return html`
			<th class="${column} ${words ? "words" : ""}" scope="col" aria-sort=${sorted ? direction : nothing}>
				<button type="button" @click=${() => this.#sortBy(column)}>
					${messages.console.peers.columns[column]}${sorted ? html`<span aria-hidden="true">${this.#descending ? "↑" : "↓"}</span>` : nothing}
				</button>
			</th>
		`;
	}

	#row(row: Row) {
		const { member, ms, distance, streams } = row;
		const { lends, peer } = member;
		return html`
			<tr aria-current=${peer === this.peer ? "true" : nothing}>
				<td class="words peer">
					<button type="button" title=${peer} @click=${() => this.#choose(peer)}>${describePeer(peer, this.self)}</button>
				</td>
				<td class="words layers">${this.#holds(row)}</td>
				<td class="speed">${ms > 0 ? html`${formatMs(ms)} <span class="unit">ms</span>` : "–"}</td>
				<td class="memory">
					${lends ? html`${formatBytes(lends.memoryBytes)}` : "–"}
				</td>
				<td class="distance">${Number.isFinite(distance) ? html`${formatCount(distance)} <span class="unit">ms</span>` : "–"}</td>
				<td class="streams">${formatCount(streams)}</td>
			</tr>
		`;
	}

	protected override render() {
		const text = messages.console.peers;
		const listed = this.#listed();
		const pages = Math.max(1, Math.ceil(listed.length / rowsAtOnce));
		const page = Math.min(this.#page, pages - 1);
		const first = page * rowsAtOnce;
		const turn = (to: number) => () => {
			this.#page = to;
			this.requestUpdate();
		};
		return html`
			<div class="peers">
				<div class="tools">
					<div class="which" role="group" aria-label=${text.which}>
						${
							this.model
								? html`<button type="button" aria-pressed=${!this.#showsAll} @click=${() => this.#list(false)}>
									${text.holding(this.model.name, this.#holding)}
								</button>`
								: nothing
						}
						<button type="button" aria-pressed=${this.#showsAll} @click=${() => this.#list(true)}>${text.all(this.#rows.length)}</button>
					</div>
					<input
						type="search"
						aria-label=${text.search}
						placeholder=${text.search}
						maxlength="64"
						.value=${this.#search}
						@input=${(event: InputEvent) => {
							this.#search = (event.target as HTMLInputElement).value;
							this.#page = 0;
							this.requestUpdate();
						}}
					/>
				</div>
				${
					listed.length === 0
						? html`<p class="muted">${this.#search === "" ? text.none : text.notFound(this.#search)}</p>`
						: html`
							<table part="table" aria-label=${text.title}>
								<thead>
									<tr>
										${this.#head("peer", true)}${this.#head("layers", true)}${this.#head("speed")}${this.#head("memory")}${this.#head("distance")}${this.#head("streams")}
									</tr>
								</thead>
								<tbody>${listed.slice(first, first + rowsAtOnce).map((row) => this.#row(row))}</tbody>
							</table>
						`
				}
				${
					pages === 1
						? nothing
						: html`
							<div class="pages">
								<button type="button" ?disabled=${page === 0} @click=${turn(page - 1)}>${text.before}</button>
								<button type="button" ?disabled=${page === pages - 1} @click=${turn(page + 1)}>${text.after}</button>
								<span class="muted small" role="status">${text.page(first + 1, Math.min(first + rowsAtOnce, listed.length), listed.length)}</span>
							</div>
						`
				}
			</div>
		`;
	}
}

define("tabmesh-peers", TabmeshPeers);
