import { css, html, LitElement, nothing } from "lit";
import { define } from "./define.ts";
import { theme } from "./theme.ts";

/**
 * A thin bar that says how far something is.
 *
 * @csspart track - the whole length
 * @csspart bar - what is done
 */
export class TabmeshProgress extends LitElement {
	static override properties = { value: { type: Number }, label: { type: String } };
	static override styles = [
		theme,
		css`
			.track {
				height: 6px;
				overflow: hidden;
				border-radius: 3px;
				background: var(--_line);
			}
			.bar {
				height: 100%;
				border-radius: inherit;
				background: var(--_accent);
				transition: width 200ms linear;
			}
			.unknown .bar {
				width: 30%;
				animation: wander 1.6s ease-in-out infinite alternate;
			}
			@keyframes wander {
				from {
					transform: translateX(-20%);
				}
				to {
					transform: translateX(254%);
				}
			}
			@media (prefers-reduced-motion: reduce) {
				.unknown .bar {
					width: 100%;
					opacity: 0.5;
				}
			}
			@media (forced-colors: active) {
				.track {
					border: 1px solid;
				}
				.bar {
					background: Highlight;
				}
			}
		`,
	];
	/** 0 to 1; undefined while nobody can know. */
	declare value: number | undefined;
	/** What is under way, for screen readers. */
	declare label: string;

	constructor() {
		super();
		this.value = undefined;
		this.label = "";
	}

	get #percent(): number | undefined {
		return this.value === undefined ? undefined : Math.round(Math.min(1, Math.max(0, this.value)) * 100);
	}

	protected override updated(): void {
		// Not by a style attribute in the template: a strict Content-Security-Policy refuses those.
		const percent = this.#percent;
		this.renderRoot.querySelector<HTMLElement>(".bar")!.style.width =
			percent === undefined ? "" : `${percent}%`;
	}

	protected override render() {
		const percent = this.#percent;
		return html`
			<div
				class="track ${percent === undefined ? "unknown" : ""}"
				part="track"
				role="progressbar"
				aria-label=${this.label}
				aria-valuemin="0"
				aria-valuemax="100"
				aria-valuenow=${percent ?? nothing}
			>
				<div class="bar" part="bar"></div>
			</div>
		`;
	}
}

define("tabmesh-progress", TabmeshProgress);
