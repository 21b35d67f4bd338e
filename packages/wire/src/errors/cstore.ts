import { TabmeshError, type TabmeshErrorOptions } from "./base.ts";

/** Thrown when a key names no key space, or one that this peer may not write to. */
export class KeySpaceError extends TabmeshError {
	override name = "KeySpaceError";
	override readonly code = "KeySpace";
}

/** Thrown when a value is larger than shared state carries; files belong into R1FS and their CID into the value. */
export class ValueTooLargeError extends TabmeshError {
	override name = "ValueTooLargeError";
	override readonly code = "ValueTooLarge";
}

/** Thrown when an author has used up the room that every peer of its room gives it. */
export class AuthorQuotaError extends TabmeshError {
	override name = "AuthorQuotaError";
	override readonly code = "AuthorQuota";
}

/** Thrown when fewer peers than asked for have signed that they keep a write. The write itself stands and spreads. */
export class WriteQuorumError extends TabmeshError {
	override name = "WriteQuorumError";
	override readonly code = "WriteQuorum";
	/** Peer ids of those who did sign. */
	readonly answered: readonly string[];

	constructor(shortMessage: string, options: TabmeshErrorOptions & { answered?: readonly string[] } = {}) {
		super(shortMessage, options);
		this.answered = options.answered ?? [];
	}
}

/** Thrown when a peer is comparing its shared state with another already; it will have time in a moment. */
export class StoreBusyError extends TabmeshError {
	override name = "StoreBusyError";
	override readonly code = "StoreBusy";
}
