import {
	type Cstore,
	type CstoreInit,
	createCstore,
	openRecordStore,
	type RecordStore,
} from "@tabmesh/cstore";

/** The room's shared state, joined when it is first asked for: who only asks and lends does without. */
export class RoomState {
	readonly #init: Omit<CstoreInit, "store">;
	readonly #file: string | undefined;
	#opening: Promise<{ state: Cstore; store: RecordStore }> | undefined;

	/** @param file - Node: where it is kept */
	constructor(init: Omit<CstoreInit, "store">, file: string | undefined) {
		this.#init = init;
		this.#file = file;
	}

	async open(): Promise<Cstore> {
		this.#opening ??= this.#start();
		return (await this.#opening).state;
	}

	/** Says what is still to be said, and lets go. */
	async close(): Promise<void> {
		const opened = await this.#opening?.catch(() => undefined);
		await opened?.state.stop();
		await opened?.store.close();
	}

	async #start(): Promise<{ state: Cstore; store: RecordStore }> {
		const store = await openRecordStore(this.#file === undefined ? {} : { file: this.#file });
		try {
			return { state: await createCstore({ ...this.#init, store }), store };
		} catch (error) {
			this.#opening = undefined;
			await store.close();
			throw error;
		}
	}
}
