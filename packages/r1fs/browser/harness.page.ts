import { createR1fs, type Degradation, openBlockStore } from "@tabmesh/r1fs";
import { CID } from "multiformats/cid";
import { storePromises } from "../src/blockStore.conformance.ts";
import { openIndexedBlockStore } from "../src/indexedBlockStore.ts";

declare global {
	/** Given by the test: what was acknowledged outlives the page. */
	function acknowledged(kind: "block" | "file", cid: string): void;
}

const MiB = 1024 * 1024;

/** Bytes that look random and are the same for the same seed. */
function seededBytes(bytes: number, seed: number): Uint8Array<ArrayBuffer> {
	const words = new Uint32Array(Math.ceil(bytes / 4));
	let state = seed * 2654435761 + 1;
	for (let i = 0; i < words.length; i++) {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		words[i] = state;
	}
	return new Uint8Array(words.buffer, 0, bytes);
}

/** The store that every tab of the killed ones writes to. Without IndexedDB it would be memory, and prove nothing. */
async function openKilled() {
	const store = await openBlockStore({ name: "killed", budgetBytes: 4096 * MiB });
	const { degraded } = await store.usage();
	if (degraded) throw new Error(degraded.message);
	return store;
}

let places = 0;

/** What the tests, which run in Node, call in this page. */
const harness = {
	/** Holds one promise of every block store with this browser's IndexedDB; the error comes back as text. */
	async hold(title: string): Promise<string | undefined> {
		const promise = storePromises({ lasting: true }).find((each) => each.title === title);
		const name = `promise-${places++}`;
		try {
			await promise!.hold((budgetBytes = 64 * MiB) => openIndexedBlockStore({ name, budgetBytes }));
			return undefined;
		} catch (error) {
			return `${error}\n${(error as Error).stack}`;
		}
	},

	async keepInMemory(): Promise<{ read: unknown; degraded: Degradation | undefined }> {
		const files = createR1fs({ store: await openBlockStore() });
		const { cid } = await files.add("read again");
		const read = await files.get(cid).json();
		const { degraded } = await files.usage();
		await files.close();
		return { read, degraded };
	},

	/** Adds files until the page is killed, and says which blocks and files were acknowledged. */
	async addUntilKilled(seed: number): Promise<void> {
		const store = await openKilled();
		const put = store.put.bind(store);
		store.put = async (cid, bytes, options) => {
			await put(cid, bytes, options);
			acknowledged("block", cid.toString());
		};
		const files = createR1fs({ store });
		for (let i = 0; ; i++) {
			const { cid } = await files.add(seededBytes(100_000 + ((i * 777_777) % (3 * MiB)), seed * 1000 + i));
			acknowledged("file", cid);
		}
	},

	/** Which of these blocks and files are not here any more, and what the store says of itself. */
	async lost(
		blocks: string[],
		files: string[],
	): Promise<{ lost: string[]; usedBytes: number; storedBytes: number }> {
		const store = await openKilled();
		const reading = createR1fs({ store });
		const lost: string[] = [];
		for (const cid of blocks) if (!(await store.get(CID.parse(cid)))) lost.push(cid);
		for (const cid of files) {
			await reading
				.get(cid, { offline: true })
				.bytes()
				.catch(() => lost.push(cid));
		}
		const { usedBytes } = await reading.usage();
		const kept = await reading.list();
		await reading.close();
		return { lost, usedBytes, storedBytes: kept.reduce((sum, file) => sum + file.storedBytes, 0) };
	},
};

export type R1fsHarness = typeof harness;
Object.assign(globalThis, { harness });
