import { css, html, LitElement, nothing } from "lit";
import { define } from "./define.ts";
import "./invite.ts";
import { type Lack, lacksFor, type Purpose } from "./lacks.ts";
import { messages } from "./language/language.ts";
import "./notice.ts";
import { controls, theme } from "./theme.ts";

/**
 * Why this browser cannot take part, what to do about it, and what works all the same.
 *
 * @csspart ways - what works all the same
 */
export class TabmeshCannot extends LitElement {
	static override properties = {
		purpose: { type: String },
		askHref: { type: String, attribute: "ask-href" },
		lendHref: { type: String, attribute: "lend-href" },
	};
	static override styles = [
		theme,
		controls,
		css`
			.cannot {
				display: grid;
				gap: clamp(1.5rem, 1rem + 2.4cqi, 2.5rem);
				max-width: 46rem;
			}
			section {
				display: grid;
				gap: 0.6rem;
			}
			.lacks {
				display: grid;
				gap: 1rem;
				margin-top: 0.6rem;
			}
			.lacks strong {
				display: block;
				font-weight: 550;
			}
			a.way {
				display: inline-flex;
				align-items: center;
				min-height: 44px;
				padding: 0.5rem 1.25rem;
				border-radius: 999px;
				background: var(--_accent);
				color: var(--_on-accent);
				font-weight: 600;
				text-decoration: none;
			}
		`,
	];
	/** What the visitor came for. */
	declare purpose: Purpose;
	/** Address of the asking page; none is offered where it is empty. */
	declare askHref: string;
	/** Address of the lending page, for another device. */
	declare lendHref: string;

	constructor() {
		super();
		this.purpose = "ask";
		this.askHref = "";
		this.lendHref = "";
	}

	#lack(name: Lack) {
		const { what, step } = messages.cannot.lacks[name];
		const { protocol, host, pathname } = location;
		return html`
			<li>
				<strong>${what}</strong>
				<span class="muted">${step}</span>
				${name === "secure" && protocol === "http:" ? html`<a href="https://${host}${pathname}">https://${host}${pathname}</a>` : nothing}
			</li>
		`;
	}

	protected override render() {
		const text = messages.cannot;
		const lacks = lacksFor(this.purpose);
		const asks = this.askHref !== "" && this.purpose !== "ask" && lacksFor("ask").length === 0;
		// A link to this page as it came leads nowhere on another device, either.
		const elsewhere = this.lendHref !== "" && !lacks.includes("secure");
		return html`
			<div class="cannot">
				<tabmesh-notice tone="trouble" heading=${text.title[this.purpose]}>
					<ul class="lacks">${lacks.map((name) => this.#lack(name))}</ul>
				</tabmesh-notice>
				${
					asks
						? html`
							<section part="ways">
								<h2>${text.askTitle}</h2>
								<p class="muted">${text.ask}</p>
								<div class="row"><a class="way" href=${this.askHref}>${text.askLink}</a></div>
							</section>
						`
						: nothing
				}
				${
					elsewhere
						? html`
							<section part="ways">
								<h2>${text.elsewhereTitle}</h2>
								<p class="muted">${text.elsewhere}</p>
								<tabmesh-invite away href=${this.lendHref}></tabmesh-invite>
							</section>
						`
						: nothing
				}
			</div>
		`;
	}
}

define("tabmesh-cannot", TabmeshCannot);
