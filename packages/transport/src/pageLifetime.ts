/** Calls back when the page goes away for good. Node has no page: never. */
export function onPageGone(_gone: () => void): () => void {
	return () => {};
}

/** Calls back when the browser is about to stop the page for a while. Node has no page: never. */
export function onPageFrozen(_frozen: () => void): () => void {
	return () => {};
}
