import type { LoadProgress } from "@tabmesh/model";
import type { TensorEntry } from "@tabmesh/wire";

/** Turns progress of single tensors into progress of them all. */
export function fetchProgress(
	tensors: readonly Pick<TensorEntry, "name" | "bytes">[],
	onProgress: ((progress: LoadProgress) => void) | undefined,
): (tensor: string, loadedBytes: number) => void {
	const totalBytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
	const loaded = new Map<string, number>();
	let loadedBytes = 0;
	return (tensor, bytes) => {
		loadedBytes += bytes - (loaded.get(tensor) ?? 0);
		loaded.set(tensor, bytes);
		onProgress?.({ phase: "fetch", loadedBytes, totalBytes });
	};
}
