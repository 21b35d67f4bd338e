import { css, html, LitElement, nothing, svg } from "lit";
import { define } from "./define.ts";
import { messages } from "./language/language.ts";
import { controls, theme } from "./theme.ts";

/** Names that mean "this very device": nobody else can follow them, so no code is drawn for them. */
const loopback = /^(?:localhost|.*\.localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * The way to the lending page for other tabs and devices: a link, a copy button, and a QR code where the address
 * means something to another device.
 *
 * @csspart code - the QR code
 */
export class TabmeshInvite extends LitElement {
	static override properties = {
		href: { type: String },
		emphasis: { type: Boolean },
		away: { type: Boolean },
	};
	static override styles = [
		theme,
		controls,
		css`
			.invite {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 1rem 1.5rem;
			}
			a.button {
				display: inline-flex;
				align-items: center;
				min-height: 44px;
				padding: 0.5rem 1.1rem;
				border: 1px solid var(--_control);
				border-radius: 999px;
				color: var(--_ink);
				font-weight: 550;
				text-decoration: none;
			}
			a.button:hover {
				border-color: var(--_ink);
				background: var(--_tint);
			}
			a.primary {
				border-color: transparent;
				background: var(--_accent);
				color: var(--_on-accent);
			}
			a.primary:hover {
				border-color: transparent;
				background: color-mix(in oklab, var(--_accent) 86%, var(--_ink));
			}
			.address {
				width: 100%;
				color: var(--_muted);
				user-select: all;
			}
			figure {
				display: flex;
				align-items: center;
				gap: 0.9rem;
				margin: 0;
			}
			svg {
				width: 6.5rem;
				height: 6.5rem;
				/* Cameras want dark on light, whatever the theme. */
				border-radius: 8px;
				background: #ffffff;
			}
		`,
	];
	/** Address of the lending page, relative to this one or absolute. */
	declare href: string;
	/** Whether it is the first thing to do on the page. */
	declare emphasis: boolean;
	/** Whether the page is of no use in this browser: it is copied and scanned then, and not opened here. */
	declare away: boolean;
	#code: { readonly size: number; readonly path: string } | undefined;
	#copied = false;

	constructor() {
		super();
		this.href = "/lend";
		this.emphasis = false;
		this.away = false;
	}

	get #address(): URL {
		return new URL(this.href, document.baseURI);
	}

	get #isLoopback(): boolean {
		return loopback.test(this.#address.hostname);
	}

	protected override async firstUpdated(): Promise<void> {
		const address = this.#address;
		if (this.#isLoopback) return;
		const { encode } = await import("uqr");
		const { data, size } = encode(address.href, { border: 2 });
		let path = "";
		for (const [y, row] of data.entries())
			for (const [x, dark] of row.entries()) if (dark) path += `M${x} ${y}h1v1h-1z`;
		this.#code = { size, path };
		this.requestUpdate();
	}

	async #copy() {
		try {
			await navigator.clipboard.writeText(this.#address.href);
			this.#copied = true;
			this.requestUpdate();
		} catch {
			// The person refused the clipboard; the link beside the button still works.
		}
	}

	protected override render() {
		return html`
			<div class="invite">
				<div class="row">
					${this.away ? nothing : html`<a class="button ${this.emphasis ? "primary" : ""}" href=${this.href} target="_blank" rel="noopener">${messages.invite.open}</a>`}
					<button type="button" @click=${this.#copy}>
						<span aria-live="polite">${this.#copied ? messages.invite.copied : messages.invite.copy}</span>
					</button>
				</div>
				${
					this.#code === undefined
						? nothing
						: html`
							<figure part="code">
								<svg viewBox="0 0 ${this.#code.size} ${this.#code.size}" role="img" aria-label=${this.#address.href}>
									${svg`<path d=${this.#code.path} fill="#000000" shape-rendering="crispEdges"></path>`}
								</svg>
								<figcaption class="muted small">${messages.invite.scan}</figcaption>
							</figure>
						`
				}
				${this.#isLoopback ? html`<p class="muted small">${messages.invite.loopback}</p>` : nothing}
				<p class="address mono">${this.#address.href}</p>
			</div>
		`;
	}
}

define("tabmesh-invite", TabmeshInvite);
