const KiB = 1024;

/**
 * Bytes of the longest piece, with libp2p's frame: what Chromium, Safari and Node take, Firefox takes more. Between tabs
 * a channel that is fed so moves an eighth more than with 64 KiB.
 */
export const longestPiece = 256 * KiB - 64;

/** Bytes of the shortest, and of the first ones: little to wait behind even at 1 MB/s. */
const shortestPiece = 16 * KiB;

/**
 * Milliseconds that a piece may take. SCTP sends a message whole before it gives another stream its turn, so this is how
 * long the next token's frame waits behind a piece of a file on the same connection.
 */
const pieceMs = 32;

/** How much of what was measured still counts at the next credit. */
const remembered = 0.7;

/** How large the pieces of a bulk stream are: as large as its line carries in {@link pieceMs}, measured by the credits that come back. */
export class PieceSize {
	#underWay = 0;
	#since = 0;
	#bytes = 0;
	#ms = 0;

	/** Bytes of the next piece. */
	get piece(): number {
		if (this.#ms === 0) return shortestPiece;
		return Math.min(longestPiece, Math.max(shortestPiece, Math.floor((this.#bytes / this.#ms) * pieceMs)));
	}

	/** @param now - milliseconds of a clock that never goes back */
	sent(bytes: number, now: number): void {
		// What a stream rests is not the line's fault.
		if (this.#underWay === 0) this.#since = now;
		this.#underWay += bytes;
	}

	granted(bytes: number, now: number): void {
		this.#underWay -= bytes;
		this.#bytes = this.#bytes * remembered + bytes;
		this.#ms = this.#ms * remembered + Math.max(1, now - this.#since);
		this.#since = now;
	}
}
