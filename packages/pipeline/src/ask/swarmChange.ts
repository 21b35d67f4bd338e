import type { Directory } from "@tabmesh/directory";

/** Least time between two tries after the swarm was waited for: a large room changes with every frame. */
const TRY_AGAIN_MS = 250;

/**
 * Waits until the directory shows something new, and for a moment in any case.
 *
 * @returns false where nothing came within `withinMs`, or the signal was aborted
 */
export async function swarmChange(
	directory: Pick<Directory, "addEventListener" | "removeEventListener">,
	withinMs: number,
	signal: AbortSignal,
): Promise<boolean> {
	if (withinMs <= 0) return false;
	let timer: ReturnType<typeof setTimeout> | undefined;
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const started = performance.now();
	const onChange = (): void => {
		const wait = Math.max(0, started + TRY_AGAIN_MS - performance.now());
		directory.removeEventListener("change", onChange);
		clearTimeout(timer);
		timer = setTimeout(() => resolve(true), wait);
	};
	const onAbort = (): void => resolve(false);
	timer = setTimeout(() => resolve(false), withinMs);
	directory.addEventListener("change", onChange);
	signal.addEventListener("abort", onAbort, { once: true });
	try {
		return await promise;
	} finally {
		clearTimeout(timer);
		directory.removeEventListener("change", onChange);
		signal.removeEventListener("abort", onAbort);
	}
}
