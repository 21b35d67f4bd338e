/** About what it takes to read the page. */
const patienceMs = 6_000;

const signs = ["pointermove", "pointerdown", "keydown", "focusin", "input", "wheel"] as const;

/**
 * Calls `then` at the first sign that somebody is there: a pointer, a finger, a key, a focus; or a few seconds after the
 * page could be seen. What is heavy can wait for that: pages that are opened ahead, in the background or by a machine
 * need it never, and everybody else has a page that answers at once.
 *
 * @returns calls it off
 */
export function atFirstSign(then: () => void): () => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const stop = (): void => {
		clearTimeout(timer);
		for (const sign of signs) removeEventListener(sign, sees, { capture: true });
		document.removeEventListener("visibilitychange", wait);
	};
	const sees = (): void => {
		stop();
		then();
	};
	const wait = (): void => {
		clearTimeout(timer);
		if (document.visibilityState === "visible") timer = setTimeout(sees, patienceMs);
	};
	for (const sign of signs) addEventListener(sign, sees, { capture: true, passive: true });
	document.addEventListener("visibilitychange", wait);
	wait();
	return stop;
}
