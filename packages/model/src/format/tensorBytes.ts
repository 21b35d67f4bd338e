import type { SourceType } from "@tabmesh/wire";
import { blockLayout } from "../gguf/blockLayout.ts";

/**
 * Bytes that a tensor of `type` and `shape` takes in its source, or undefined when a row is not a whole number of blocks
 * or the product leaves the safe integers.
 */
export function tensorBytes(type: SourceType, shape: readonly number[]): number | undefined {
	const { blockElements, blockBytes } =
		type === "BLOB" ? { blockElements: 1, blockBytes: 1 } : blockLayout(type);
	if ((shape.at(-1) ?? 0) % blockElements !== 0) return undefined;
	const count = shape.reduce((product, dimension) => product * dimension, 1);
	const total = (count / blockElements) * blockBytes;
	return Number.isSafeInteger(total) ? total : undefined;
}
