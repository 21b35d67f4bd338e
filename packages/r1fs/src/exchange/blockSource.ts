import type { Want } from "../readFile.ts";

/** Thrown inside the exchange when a source answers that it has not got a block. Never leaves the room. */
export class BlockMissing extends Error {
	override name = "BlockMissing";
}

/** Somewhere blocks can be had from: a peer, or an origin on the web. */
export interface BlockSource {
	/** Peer id, or the origin of the URL. What is counted and shown under it. */
	readonly name: string;
	/** Requests that may be under way at once, at most. */
	readonly maxInFlight: number;
	/** Whether it could have this block at all. */
	offers(want: Want): boolean;
	/**
	 * The bytes as the source gave them, not yet checked, of at most the length a block may have.
	 *
	 * @throws BlockMissing when it has not got it; anything else when it fails
	 */
	fetch(want: Want, signal: AbortSignal): Promise<Uint8Array>;
	/** It gave bytes with the wrong hash, or fell silent. */
	accuse(offence: "wrong-bytes" | "timeout"): void;
	close(): void;
}
