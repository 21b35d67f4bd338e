/**
 * Watches a growing text for strings that end it, and holds back what may be the beginning of one: half a stop string
 * must never be shown.
 */
export class StopStrings {
	readonly #stops: readonly string[];
	#held = "";
	#hit = false;

	constructor(stops: readonly string[]) {
		this.#stops = stops;
	}

	/** Whether one of them came. */
	get hit(): boolean {
		return this.#hit;
	}

	/** Takes the next piece; gives what can be shown of the text so far, up to the first stop string. */
	push(piece: string): { readonly shown: string; readonly stopped: boolean } {
		const text = this.#held + piece;
		const found = this.#stops
			.map((stop) => ({ start: text.indexOf(stop), length: stop.length }))
			.filter(({ start }) => start >= 0);
		if (found.length > 0) {
			this.#held = "";
			this.#hit = true;
			// The one that is complete first ends the text, so that the result does not depend on how the text was cut.
			const end = Math.min(...found.map(({ start, length }) => start + length));
			const start = Math.min(
				...found.filter((stop) => stop.start + stop.length === end).map((stop) => stop.start),
			);
			return { shown: text.slice(0, start), stopped: true };
		}
		const kept = Math.max(0, ...this.#stops.map((stop) => overlap(text, stop)));
		this.#held = text.slice(text.length - kept);
		return { shown: text.slice(0, text.length - kept), stopped: false };
	}

	/** The rest, when nothing more comes. */
	flush(): string {
		const rest = this.#held;
		this.#held = "";
		return rest;
	}
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
	for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
		if (text.endsWith(stop.slice(0, length))) return length;
	}
	return 0;
}
