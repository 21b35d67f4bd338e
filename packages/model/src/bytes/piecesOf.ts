/** What a server sends, piece by piece. A body cannot be iterated over in every browser, hence the reader. */
export async function* piecesOf(response: Response): AsyncGenerator<Uint8Array> {
	const reader = response.body?.getReader();
	if (!reader) return;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			yield value;
		}
	} finally {
		// On every way out but the end: cancelling a body that was read to its end does nothing.
		reader.cancel().catch(() => undefined);
	}
}
