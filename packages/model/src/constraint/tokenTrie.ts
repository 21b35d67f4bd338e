/** A vocabulary as a tree of bytes, so that what many tokens begin with is looked at once. */
export class TokenTrie {
	/** Of each node; node 0 is the empty text. */
	readonly firstChild: Int32Array;
	readonly nextSibling: Int32Array;
	readonly byte: Uint8Array;
	/** The first token that ends at a node, or −1. */
	readonly token: Int32Array;
	/** Another token of the same bytes, by token, or −1. */
	readonly sameBytes: Int32Array;

	/**
	 * @param tokens - ids
	 * @param bytesOf - of each id; not empty
	 */
	constructor(tokens: readonly number[], bytesOf: (token: number) => Uint8Array) {
		const sorted = tokens
			.map((token) => ({ token, bytes: bytesOf(token) }))
			.sort((a, b) => compare(a.bytes, b.bytes));
		const most = sorted.reduce((sum, { bytes }) => sum + bytes.byteLength, 1);
		this.firstChild = new Int32Array(most).fill(-1);
		this.nextSibling = new Int32Array(most).fill(-1);
		this.byte = new Uint8Array(most);
		this.token = new Int32Array(most).fill(-1);
		this.sameBytes = new Int32Array(1 + tokens.reduce((highest, token) => Math.max(highest, token), 0)).fill(
			-1,
		);
		let size = 1;
		// In order, a byte that is new at a node is its last child.
		const lastChild = new Int32Array(most).fill(-1);
		for (const { token, bytes } of sorted) {
			let node = 0;
			for (const byte of bytes) {
				const last = lastChild[node]!;
				if (last >= 0 && this.byte[last] === byte) {
					node = last;
					continue;
				}
				const made = size++;
				this.byte[made] = byte;
				if (last >= 0) this.nextSibling[last] = made;
				else this.firstChild[node] = made;
				lastChild[node] = made;
				node = made;
			}
			this.sameBytes[token] = this.token[node]!;
			this.token[node] = token;
		}
	}
}

function compare(a: Uint8Array, b: Uint8Array): number {
	const shorter = Math.min(a.byteLength, b.byteLength);
	for (let i = 0; i < shorter; i++) {
		const difference = a[i]! - b[i]!;
		if (difference !== 0) return difference;
	}
	return a.byteLength - b.byteLength;
}
