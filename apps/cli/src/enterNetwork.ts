import { connect, type Tabmesh } from "@tabmesh/client";
import { checkInvitation } from "./checkInvitation.ts";

/** Where a command goes in to ask or to look. */
export interface Entry {
	relay: string;
	room?: string;
	/** An invitation to a private room: the word, its link, or a file with it. */
	capability?: string;
}

/** Reaches the network that a command names. @throws what `checkInvitation` and `connect` throw */
export async function enterNetwork(entry: Entry, signal: AbortSignal): Promise<Tabmesh> {
	const { relay, room } = entry;
	const capability = entry.capability === undefined ? undefined : await checkInvitation(entry.capability);
	return connect({
		relay,
		signal,
		...(room === undefined ? {} : { room }),
		...(capability === undefined ? {} : { capability }),
	});
}
