/** The newest message of one author on one topic. */
interface Remembered {
	readonly sequence: number;
	readonly message: Uint8Array;
	readonly until: number;
}

export interface RendezvousStoreInit {
	/** How long a message is remembered, in milliseconds. */
	expiryMs: number;
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** Authors remembered per topic: a room larger than that needs more than one relay. */
const authorsPerTopic = 5_000;
/** Bytes remembered in all: ten thousand announcements with room to spare. */
const bytesInAll = 16 * 1024 * 1024;

/** What a relay remembers for newcomers: per topic the newest message of each author, for a while. */
export class RendezvousStore {
	readonly #topics = new Map<string, Map<string, Remembered>>();
	readonly #expiryMs: number;
	readonly #now: () => number;
	#bytes = 0;

	constructor(init: RendezvousStoreInit) {
		this.#expiryMs = init.expiryMs;
		this.#now = init.now ?? Date.now;
	}

	/** Messages remembered now, expired ones included until somebody looks. */
	get size(): number {
		let size = 0;
		for (const authors of this.#topics.values()) size += authors.size;
		return size;
	}

	/** Takes a message if it is newer than what is known of its author; false where there is no room. */
	remember(topic: string, author: string, sequence: number, message: Uint8Array): boolean {
		const authors = this.#topics.get(topic) ?? new Map<string, Remembered>();
		const known = authors.get(author);
		if (known && known.sequence >= sequence) return true;
		if (!known && authors.size >= authorsPerTopic) this.#sweep();
		const bytes = this.#bytes - (known?.message.byteLength ?? 0) + message.byteLength;
		if (bytes > bytesInAll || (!known && authors.size >= authorsPerTopic)) return false;
		this.#bytes = bytes;
		authors.delete(author);
		authors.set(author, { sequence, message, until: this.#now() + this.#expiryMs });
		this.#topics.set(topic, authors);
		return true;
	}

	/** What has not expired, the oldest first. */
	recall(topic: string): Uint8Array[] {
		this.#sweep();
		return [...(this.#topics.get(topic)?.values() ?? [])].map(({ message }) => message);
	}

	/** An author that left. */
	forget(author: string): void {
		for (const topic of this.#topics.keys()) this.#delete(topic, author);
	}

	#sweep(): void {
		const now = this.#now();
		for (const [topic, authors] of this.#topics) {
			// In the order of their expiry: every entry is put at the end with the same time to live.
			for (const [author, { until }] of authors) {
				if (until > now) break;
				this.#delete(topic, author);
			}
		}
	}

	#delete(topic: string, author: string): void {
		const authors = this.#topics.get(topic);
		const known = authors?.get(author);
		if (!authors || !known) return;
		this.#bytes -= known.message.byteLength;
		authors.delete(author);
		if (authors.size === 0) this.#topics.delete(topic);
	}
}
