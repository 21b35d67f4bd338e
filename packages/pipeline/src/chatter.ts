import { ProtocolViolationError } from "@tabmesh/wire";

/** Messages that may come at once: what an honest peer has said to one that slept for minutes. */
const BURST = 10_000;
/** Of them so many are forgiven in a second: signs of life, lines kept awake and progress come to a tenth of it. */
const PER_SECOND = 500;

/** How much a peer says that brings nothing forward: each is quick to read, and a line carries tens of thousands a second. */
export class Chatter {
	#said = 0;
	#at = performance.now();

	/** One message more. @throws ProtocolViolationError when there are more than anybody has a reason for */
	heard(): void {
		const now = performance.now();
		this.#said = Math.max(0, this.#said - ((now - this.#at) * PER_SECOND) / 1000) + 1;
		this.#at = now;
		if (this.#said > BURST) throw new ProtocolViolationError("A peer sends messages without end.");
	}
}
