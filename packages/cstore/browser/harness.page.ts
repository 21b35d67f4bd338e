import { type KeptRecord, openRecordStore, type RecordStore } from "@tabmesh/cstore";

declare global {
	/** Given by the test: what was acknowledged outlives the page. */
	function acknowledged(id: string): void;
}

const name = "records";

/** A record that nobody signed: the store keeps it as it is. Every seventh has values beside its envelope. */
function record(n: number): KeptRecord {
	return {
		id: n.toString(16).padStart(64, "0"),
		wire: [new Uint8Array(300).fill(n), n % 7 === 0 ? [new Uint8Array(20_000).fill(n)] : []],
	};
}

let store: RecordStore;

/** What the tests, which run in Node, call in this page. */
const harness = {
	/** Why nothing is kept; undefined where it is. */
	async open(): Promise<string | undefined> {
		store = await openRecordStore({ name });
		return store.degraded;
	},

	async apply(room: string, put: number[], remove: number[]): Promise<void> {
		await store.apply(
			room,
			put.map(record),
			remove.map((n) => record(n).id),
		);
	},

	/** Numbers of the records that are kept and whole. */
	async load(room: string): Promise<number[]> {
		const kept = await store.load(room);
		return kept
			.filter(({ id, wire: [envelope, values] }) => {
				const { wire } = record(Number.parseInt(id, 16));
				return String(envelope) === String(wire[0]) && String(values) === String(wire[1]);
			})
			.map(({ id }) => Number.parseInt(id, 16))
			.sort((a, b) => a - b);
	},

	/** Replaces records by newer ones, ten in one write, until the page is killed. */
	async replaceUntilKilled(from: number): Promise<void> {
		for (let n = from; ; n += 10) {
			const fresh = Array.from({ length: 10 }, (_, i) => n + i);
			await harness.apply(
				"killed",
				fresh,
				fresh.map((each) => each - 10),
			);
			acknowledged(String(n));
		}
	},
};

export type CstoreHarness = typeof harness;
Object.assign(globalThis, { harness });
