/** What a volunteer may have to be told. */
export type NoticeName = "storageFull" | "delegation" | "discarded" | "phone";

/** What is known when that is decided. */
export interface NoticeFacts {
	/** Bytes that the browser still gives this site; undefined where nobody says. */
	readonly freeBytes: number | undefined;
	/** When the wallet's delegation runs out, in milliseconds since 1970; undefined where there is none. */
	readonly delegationEnds: number | undefined;
	/** Whether the browser threw the page away before, to save memory. */
	readonly discarded: boolean;
	/** Whether this is a device that stops what is out of sight. */
	readonly phone: boolean;
	/** Whether this tab lends now. */
	readonly lends: boolean;
}

const dayMs = 86_400_000;
/** Less than a layer of most models. */
const scarceBytes = 100e6;
/** Time enough to find the wallet. */
const soonMs = 3 * dayMs;
/** More at once are not read. */
const mostAtOnce = 2;
/** For how long what was read is not said again. */
export const quietMs: Record<NoticeName, number> = {
	storageFull: 7 * dayMs,
	delegation: dayMs,
	// The page that comes after the next discard is another one.
	discarded: 60_000,
	phone: 365 * dayMs,
};

/**
 * What to say now, the most urgent first.
 *
 * @param read - until when each is not to be said again, in milliseconds since 1970
 */
export function dueNotices(
	facts: NoticeFacts,
	read: Readonly<Partial<Record<NoticeName, number>>>,
	now: number,
): NoticeName[] {
	const { delegationEnds, discarded, freeBytes, lends, phone } = facts;
	const due: Record<NoticeName, boolean> = {
		discarded: discarded && !lends,
		delegation: delegationEnds !== undefined && delegationEnds > now && delegationEnds - now < soonMs,
		storageFull: lends && freeBytes !== undefined && freeBytes < scarceBytes,
		phone: lends && phone,
	};
	return (Object.keys(due) as NoticeName[])
		.filter((name) => due[name] && (read[name] ?? 0) <= now)
		.slice(0, mostAtOnce);
}
