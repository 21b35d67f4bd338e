import type { KeptHistory } from "./deviceHistory.ts";
import type { Lender } from "./tabmesh.ts";

/** What a page that is killed may lose of what it did. */
const writeEveryMs = 10_000;

/** Writes into the history what a lender does, until it has left. */
export function recordLending(lender: Lender, history: KeptHistory): void {
	let written = 0;
	const write = (): void => {
		const { phase, tokensServed, streams } = lender.view;
		// Another weight format counts from nothing again.
		const tokens = tokensServed < written ? tokensServed : tokensServed - written;
		const served = phase === "serving" || streams > 0;
		if (!served && tokens === 0) return;
		written = tokensServed;
		// Full disks and cleared site data harm the history, not the lending.
		history.add({ tokens, served, at: Date.now() }).catch(() => {});
	};
	const timer = setInterval(write, writeEveryMs);
	(timer as { unref?(): void }).unref?.();
	let { phase } = lender.view;
	const onChange = (): void => {
		const before = phase;
		phase = lender.view.phase;
		if (phase === before) return;
		write();
		if (phase !== "left" && phase !== "failed") return;
		clearInterval(timer);
		lender.removeEventListener("change", onChange);
		globalThis.document?.removeEventListener("visibilitychange", write);
	};
	lender.addEventListener("change", onChange);
	// The last moment that a phone's browser promises.
	globalThis.document?.addEventListener("visibilitychange", write);
}
