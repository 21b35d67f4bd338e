/** Longer than this nobody waits in front of a progress bar: the error says that the server asked for it. */
const maxDelayMs = 60_000;

/**
 * How long to wait before the next try, in milliseconds: what the server asks for, else exponential back-off with full jitter,
 * so that many tabs that failed together do not come back together.
 *
 * @param failures - in a row, 1 after the first
 * @param retryAfter - the header: seconds or an HTTP date
 * @returns `undefined` when the server asks for longer than anyone waits
 * @see RFC 9110 §10.2.3
 */
export function retryDelay(
	failures: number,
	pauseMs: number,
	retryAfter?: string | null,
): number | undefined {
	const asked = retryAfter ? askedDelay(retryAfter) : undefined;
	if (asked !== undefined) return asked <= maxDelayMs ? asked : undefined;
	const longest = Math.min(pauseMs * 2 ** (failures - 1), maxDelayMs);
	return longest * (0.5 + Math.random() / 2);
}

function askedDelay(retryAfter: string): number | undefined {
	if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1000;
	const date = Date.parse(retryAfter);
	return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** Waits; an abort ends it at once. */
export function wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted) return reject(signal.reason);
		const abort = (): void => {
			clearTimeout(timer);
			reject(signal?.reason);
		};
		const timer = setTimeout(() => {
			signal?.removeEventListener("abort", abort);
			resolve();
		}, milliseconds);
		signal?.addEventListener("abort", abort, { once: true });
	});
}
