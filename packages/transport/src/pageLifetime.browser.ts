/**
 * Calls back when the page goes away. A page kept in the back/forward cache may come back, but its connections do not
 * survive that either.
 *
 * @returns stops listening
 */
export function onPageGone(gone: () => void): () => void {
	addEventListener("pagehide", gone);
	return () => removeEventListener("pagehide", gone);
}

/**
 * Calls back when the browser is about to stop the page for a while. What is not said in that very moment is not said at all.
 *
 * @see https://wicg.github.io/page-lifecycle/
 * @returns stops listening
 */
export function onPageFrozen(frozen: () => void): () => void {
	document.addEventListener("freeze", frozen);
	return () => document.removeEventListener("freeze", frozen);
}
