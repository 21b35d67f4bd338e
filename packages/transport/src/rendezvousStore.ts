/** What one author said last about one thing. */
interface Remembered {
	readonly sequence: number;
	readonly message: Uint8Array;
	readonly until: number;
	/** Whether it only says that its author is here: worth nothing once that is over. */
	readonly passing: boolean;
}

/** A message to remember. */
export interface ToRemember {
	topic: string;
	/** Peer id. */
	author: string;
	/** What it is about: a newer message of its author about the same takes its place. */
	subject: string;
	/** Rises with every message of this author. */
	sequence: number;
	message: Uint8Array;
	/** How long it is remembered, in milliseconds. */
	lifeMs: number;
	/** Whether it is forgotten when its author leaves. */
	passing: boolean;
}

export interface RendezvousStoreInit {
	/** Milliseconds since 1970. @default Date.now */
	now?: () => number;
}

/** Authors remembered per topic: a room larger than that needs more than one relay. */
const authorsPerTopic = 5_000;
/** Messages remembered of one author on one topic: that it is here, how it became a member, what it announces, and one more. */
const subjectsPerAuthor = 4;
/** Bytes remembered in all: what ten thousand peers announce, with room to spare. */
const bytesInAll = 16 * 1024 * 1024;

/** One topic. Its authors are in the order in which they were heard last. */
interface Topic {
	readonly authors: Map<string, Map<string, Remembered>>;
	bytes: number;
}

/**
 * What a relay remembers for newcomers: per topic and author the newest message about each thing, for a while. Where there
 * is no room, whoever was not heard for longest is forgotten first, on the topic that takes most.
 */
export class RendezvousStore {
	readonly #topics = new Map<string, Topic>();
	readonly #now: () => number;
	#bytes = 0;

	constructor(init: RendezvousStoreInit = {}) {
		this.#now = init.now ?? Date.now;
	}

	/** Messages remembered now, expired ones included until somebody looks. */
	get size(): number {
		let size = 0;
		for (const { authors } of this.#topics.values()) {
			for (const subjects of authors.values()) size += subjects.size;
		}
		return size;
	}

	/** Takes a message if it is newer than what is known of its author about the same. */
	remember({ topic, author, subject, sequence, message, lifeMs, passing }: ToRemember): void {
		const known = this.#topics.get(topic)?.authors.get(author);
		if ((known?.get(subject)?.sequence ?? -1) >= sequence) return;
		this.#drop(topic, author, subject);
		if (known && known.size >= subjectsPerAuthor) this.#drop(topic, author, known.keys().next().value!);
		const place = this.#topics.get(topic) ?? {
			authors: new Map<string, Map<string, Remembered>>(),
			bytes: 0,
		};
		const subjects = place.authors.get(author) ?? new Map<string, Remembered>();
		subjects.set(subject, { sequence, message, passing, until: this.#now() + lifeMs });
		place.authors.delete(author);
		place.authors.set(author, subjects);
		this.#topics.set(topic, place);
		this.#count(place, message.byteLength);
		if (place.authors.size > authorsPerTopic) this.#forgetLongestSilent(topic, place);
		while (this.#bytes > bytesInAll) {
			const [name, largest] = [...this.#topics].reduce((a, b) => (b[1].bytes > a[1].bytes ? b : a));
			this.#forgetLongestSilent(name, largest);
		}
	}

	/** What has not expired, whoever was heard last first. */
	recall(topic: string): Uint8Array[] {
		const now = this.#now();
		const place = this.#topics.get(topic);
		for (const [author, subjects] of place?.authors ?? []) {
			for (const [subject, { until }] of subjects) if (until <= now) this.#drop(topic, author, subject);
		}
		const authors = [...(place?.authors.values() ?? [])].reverse();
		return authors.flatMap((subjects) => [...subjects.values()].map(({ message }) => message));
	}

	/**
	 * An author left: what it wrote still holds, that it is here does not.
	 *
	 * @returns of each topic on which it spoke the newest of its messages
	 */
	left(author: string): { topic: string; sequence: number; message: Uint8Array }[] {
		const last = [];
		for (const [topic, { authors }] of this.#topics) {
			let newest: Remembered | undefined;
			for (const [subject, said] of authors.get(author) ?? []) {
				if (said.sequence > (newest?.sequence ?? -1)) newest = said;
				if (said.passing) this.#drop(topic, author, subject);
			}
			if (newest) last.push({ topic, sequence: newest.sequence, message: newest.message });
		}
		return last;
	}

	#forgetLongestSilent(topic: string, { authors }: Topic): void {
		const [author, subjects] = authors.entries().next().value!;
		for (const subject of subjects.keys()) this.#drop(topic, author, subject);
	}

	#drop(topic: string, author: string, subject: string): void {
		const place = this.#topics.get(topic);
		const subjects = place?.authors.get(author);
		const known = subjects?.get(subject);
		if (!place || !subjects || !known) return;
		this.#count(place, -known.message.byteLength);
		subjects.delete(subject);
		if (subjects.size === 0) place.authors.delete(author);
		if (place.authors.size === 0) this.#topics.delete(topic);
	}

	#count(place: Topic, bytes: number): void {
		place.bytes += bytes;
		this.#bytes += bytes;
	}
}
