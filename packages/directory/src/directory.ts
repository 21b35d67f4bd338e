import type { Announcement } from "@tabmesh/wire";

/** One peer as the swarm knows it now. */
export interface Member extends Announcement {
	readonly peer: string;
	/** When the announcement was signed, by its author's clock. */
	readonly announced: number;
}

export interface DirectoryEvents {
	/** Somebody came, changed or left; at most one event per animation frame's worth of changes. */
	change: Event;
}

/** Who is there and holds what: a typed view of the swarm, kept fresh by signed announcements and signs of life. */
export interface Directory {
	/** Everybody in the room who announced itself and was heard lately, ourselves included, sorted by peer id. */
	readonly members: readonly Member[];
	member(peer: string): Member | undefined;
	/** Whether a peer may do this in the room: everybody in a public one, in a private one whose capability grants it. */
	allows(peer: string, action: string): boolean;
	/** Replaces what we announce about ourselves; spread at once where it is news, and kept up until `leave`. */
	announce(announcement: Announcement): Promise<void>;
	/** Takes the announcement back: everybody hears of it at once. */
	leave(): Promise<void>;
	addEventListener<K extends keyof DirectoryEvents>(
		type: K,
		listener: (event: DirectoryEvents[K]) => void,
	): void;
	removeEventListener<K extends keyof DirectoryEvents>(
		type: K,
		listener: (event: DirectoryEvents[K]) => void,
	): void;
	stop(): Promise<void>;
}
