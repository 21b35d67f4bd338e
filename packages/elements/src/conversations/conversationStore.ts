/** A conversation as it stands in the list. */
export interface ConversationHead {
	readonly id: string;
	readonly title: string;
	/** Milliseconds since 1970. */
	readonly createdAt: number;
	readonly updatedAt: number;
	/** The turn that was shown last: with those before it, one way through the versions. */
	readonly leaf: string;
}

/** A turn as it is kept; what is in it is `Turn`'s business. */
export interface KeptTurn {
	readonly id: string;
	readonly conversation: string;
	/** The turn before it; undefined for the first. Turns with the same one are versions of each other. */
	readonly parent: string | undefined;
	readonly createdAt: number;
	readonly status: string;
	readonly [more: string]: unknown;
}

/**
 * Conversations on this device, as the chat needs them. Several tabs write to the same ones at once: every turn is a record of its
 * own, so that nobody overwrites what another tab wrote. Every method may fail with a typed error that says why nothing was kept.
 */
export interface ConversationStore {
	/** The newest first. @param search - only those in whose title or text this occurs */
	list(search?: string): Promise<readonly ConversationHead[]>;
	/** Undefined where there is none, or none any more. A turn whose tab is gone comes as `stopped`. */
	read(
		id: string,
	): Promise<{ readonly head: ConversationHead; readonly turns: readonly KeptTurn[] } | undefined>;
	/**
	 * Keeps a turn, and shows it last.
	 *
	 * @param title - where the conversation is new: what it is called
	 * @returns false where it was deleted meanwhile, and nothing is kept
	 */
	save(turn: KeptTurn, title: string | undefined): Promise<boolean>;
	/** Tells other tabs that this one writes a turn, until `done`. */
	hold(turn: string, done: Promise<void>): void;
	/** Shows another way through the versions. */
	select(id: string, leaf: string): Promise<void>;
	rename(id: string, title: string): Promise<void>;
	/** Takes it off the list; `restore` brings it back for a minute. */
	remove(id: string): Promise<void>;
	restore(id: string): Promise<void>;
	settings(): Promise<unknown>;
	saveSettings(settings: unknown): Promise<void>;
	/** @returns what ends it. @param onChange - called when a conversation was changed, here or in another tab */
	watch(onChange: (id: string) => void): () => void;
}
