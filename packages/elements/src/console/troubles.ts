import { css, html, LitElement, nothing } from "lit";
import { define } from "../define.ts";
import { describeError } from "../describe.ts";
import { messages } from "../language/language.ts";
import { theme } from "../theme.ts";

/** Something that went wrong on this page, and how often. */
export interface LoggedTrouble {
	readonly error: unknown;
	/** The latest time, in milliseconds since 1970. */
	readonly at: number;
	readonly count: number;
}

/** Older ones are forgotten: a page that stays open for weeks must not grow. */
const mostKept = 50;

/** Adds an error to a log, newest first; one that is there already is counted. */
export function logTrouble(log: readonly LoggedTrouble[], error: unknown, at: number): LoggedTrouble[] {
	const { code, what } = describeError(error);
	const same = (one: LoggedTrouble): boolean => {
		const known = describeError(one.error);
		return known.code === code && known.what === what;
	};
	const before = log.find(same);
	return [{ error, at, count: (before?.count ?? 0) + 1 }, ...log.filter((one) => one !== before)].slice(
		0,
		mostKept,
	);
}

/**
 * What went wrong on this page, newest first, each with what to do about it.
 *
 * @csspart troubles - the list
 */
export class TabmeshTroubles extends LitElement {
	static override properties = { log: { attribute: false } };
	static override styles = [
		theme,
		css`
			ul {
				display: grid;
			}
			li {
				display: grid;
				grid-template-columns: minmax(0, 1fr) auto;
				gap: 0.2rem 1.25rem;
				padding: 0.8rem 0;
				border-top: 1px solid var(--_line);
			}
			li:first-child {
				padding-top: 0;
				border-top: 0;
			}
			.steps {
				grid-column: 1 / -1;
			}
			time {
				white-space: nowrap;
			}
			.code {
				color: var(--_danger);
			}
		`,
	];
	declare log: readonly LoggedTrouble[];

	constructor() {
		super();
		this.log = [];
	}

	protected override render() {
		const text = messages.console.troubles;
		if (this.log.length === 0) return html`<p class="muted">${text.none}</p>`;
		return html`
			<ul part="troubles">
				${this.log.map(({ error, at, count }) => {
					const { what, steps, code } = describeError(error);
					return html`
						<li>
							<span>${what}</span>
							<time class="muted small" datetime=${new Date(at).toISOString()}>
								${new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}${count > 1 ? ` · ${text.times(count)}` : ""}
							</time>
							${
								steps.length > 0 || code
									? html`<span class="steps muted small">
										${code ? html`<span class="code mono">${code}</span> ` : nothing}${steps.join(" ")}
									</span>`
									: nothing
							}
						</li>
					`;
				})}
			</ul>
		`;
	}
}

define("tabmesh-troubles", TabmeshTroubles);
