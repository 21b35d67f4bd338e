/** A running stream as admission sees it. */
interface Occupant {
	/** About how long it goes on, in milliseconds, if it writes as much as it may; undefined before its pace is known. */
	readonly remainingMs: number | undefined;
	/** What it gives back then: bytes, or one place. */
	readonly frees: number;
}

/**
 * In how many milliseconds so much is free at the latest, if all goes on as it does; undefined where what runs does not say
 * enough, or all of it would not do.
 */
export function busyFor(occupants: readonly Occupant[], needed: number): number | undefined {
	let left = needed;
	const known = occupants.flatMap(({ remainingMs, frees }) =>
		remainingMs === undefined ? [] : [{ remainingMs, frees }],
	);
	for (const { remainingMs, frees } of known.sort((a, b) => a.remainingMs - b.remainingMs)) {
		left -= frees;
		if (left <= 0) return Math.ceil(remainingMs);
	}
	return undefined;
}

/** As people say it: "about 12 seconds". */
export function inAbout(ms: number): string {
	const seconds = Math.max(1, Math.ceil(ms / 1000));
	if (seconds < 90) return `about ${seconds} ${seconds === 1 ? "second" : "seconds"}`;
	return `about ${Math.ceil(seconds / 60)} minutes`;
}
