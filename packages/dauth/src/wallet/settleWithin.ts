import { TimeoutError } from "@tabmesh/wire";

/**
 * What `work` gives, unless that takes longer than `timeoutMs` or `signal` aborts: whoever is asked may never answer.
 *
 * @throws TimeoutError, the signal's reason, or what `work` throws
 */
export async function settleWithin<T>(
	timeoutMs: number,
	signal: AbortSignal | undefined,
	work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
	signal?.throwIfAborted();
	const timeout = new AbortController();
	const timer = setTimeout(() => timeout.abort(new TimeoutError("No answer came in time.")), timeoutMs);
	const ended = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal;
	let stop = (): void => {};
	try {
		const stopped = new Promise<never>((_, reject) => {
			stop = () => reject(ended.reason);
			ended.addEventListener("abort", stop, { once: true });
		});
		return await Promise.race([work(ended), stopped]);
	} finally {
		clearTimeout(timer);
		ended.removeEventListener("abort", stop);
	}
}
