/** How often the clock is looked at, where the browser lets it. */
const tickMs = 2_000;
/** A page that is seen ticks at least this often, unless its device sleeps. */
const seenGapMs = 10_000;
/** Browsers let the timers of a hidden page come once a minute. */
const hiddenGapMs = 90_000;

/** A time in which this page could not serve, whatever it wanted. */
export interface Absence {
	/** `frozen`: the browser stopped the page; `asleep`: the device stood still; `offline`: it had no network. */
	readonly why: "frozen" | "asleep" | "offline";
	/** Milliseconds since 1970. */
	readonly since: number;
	/** When it ended; undefined while it lasts. */
	readonly until: number | undefined;
}

/**
 * Tells when the browser is about to stop this page, when the device had fallen asleep, and when there is no network: at its
 * beginning, as far as that can be known, and at its end. In Node only sleep is.
 *
 * @see https://wicg.github.io/page-lifecycle/
 * @returns stops looking
 */
export function watchAbsence(onAbsence: (absence: Absence) => void): () => void {
	const stopping = new AbortController();
	const { signal } = stopping;
	let frozenSince: number | undefined;
	let offlineSince: number | undefined;
	let ticked = Date.now();
	const { document } = globalThis;

	const tick = (): void => {
		const [last, now] = [ticked, Date.now()];
		ticked = now;
		const longest = document?.visibilityState === "hidden" ? hiddenGapMs : seenGapMs;
		if (frozenSince === undefined && now - last > longest)
			onAbsence({ why: "asleep", since: last, until: now });
	};
	const timer = setInterval(tick, tickMs);
	(timer as { unref?(): void }).unref?.();

	const listen = (target: EventTarget | undefined, type: string, listener: () => void): void =>
		target?.addEventListener?.(type, listener, { signal });
	listen(document, "freeze", () => {
		frozenSince = Date.now();
		onAbsence({ why: "frozen", since: frozenSince, until: undefined });
	});
	listen(document, "resume", () => {
		const since = frozenSince ?? ticked;
		frozenSince = undefined;
		ticked = Date.now();
		onAbsence({ why: "frozen", since, until: ticked });
	});
	// Becoming hidden or seen changes how often timers come: the next gap is measured from here.
	listen(document, "visibilitychange", tick);
	if (document) {
		listen(globalThis, "offline", () => {
			offlineSince = Date.now();
			onAbsence({ why: "offline", since: offlineSince, until: undefined });
		});
		listen(globalThis, "online", () => {
			if (offlineSince === undefined) return;
			const since = offlineSince;
			offlineSince = undefined;
			onAbsence({ why: "offline", since, until: Date.now() });
		});
	}
	return () => {
		clearInterval(timer);
		stopping.abort();
	};
}
