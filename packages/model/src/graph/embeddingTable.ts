import { ModelFileError } from "@tabmesh/wire";
import { blockLayout } from "../gguf/blockLayout.ts";
import { dequantise } from "../gguf/dequantise/dequantise.ts";
import type { SourceWeight } from "./weights.ts";

/**
 * A model's embedding, as its source stores it: a token needs one row, which is cheaper to turn into numbers when it is asked for than
 * to keep all rows as numbers. TinyLlama's takes 21 MB this way instead of 262.
 */
export class EmbeddingTable {
	readonly #source: SourceWeight;

	constructor(source: SourceWeight) {
		this.#source = source;
	}

	/**
	 * The rows of `tokens`, `[tokens, hiddenSize]`, in float32.
	 *
	 * @param tokens - inside the vocabulary
	 * @throws ModelFileError when the table's bytes do not fit its shape
	 */
	lookUp(tokens: Int32Array): Float32Array<ArrayBuffer> {
		const { type, shape, bytes } = this.#source;
		if (type === "BLOB") throw new ModelFileError("A file is no tensor.");
		const columns = shape[1]!;
		const { blockElements, blockBytes } = blockLayout(type);
		const rowBytes = (columns / blockElements) * blockBytes;
		const rows = new Float32Array(tokens.length * columns);
		for (const [i, token] of tokens.entries()) {
			const row = bytes.subarray(token * rowBytes, (token + 1) * rowBytes);
			dequantise(type, row, rows.subarray(i * columns, (i + 1) * columns));
		}
		return rows;
	}
}
