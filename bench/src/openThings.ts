type Close = () => unknown;

/** What a bench has started: closed in the reverse order at its end, whether that is its own, an error's or a signal's. */
export class OpenThings {
	readonly #closers: Close[] = [];

	constructor() {
		for (const signal of ["SIGINT", "SIGTERM"] as const) {
			process.once(signal, () => void this.close().finally(() => process.exit(1)));
		}
	}

	/** Remembers how `thing` is closed, and gives it back. */
	add<T>(thing: T, close: (thing: T) => unknown): T {
		this.#closers.push(() => close(thing));
		return thing;
	}

	async close(): Promise<void> {
		for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
			try {
				await close();
			} catch (error) {
				// The others have to go, too.
				console.error(error);
			}
		}
	}
}
