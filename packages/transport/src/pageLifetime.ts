/** Calls back when the page goes away for good. Node has no page: never. */
export function onPageGone(_gone: () => void): () => void {
	return () => {};
}
