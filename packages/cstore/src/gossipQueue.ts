/** Messages a second, and at once: half of what a relay takes from one peer before it calls it a flood. */
const perSecond = 10;
const atOnce = 100;
/** What waits beyond this is left to repair, the oldest first. */
const waitingAtMost = 1_000;

/** Publishes no faster than neighbours accept. What is dropped or lost here, repair brings. */
export class GossipQueue {
	readonly #publish: (message: Uint8Array) => Promise<void>;
	readonly #waiting: Uint8Array[] = [];
	#budget = atOnce;
	#at = performance.now();
	#running: Promise<void> | undefined;
	#stopped = false;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#wake: (() => void) | undefined;

	constructor(publish: (message: Uint8Array) => Promise<void>) {
		this.#publish = publish;
	}

	push(message: Uint8Array): void {
		if (this.#stopped) return;
		this.#waiting.push(message);
		if (this.#waiting.length > waitingAtMost) this.#waiting.shift();
		this.#running ??= this.#run();
	}

	/** Resolves when all that was pushed before has left, or `signal` says that it need not. */
	async flushed(signal: AbortSignal): Promise<void> {
		const given = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
		await Promise.race([this.#running, given]);
	}

	stop(): void {
		this.#stopped = true;
		this.#waiting.length = 0;
		clearTimeout(this.#timer);
		this.#wake?.();
	}

	async #run(): Promise<void> {
		for (let message = this.#waiting.shift(); message; message = this.#waiting.shift()) {
			const now = performance.now();
			this.#budget = Math.min(atOnce, this.#budget + ((now - this.#at) / 1000) * perSecond);
			this.#at = now;
			if (this.#budget < 1) {
				await new Promise<void>((resolve) => {
					this.#wake = resolve;
					this.#timer = setTimeout(resolve, 1000 / perSecond);
				});
				this.#wake = undefined;
				if (this.#stopped) break;
			}
			this.#budget -= 1;
			// Nobody listening is no failure: whoever comes later asks for everything.
			await this.#publish(message).catch(() => {});
		}
		this.#running = undefined;
	}
}
