import { createIdentity } from "@tabmesh/dauth";
import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import { createPeer, type Peer } from "@tabmesh/transport";
import { storePromises } from "../src/blockStore.conformance.ts";
import { openIndexedBlockStore } from "../src/indexedBlockStore.ts";
import * as raw from "./rawChannel.ts";

declare global {
	/** Given by the test: what was acknowledged outlives the page. */
	function acknowledged(cid: string): void;
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

let peer: Peer | undefined;
let files: R1fs | undefined;
let places = 0;

/** What the tests, which run in Node, call in this page. */
const harness = {
	titles: storePromises({ lasting: true }).map(({ title }) => title),

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

	/** Adds files until the page is killed, and says which were acknowledged. */
	async addUntilKilled(seed: number): Promise<void> {
		files = createR1fs({ store: await openBlockStore({ name: "killed", budgetBytes: 4096 * MiB }) });
		for (let i = 0; ; i++) {
			const { cid } = await files.add(seededBytes(100_000 + ((i * 77_777) % (2 * MiB)), seed * 1000 + i));
			acknowledged(cid);
		}
	},

	/** Which of these files cannot be read, and what the store says of itself. */
	async lost(cids: string[]): Promise<{ lost: string[]; usedBytes: number; storedBytes: number }> {
		const reading = createR1fs({ store: await openBlockStore({ name: "killed", budgetBytes: 4096 * MiB }) });
		const lost: string[] = [];
		for (const cid of cids)
			await reading
				.get(cid)
				.bytes()
				.catch(() => lost.push(cid));
		const { usedBytes } = await reading.usage();
		const kept = await reading.list();
		await reading.close();
		return { lost, usedBytes, storedBytes: kept.reduce((sum, file) => sum + file.storedBytes, 0) };
	},

	async join(relays: string[]): Promise<string> {
		peer = await createPeer({ identity: await createIdentity(), relays, agent: "r1fs-page/1" });
		return peer.id;
	},

	/** Opens the room over `join`'s peer; `providers` are the peers that are asked. */
	async open(budgetBytes: number, providers: string[]): Promise<void> {
		const store = await openBlockStore({ name: "room", budgetBytes });
		files = createR1fs({
			store,
			...(peer ? { peer } : {}),
			providers: {
				async *find() {
					for (const id of providers) yield { peer: id };
				},
				async provide() {},
			},
		});
	},

	async meet(ids: string[]): Promise<void> {
		await Promise.all(ids.map((id) => peer!.ping(id)));
	},

	async add(bytes: number, seed: number): Promise<{ cid: string; ms: number }> {
		const content = seededBytes(bytes, seed);
		const start = performance.now();
		const { cid } = await files!.add(content);
		return { cid, ms: performance.now() - start };
	},

	/** Reads a file piece by piece. With `store`, the time ends when all of it is kept. */
	async get(cid: string, store = true): Promise<{ ms: number; bytes: number; from: Record<string, number> }> {
		let from: Record<string, number> = {};
		let bytes = 0;
		const start = performance.now();
		const reading = files!.get(cid, {
			store,
			onProgress: ({ sources }) => {
				from = Object.fromEntries(sources.map((source) => [source.name, source.bytes]));
			},
		});
		for await (const piece of reading) bytes += piece.byteLength;
		return { ms: performance.now() - start, bytes, from };
	},

	async remove(cid: string): Promise<number> {
		return files!.remove(cid);
	},

	async usage(): ReturnType<R1fs["usage"]> {
		return files!.usage();
	},

	/** Adds a stream of that length, so that nothing but the room itself could hold it in memory. */
	async addStream(bytes: number): Promise<{ cid: string; ms: number }> {
		async function* stream(): AsyncGenerator<Uint8Array> {
			for (let at = 0; at < bytes; at += MiB) yield seededBytes(Math.min(MiB, bytes - at), at / MiB + 1);
		}
		const start = performance.now();
		const { cid } = await files!.add(stream());
		return { cid, ms: performance.now() - start };
	},

	raw,
};

export type R1fsHarness = typeof harness;
Object.assign(globalThis, { harness });
