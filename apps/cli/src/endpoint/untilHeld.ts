import type { Tabmesh } from "@tabmesh/client";

/**
 * Waits until lenders hold all of a model, at most `waitMs`: a network that was just started, or lost somebody, is whole again within
 * seconds. Who asks finds out whether it is.
 *
 * @param model - id or name; anything else is not waited for
 */
export async function untilHeld(
	mesh: Tabmesh,
	model: unknown,
	waitMs: number,
	signal: AbortSignal,
): Promise<void> {
	const enough = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
	while (!enough.aborted) {
		const view = mesh.models.find(({ id, name }) => id === model || name === model);
		if (!view || view.coverage.complete) break;
		const { promise, resolve } = Promise.withResolvers<void>();
		mesh.addEventListener("swarm", () => resolve(), { once: true, signal: enough });
		enough.addEventListener("abort", () => resolve(), { once: true });
		await promise;
	}
	signal.throwIfAborted();
}
