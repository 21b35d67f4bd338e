/** What a capability token says. */
export interface Capability {
	readonly room: string;
	/** What it grants: `ask`, `lend`, … */
	readonly actions: readonly string[];
	/** Milliseconds since 1970; 0 when it began with its making. */
	readonly notBefore: number;
	/** Milliseconds since 1970; from then on it is worth nothing. */
	readonly expires: number;
	/** The peer that may show it or pass it on; undefined for a link, which is good for whoever has it. */
	readonly holder: string | undefined;
	/** An id for every link of its chain, first the owner's: revoking one revokes all that came from it. */
	readonly ids: readonly string[];
}

/** How a capability is narrowed on its way to somebody else. What is left out stays as it is. */
export interface CapabilityNarrowing {
	actions?: readonly string[];
	/** Milliseconds since 1970. */
	notBefore?: number;
	/** Milliseconds since 1970. */
	expires?: number;
	/** The peer that it is for; without it, it becomes a link for whoever has it. */
	to?: string;
}
