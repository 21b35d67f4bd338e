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
