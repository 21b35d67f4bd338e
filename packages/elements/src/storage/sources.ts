import type { KeptSource } from "@tabmesh/client";
import { css, html, LitElement, nothing, svg } from "lit";
import { define } from "../define.ts";
import { describePeer } from "../describe.ts";
import { formatBytes } from "../format.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";

/** Sources that are named; the rest is one line, or a popular model would fill the page with peers. */
const mostNamed = 5;

/** A line of the list: one source, or all that are not named. */
interface Line {
	readonly kind: KeptSource["kind"];
	readonly label: string;
	/** The whole name, for whoever points at it. */
	readonly title: string;
	readonly bytes: number;
}

/**
 * From whom something came: a bar, and the same in words.
 *
 * @csspart sources - the whole
 */
export class TabmeshSources extends LitElement {
	static override properties = { from: { attribute: false } };
	static override styles = [
		theme,
		css`
			.sources {
				display: grid;
				gap: 0.45rem;
			}
			svg {
				display: block;
				width: 100%;
				height: 8px;
				border-radius: 4px;
				background: var(--_line);
			}
			.peer {
				--_mark: var(--_accent);
			}
			.web {
				--_mark: var(--_control);
			}
			.device {
				--_mark: var(--_ink);
			}
			.unknown {
				--_mark: var(--_line);
			}
			rect {
				fill: var(--_mark);
				stroke: var(--_surface);
				stroke-width: 2px;
				vector-effect: non-scaling-stroke;
			}
			ul {
				display: flex;
				flex-wrap: wrap;
				gap: 0.15rem 1.25rem;
			}
			li {
				display: inline-flex;
				align-items: baseline;
				gap: 0.45rem;
				min-width: 0;
			}
			li::before {
				content: "";
				flex: none;
				width: 0.6rem;
				height: 0.6rem;
				border: 1px solid var(--_control);
				border-radius: 2px;
				background: var(--_mark);
			}
			.name {
				overflow-wrap: anywhere;
			}
			@media (forced-colors: active) {
				rect {
					fill: Highlight;
				}
			}
		`,
	];
	declare from: readonly KeptSource[];

	constructor() {
		super();
		this.from = [];
	}

	#lines(): Line[] {
		const text = messages.storage.sources;
		const named = this.from.length > mostNamed + 1 ? this.from.slice(0, mostNamed) : this.from;
		const lines = named.map((source): Line => {
			if (source.kind === "peer") {
				return { ...source, label: text.peer(describePeer(source.name, undefined)), title: source.name };
			}
			if (source.kind === "web") return { ...source, label: hostOf(source.name), title: source.name };
			return { ...source, label: text[source.kind], title: "" };
		});
		const others = this.from.slice(named.length);
		if (others.length > 0) {
			const bytes = others.reduce((sum, source) => sum + source.bytes, 0);
			const kind = others.every((source) => source.kind === "web") ? "web" : "peer";
			lines.push({ kind, label: text.others(others.length), title: "", bytes });
		}
		return lines;
	}

	protected override render() {
		const lines = this.#lines();
		const all = lines.reduce((sum, { bytes }) => sum + bytes, 0);
		let at = 0;
		return html`
			<div class="sources" part="sources">
				<p id="label" class="muted small">${messages.storage.sources.label}</p>
				<svg viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">
					${lines.map(({ kind, bytes }) => {
						const width = all === 0 ? 0 : (1000 * bytes) / all;
						at += width;
						return svg`<rect class=${kind} x=${at - width} width=${width} height="8"></rect>`;
					})}
				</svg>
				<ul class="small" aria-labelledby="label">
					${lines.map(
						({ kind, label, title, bytes }) => html`
							<li class=${kind} title=${title || nothing}>
								<span class="name">${label}</span> <span class="muted">${formatBytes(bytes)}</span>
							</li>
						`,
					)}
				</ul>
			</div>
		`;
	}
}

/** What people call a place on the web. */
function hostOf(address: string): string {
	return URL.canParse(address) ? new URL(address).host : address;
}

define("tabmesh-sources", TabmeshSources);
