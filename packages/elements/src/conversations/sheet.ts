import { css } from "lit";

/** A panel that slides in from a side of the page and holds the focus until it is closed. */
export const sheet = css`
	dialog {
		position: fixed;
		inset-block: 0;
		inset-inline: 0 auto;
		width: min(26rem, 100vw - 2rem);
		max-width: none;
		height: 100dvh;
		max-height: none;
		margin: 0;
		padding: 0;
		overflow-y: auto;
		overscroll-behavior: contain;
		border: 0;
		border-inline-end: 1px solid var(--_line);
		background: var(--_paper);
		color: var(--_ink);
		box-shadow: 0 0 48px rgb(0 0 0 / 0.2);
	}
	dialog.end {
		inset-inline: auto 0;
		border-inline: 1px solid var(--_line) 0;
	}
	dialog::backdrop {
		background: rgb(0 0 0 / 0.4);
	}
	dialog[open] {
		animation: slide 160ms ease-out;
	}
	@keyframes slide {
		from {
			opacity: 0;
			translate: -1.5rem 0;
		}
	}
	.sheet {
		display: grid;
		grid-template-columns: minmax(0, 1fr);
		align-content: start;
		gap: 1.5rem;
		min-height: 100%;
		padding: 0.75rem 1.25rem max(1.5rem, env(safe-area-inset-bottom));
	}
	.head {
		position: sticky;
		top: 0;
		z-index: 1;
		display: flex;
		align-items: center;
		justify-content: space-between;
		gap: 1rem;
		margin-inline: -1.25rem;
		padding: 0.75rem 0.5rem 0.5rem 1.25rem;
		background: var(--_paper);
	}
	.head h2 {
		font-size: 1.1875rem;
	}
	.head button {
		border-color: transparent;
	}
	input[type="text"],
	input[type="search"],
	dialog textarea {
		width: 100%;
		min-height: 44px;
		padding: 0.5rem 0.75rem;
		border: 1px solid var(--_control);
		border-radius: 10px;
		background: var(--_surface);
		color: var(--_ink);
		font: inherit;
	}
`;
