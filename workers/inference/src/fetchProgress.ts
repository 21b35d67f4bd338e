import type { LoadProgress } from "@tabmesh/model";

/**
 * Turns progress of single tensors into progress of them all.
 *
 * @param totalBytes - asked each time: what is here already is found out while the load begins
 */
export function fetchProgress(
	totalBytes: () => number,
	onProgress: ((progress: LoadProgress) => void) | undefined,
): (tensor: string, loadedBytes: number) => void {
	const loaded = new Map<string, number>();
	let loadedBytes = 0;
	return (tensor, bytes) => {
		loadedBytes += bytes - (loaded.get(tensor) ?? 0);
		loaded.set(tensor, bytes);
		onProgress?.({ phase: "fetch", loadedBytes, totalBytes: totalBytes() });
	};
}
