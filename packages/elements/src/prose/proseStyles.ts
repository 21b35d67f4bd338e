import { css } from "lit";

/** How markdown looks: for elements that show a `tabmesh-prose`. */
export const proseStyles = css`
	tabmesh-prose {
		display: block;
		/* Letters with towers of marks stay in their own answer. */
		overflow: clip;
		overflow-clip-margin: 6px;
		font-family: var(--_prose);
		font-size: 1.1875rem;
		line-height: 1.62;
		overflow-wrap: anywhere;
	}
	tabmesh-prose.plain {
		white-space: pre-wrap;
		unicode-bidi: plaintext;
	}
	tabmesh-prose .sheet {
		display: flow-root;
	}
	/* Of a very long answer only what is in sight is laid out. */
	tabmesh-prose .sheet.full {
		content-visibility: auto;
		contain-intrinsic-size: auto 90rem;
	}
	tabmesh-prose .sheet + .sheet:not(:empty) {
		margin-top: 0.85rem;
	}
	tabmesh-prose .sheet + .sheet:has(> :is(h3, h4, h5, h6):first-child) {
		margin-top: 1.5rem;
	}
	tabmesh-prose :is(p, ul, ol, blockquote, hr, figure, div.wide) {
		margin: 0.85rem 0 0;
	}
	tabmesh-prose :is(h3, h4, h5, h6) {
		margin: 1.5rem 0 0;
		font-family: var(--_font);
		font-size: 1.0625rem;
		font-weight: 650;
		line-height: 1.35;
	}
	tabmesh-prose :is(.sheet, li, blockquote) > :first-child {
		margin-top: 0;
	}
	tabmesh-prose h3 {
		font-size: 1.25rem;
		letter-spacing: -0.01em;
	}
	tabmesh-prose ul {
		list-style: disc;
	}
	tabmesh-prose ol {
		list-style: decimal;
	}
	tabmesh-prose :is(ul, ol) {
		padding-inline-start: 1.6rem;
	}
	tabmesh-prose li {
		padding-inline-start: 0.2rem;
	}
	tabmesh-prose li + li {
		margin-top: 0.3rem;
	}
	tabmesh-prose li::marker {
		color: var(--_muted);
		font-variant-numeric: tabular-nums;
	}
	tabmesh-prose li > :is(ul, ol) {
		margin-top: 0.3rem;
	}
	tabmesh-prose blockquote {
		padding-inline-start: 1rem;
		border-inline-start: 3px solid var(--_line);
		color: var(--_muted);
	}
	/* A hundred quotes in one another leave no room for a letter. */
	tabmesh-prose :is(blockquote blockquote blockquote, li li li li) :is(blockquote, ul, ol) {
		padding-inline-start: 0;
		border-inline-start: 0;
		list-style-position: inside;
	}
	tabmesh-prose hr {
		height: 1px;
		border: 0;
		background: var(--_line);
	}
	tabmesh-prose a,
	tabmesh-prose code,
	tabmesh-prose .target {
		unicode-bidi: isolate;
	}
	tabmesh-prose .target {
		color: var(--_muted);
		font-family: var(--_mono);
		font-size: 0.75em;
	}
	tabmesh-prose code {
		padding: 0.1em 0.3em;
		border-radius: 5px;
		background: var(--_tint);
		font-family: var(--_mono);
		font-size: 0.82em;
	}
	tabmesh-prose .code {
		overflow: hidden;
		border: 1px solid var(--_line);
		border-radius: 12px;
		background: var(--_surface);
		font-family: var(--_font);
	}
	tabmesh-prose figcaption {
		display: flex;
		align-items: center;
		justify-content: space-between;
		padding-inline: 1rem 0.25rem;
		border-bottom: 1px solid var(--_line);
		color: var(--_muted);
		font-family: var(--_mono);
		font-size: 0.8125rem;
	}
	tabmesh-prose button.copy {
		border-color: transparent;
		border-radius: 9px;
		padding-inline: 0.75rem;
		color: var(--_muted);
		font: 500 0.875rem var(--_font);
	}
	tabmesh-prose button.copy:hover {
		color: var(--_ink);
	}
	tabmesh-prose pre {
		overflow-x: auto;
		margin: 0;
		padding: 0.85rem 1rem;
		line-height: 1.5;
	}
	tabmesh-prose pre:focus-visible,
	tabmesh-prose .wide:focus-visible {
		outline-offset: -2px;
	}
	tabmesh-prose pre code {
		padding: 0;
		background: none;
		font-size: 0.875rem;
		white-space: pre;
		overflow-wrap: normal;
		tab-size: 4;
	}
	tabmesh-prose pre code > span {
		display: block;
	}
	tabmesh-prose .wide {
		overflow-x: auto;
		border: 1px solid var(--_line);
		border-radius: 12px;
	}
	tabmesh-prose table {
		width: 100%;
		border-collapse: collapse;
		font: 0.9375rem/1.45 var(--_font);
		font-variant-numeric: tabular-nums;
		overflow-wrap: normal;
	}
	tabmesh-prose :is(th, td) {
		max-width: 24rem;
		padding: 0.5rem 0.85rem;
		text-align: start;
		vertical-align: baseline;
		unicode-bidi: plaintext;
	}
	tabmesh-prose thead {
		background: var(--_tint);
	}
	tabmesh-prose th {
		font-weight: 600;
		white-space: nowrap;
	}
	tabmesh-prose tr + tr td {
		border-top: 1px solid var(--_line);
	}
	tabmesh-prose .center {
		text-align: center;
	}
	tabmesh-prose .right {
		text-align: end;
	}
	tabmesh-prose[running]:not(.plain) > .sheet:last-child:not(:empty) > :last-child:is(p, h3, h4, h5, h6)::after,
	tabmesh-prose[running]:not(.plain)
		> .sheet:last-child:not(:empty)
		> :is(ul, ol):last-child
		> li:last-child:not(:has(p, ul, ol))::after {
		content: "";
		display: inline-block;
		width: 0.5rem;
		height: 0.5rem;
		margin-inline-start: 0.3rem;
		border-radius: 50%;
		background: var(--_accent);
		animation: breathe 1.1s ease-in-out infinite alternate;
	}
	@media print {
		tabmesh-prose .sheet.full {
			content-visibility: visible;
		}
		tabmesh-prose figcaption button,
		tabmesh-prose .target {
			display: none;
		}
		tabmesh-prose pre code {
			white-space: pre-wrap;
			overflow-wrap: anywhere;
		}
		tabmesh-prose .wide {
			overflow: visible;
		}
		tabmesh-prose a::after {
			content: " (" attr(href) ")";
			color: var(--_muted);
			font-size: 0.75em;
		}
		tabmesh-prose :is(.code, table, blockquote, li) {
			break-inside: avoid-page;
		}
	}
`;
