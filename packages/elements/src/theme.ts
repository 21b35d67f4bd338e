import { css } from "lit";

/**
 * The look that every element shares. A page changes it by setting `--tabmesh-*` on any ancestor, or by `::part()`;
 * it forces one scheme by setting `color-scheme` on the element.
 *
 * One accent, on two greys with a trace of green: the phosphor of an instrument, bright on dark and mossy on light.
 * Every pair of text and ground that is used reaches 4.5:1, lines that carry meaning 3:1 (WCAG 2.2 AA).
 */
export const theme = css`
	:host {
		color-scheme: light dark;
		--_paper: var(--tabmesh-paper, light-dark(#f4f6f1, #0f120e));
		--_surface: var(--tabmesh-surface, light-dark(#fcfdfb, #171b15));
		--_ink: var(--tabmesh-ink, light-dark(#171c14, #e7ebe2));
		--_muted: var(--tabmesh-muted, light-dark(#596153, #9aa491));
		--_line: var(--tabmesh-line, light-dark(#dadfd3, #2c3327));
		--_control: var(--tabmesh-control, light-dark(#858d7e, #6d7666));
		--_accent: var(--tabmesh-accent, light-dark(#2d6c1c, #a6dd70));
		--_on-accent: var(--tabmesh-on-accent, light-dark(#ffffff, #101709));
		--_tint: var(--tabmesh-tint, light-dark(#e2eeda, #202a18));
		--_danger: var(--tabmesh-danger, light-dark(#9f2f1b, #ffa08a));
		--_danger-tint: var(--tabmesh-danger-tint, light-dark(#f9e7e1, #321d17));
		--_radius: var(--tabmesh-radius, 14px);
		--_font: var(--tabmesh-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
		--_prose: var(
			--tabmesh-prose,
			"Iowan Old Style", Charter, "Palatino Linotype", "Book Antiqua", "Noto Serif", Georgia, serif
		);
		--_mono: var(--tabmesh-mono, ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace);
		display: block;
		color: var(--_ink);
		font: 400 1rem/1.55 var(--_font);
		font-variant-numeric: tabular-nums;
		text-align: start;
		-webkit-text-size-adjust: 100%;
	}
	:host([hidden]),
	[hidden] {
		display: none !important;
	}
	*,
	*::before,
	*::after {
		box-sizing: border-box;
	}
	h1,
	h2,
	h3,
	p,
	ul,
	ol,
	dl,
	dd {
		margin: 0;
		padding: 0;
	}
	ul,
	ol {
		list-style: none;
	}
	h1 {
		font-family: var(--_prose);
		font-size: clamp(1.8rem, 1.35rem + 2.1cqi, 2.6rem);
		font-weight: 500;
		line-height: 1.14;
		letter-spacing: -0.018em;
		text-wrap: balance;
	}
	/* Headings take the focus when a view changes; they are no control and need no frame. */
	h1:focus-visible {
		outline: none;
	}
	h2 {
		font-size: 1rem;
		font-weight: 600;
		line-height: 1.35;
	}
	p {
		text-wrap: pretty;
		overflow-wrap: anywhere;
	}
	a {
		color: var(--_accent);
		text-underline-offset: 0.18em;
	}
	.muted {
		color: var(--_muted);
	}
	.small {
		font-size: 0.875rem;
		line-height: 1.45;
	}
	/* What a page is for, below its title. */
	.lede {
		max-width: 34rem;
		margin-top: 0.9rem;
		color: var(--_muted);
		font-size: 1.125rem;
	}
	.mono {
		font-family: var(--_mono);
		font-size: 0.92em;
	}
	:focus-visible {
		outline: 2px solid var(--_accent);
		outline-offset: 3px;
	}
	/* Read by screen readers, seen by nobody. */
	.unseen {
		position: absolute;
		width: 1px;
		height: 1px;
		margin: -1px;
		overflow: hidden;
		clip-path: inset(50%);
		white-space: nowrap;
	}
	@media (prefers-reduced-motion: reduce) {
		*,
		*::before,
		*::after {
			animation: none !important;
			transition: none !important;
		}
	}
`;

/** Buttons and fields; 44 px high, so that a thumb hits them. */
export const controls = css`
	button {
		display: inline-flex;
		align-items: center;
		justify-content: center;
		gap: 0.5rem;
		min-height: 44px;
		padding: 0.5rem 1.1rem;
		border: 1px solid var(--_control);
		border-radius: 999px;
		background: transparent;
		color: var(--_ink);
		font: inherit;
		font-weight: 550;
		line-height: 1.2;
		cursor: pointer;
		transition:
			background-color 120ms ease,
			border-color 120ms ease;
	}
	button:hover:not(:disabled) {
		border-color: var(--_ink);
		background: var(--_tint);
	}
	button.primary {
		border-color: transparent;
		background: var(--_accent);
		color: var(--_on-accent);
	}
	button.primary:hover:not(:disabled) {
		border-color: transparent;
		background: color-mix(in oklab, var(--_accent) 86%, var(--_ink));
	}
	button.large {
		min-height: 60px;
		padding: 0.75rem 2rem;
		font-size: 1.125rem;
		font-weight: 600;
	}
	button.quiet {
		border-color: transparent;
		color: var(--_muted);
	}
	button:disabled {
		cursor: not-allowed;
		border-color: var(--_line);
		background: transparent;
		color: var(--_muted);
	}
	button.primary:disabled {
		background: var(--_line);
		color: var(--_muted);
	}
	input[type="range"] {
		width: 100%;
		height: 44px;
		margin: 0;
		accent-color: var(--_accent);
		cursor: pointer;
	}
	select,
	input[type="number"] {
		min-height: 44px;
		padding: 0.4rem 0.75rem;
		border: 1px solid var(--_control);
		border-radius: 10px;
		background: var(--_surface);
		color: var(--_ink);
		font: inherit;
	}
	.row {
		display: flex;
		flex-wrap: wrap;
		align-items: center;
		gap: 0.75rem;
	}
	.panel {
		padding: clamp(1.1rem, 0.8rem + 1.4cqi, 1.75rem);
		border: 1px solid var(--_line);
		border-radius: var(--_radius);
		background: var(--_surface);
	}
`;
