import type { StoredRecord } from "./record.ts";
import type { RecordStore } from "./recordStore.ts";

/** Carries the replica's changes to the disk: one write at a time, and whatever comes meanwhile together in the next. */
export class WriteBehind {
	readonly #store: RecordStore;
	readonly #place: string;
	readonly #onFailure: (cause: unknown) => void;
	#put = new Map<string, StoredRecord>();
	#remove = new Set<string>();
	#running: Promise<void> | undefined;
	#failing = false;

	constructor(store: RecordStore, place: string, onFailure: (cause: unknown) => void) {
		this.#store = store;
		this.#place = place;
		this.#onFailure = onFailure;
	}

	note(put: readonly StoredRecord[], remove: readonly StoredRecord[]): void {
		for (const record of put) this.#put.set(record.id, record);
		for (const { id } of remove) {
			this.#put.delete(id);
			this.#remove.add(id);
		}
		if (this.#put.size + this.#remove.size > 0) this.#running ??= this.#run();
	}

	/** Whether the last write did not reach the disk. It is tried again with the next one. */
	get failing(): boolean {
		return this.#failing;
	}

	/** Resolves when all that was noted before is on the disk, or the disk refused it. */
	async flushed(): Promise<void> {
		while (this.#running) await this.#running;
	}

	async #run(): Promise<void> {
		// Not at once: what one message brings is noted in one turn.
		await undefined;
		while (this.#put.size + this.#remove.size > 0) {
			const put = this.#put;
			const remove = this.#remove;
			this.#put = new Map();
			this.#remove = new Set();
			const records = [...put.values()].map(({ id, wire }) => ({ id, wire }));
			try {
				await this.#store.apply(this.#place, records, [...remove]);
				this.#failing = false;
			} catch (cause) {
				this.#failing = true;
				this.#onFailure(cause);
				// What came meanwhile is newer; what it replaced need not be written any more.
				for (const id of this.#remove) put.delete(id);
				this.#put = new Map([...put, ...this.#put]);
				this.#remove = new Set([...remove, ...this.#remove]);
				break;
			}
		}
		this.#running = undefined;
	}
}
