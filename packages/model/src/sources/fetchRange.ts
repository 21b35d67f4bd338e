import { ModelSourceError } from "@tabmesh/wire";
import { piecesOf } from "../bytes/piecesOf.ts";
import { retryDelay, wait } from "../bytes/retryDelay.ts";

/** A range of bytes of one file. */
export interface RangeRequest {
	readonly url: string;
	readonly offset: number;
	readonly length: number;
}

/** Tries per origin; servers that are busy for longer are left for another. */
const attempts = 4;
/** Milliseconds before the second try; doubled before each further one. */
const firstPause = 300;
/** Milliseconds without a byte after which a connection counts as dead. */
const stallLimit = 20_000;

/**
 * Fetches one range into `target`. Busy servers (429, 5xx) and broken connections are tried again after a pause, or after as long as
 * the server asks for.
 *
 * @param onBytes - told how many bytes more are here; a try that failed is taken back with a negative number
 * @throws ModelSourceError when the server refuses, does not know byte ranges, or keeps failing
 */
export async function fetchRange(
	request: RangeRequest,
	target: Uint8Array<ArrayBuffer>,
	signal: AbortSignal | undefined,
	onBytes: (bytes: number) => void,
): Promise<void> {
	for (let attempt = 1; ; attempt++) {
		let counted = 0;
		try {
			await fetchOnce(request, target, signal, (bytes) => {
				counted += bytes;
				onBytes(bytes);
			});
			return;
		} catch (error) {
			signal?.throwIfAborted();
			onBytes(-counted);
			if (attempt === attempts || error instanceof ModelSourceError) throw error;
			const delay = retryDelay(attempt, firstPause, error instanceof BusyServer ? error.retryAfter : null);
			if (delay === undefined) throw error;
			await wait(delay, signal);
		}
	}
}

/** Thrown inside this module for answers after which a second try makes sense. */
class BusyServer extends Error {
	/** The header in which the server asks to wait. */
	readonly retryAfter: string | null;

	constructor(status: number, retryAfter: string | null) {
		super(`The server answers ${status}.`);
		this.retryAfter = retryAfter;
	}
}

async function fetchOnce(
	{ url, offset, length }: RangeRequest,
	target: Uint8Array<ArrayBuffer>,
	signal: AbortSignal | undefined,
	onBytes: (bytes: number) => void,
): Promise<void> {
	const stalled = new AbortController();
	const stop = (): void => stalled.abort(new Error("No byte has arrived for a while."));
	let timer = setTimeout(stop, stallLimit);
	try {
		const response = await fetch(url, {
			headers: { range: `bytes=${offset}-${offset + length - 1}` },
			signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
		});
		const { status } = response;
		if (status === 429 || status >= 500) throw new BusyServer(status, response.headers.get("retry-after"));
		const whole = status === 200 && offset === 0 && Number(response.headers.get("content-length")) === length;
		if (status !== 206 && !whole) {
			await response.body?.cancel();
			throw status === 200
				? new ModelSourceError(`${hostOf(url)} does not serve byte ranges.`, {
						metaMessages: ["Serve the model's files from a server that answers Range requests."],
					})
				: new ModelSourceError(`${hostOf(url)} answers ${status}.`, { details: { status } });
		}
		let at = 0;
		for await (const bytes of piecesOf(response)) {
			if (at + bytes.byteLength > length) {
				throw new ModelSourceError(`${hostOf(url)} sends more than it was asked for.`);
			}
			target.set(bytes, at);
			at += bytes.byteLength;
			onBytes(bytes.byteLength);
			clearTimeout(timer);
			timer = setTimeout(stop, stallLimit);
		}
		if (at !== length) throw new Error("The connection was closed early.");
	} finally {
		clearTimeout(timer);
	}
}

function hostOf(url: string): string {
	return new URL(url).host;
}
