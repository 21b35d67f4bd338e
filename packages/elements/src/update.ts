import { css, html, LitElement, nothing } from "lit";
import { define } from "./define.ts";
import { messages } from "./language/language.ts";
import { controls, theme } from "./theme.ts";

/** Lenders leave their tab open for days. */
const lookEveryMs = 60 * 60_000;

/**
 * Keeps the site's pages for the time without a network, and says when a new version of them is there. A page never
 * reloads by itself: it may be lending, or in the middle of an answer.
 *
 * @csspart update - the bar
 */
export class TabmeshUpdate extends LitElement {
	static override properties = { src: { type: String } };
	static override styles = [
		theme,
		controls,
		css`
			:host {
				position: fixed;
				inset: auto 0 0;
				z-index: 1;
				display: grid;
				justify-items: center;
				padding: 0.75rem max(0.75rem, env(safe-area-inset-left)) max(0.75rem, env(safe-area-inset-bottom));
				pointer-events: none;
			}
			.update {
				display: flex;
				flex-wrap: wrap;
				align-items: center;
				gap: 0.5rem 1rem;
				padding: 0.6rem 0.6rem 0.6rem 1.15rem;
				border: 1px solid var(--_line);
				border-radius: var(--_radius);
				background: var(--_surface);
				box-shadow: 0 6px 24px rgb(0 0 0 / 0.18);
				pointer-events: auto;
			}
			p {
				margin: 0;
			}
		`,
	];
	/** Address of the service worker. */
	declare src: string;
	#waiting: ServiceWorker | undefined;
	#look: ReturnType<typeof setInterval> | undefined;

	constructor() {
		super();
		this.src = "/service-worker.js";
	}

	override connectedCallback(): void {
		super.connectedCallback();
		// Behind everything that the page itself loads.
		if (document.readyState === "complete") void this.#register();
		else addEventListener("load", () => void this.#register(), { once: true });
	}

	override disconnectedCallback(): void {
		super.disconnectedCallback();
		clearInterval(this.#look);
	}

	async #register(): Promise<void> {
		let registration: ServiceWorkerRegistration;
		try {
			registration = await navigator.serviceWorker.register(this.src, { updateViaCache: "none" });
		} catch {
			// Private windows, certificates that nobody signed, old browsers: the page works as it did.
			return;
		}
		if (!this.isConnected) return;
		this.#offer(registration.waiting);
		registration.addEventListener("updatefound", () => {
			const fresh = registration.installing;
			fresh?.addEventListener("statechange", () => {
				// The first one of all replaces nothing.
				if (fresh.state === "installed" && navigator.serviceWorker.controller) this.#offer(fresh);
				if (fresh.state === "activated" && this.#waiting === fresh) this.#offer(null);
			});
		});
		clearInterval(this.#look);
		this.#look = setInterval(() => registration.update().catch(() => {}), lookEveryMs);
	}

	#offer(worker: ServiceWorker | null): void {
		this.#waiting = worker ?? undefined;
		this.requestUpdate();
	}

	#take(): void {
		navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
		this.#waiting?.postMessage("take over");
	}

	#later(): void {
		this.#offer(null);
	}

	protected override render() {
		return html`<div role="status">${
			this.#waiting === undefined
				? nothing
				: html`<div class="update" part="update">
						<p>${messages.update.ready}</p>
						<div>
							<button class="primary" @click=${this.#take}>${messages.update.reload}</button>
							<button @click=${this.#later}>${messages.update.later}</button>
						</div>
					</div>`
		}</div>`;
	}
}

define("tabmesh-update", TabmeshUpdate);

declare global {
	interface HTMLElementTagNameMap {
		"tabmesh-update": TabmeshUpdate;
	}
}
