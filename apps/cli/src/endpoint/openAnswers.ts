import { StageLostError } from "@tabmesh/wire";

/** The answers being written, and their end when the endpoint stops. */
export class OpenAnswers {
	#size = 0;
	#draining = false;
	readonly #ended = new AbortController();

	/** How many there are. */
	get size(): number {
		return this.#size;
	}

	get draining(): boolean {
		return this.#draining;
	}

	/**
	 * One more. Call `end` when it is over.
	 *
	 * @param gone - aborted when nobody waits for it any more
	 */
	begin(gone: AbortSignal): { readonly signal: AbortSignal; end(): void } {
		this.#size++;
		let over = false;
		return {
			signal: AbortSignal.any([gone, this.#ended.signal]),
			end: () => {
				if (!over) this.#size--;
				over = true;
			},
		};
	}

	/** Takes nothing new from now on, and ends what still runs after `ms`. */
	drain(ms: number): void {
		this.#draining = true;
		const timer = setTimeout(() => {
			this.#ended.abort(new StageLostError("The endpoint was stopped in the middle of the answer."));
		}, ms);
		timer.unref();
	}
}
