import { createIdentity } from "@tabmesh/dauth";
import { createR1fs, openBlockStore, type R1fs } from "@tabmesh/r1fs";
import { createPeer, type Peer } from "@tabmesh/transport";
import * as raw from "./rawChannel.ts";

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

let peer: Peer;
let files: R1fs;

/** What the bench, which runs in Node, calls in this page. */
const harness = {
	async join(relays: string[]): Promise<string> {
		peer = await createPeer({ identity: await createIdentity(), relays, agent: "bench/1" });
		return peer.id;
	},

	/** `providers` are the peers that are asked. */
	async open(budgetBytes: number, providers: string[]): Promise<void> {
		files = createR1fs({
			store: await openBlockStore({ name: "bench", budgetBytes }),
			peer,
			providers: {
				async *find() {
					for (const id of providers) yield { peer: id };
				},
				async provide() {},
			},
		});
		await Promise.all(providers.map((id) => peer.ping(id)));
	},

	async add(bytes: number, seed: number): Promise<{ cid: string; ms: number }> {
		const content = seededBytes(bytes, seed);
		const start = performance.now();
		const { cid } = await files.add(content);
		return { cid, ms: performance.now() - start };
	},

	/** Adds a stream of that length, so that nothing but the room itself could hold it in memory. */
	async addStream(bytes: number): Promise<{ cid: string; ms: number }> {
		async function* stream(): AsyncGenerator<Uint8Array> {
			for (let at = 0; at < bytes; at += MiB) yield seededBytes(Math.min(MiB, bytes - at), at / MiB + 1);
		}
		const start = performance.now();
		const { cid } = await files.add(stream());
		return { cid, ms: performance.now() - start };
	},

	/** Reads a file piece by piece. The time ends when all of it is kept here. */
	async get(cid: string): Promise<{ ms: number; bytes: number; from: Record<string, number> }> {
		let from: Record<string, number> = {};
		let bytes = 0;
		const start = performance.now();
		const reading = files.get(cid, {
			onProgress: ({ sources }) => {
				from = Object.fromEntries(sources.map((source) => [source.name, source.bytes]));
			},
		});
		for await (const piece of reading) bytes += piece.byteLength;
		return { ms: performance.now() - start, bytes, from };
	},

	async remove(cid: string): Promise<number> {
		return files.remove(cid);
	},

	raw,
};

export type R1fsTab = typeof harness;
Object.assign(globalThis, { harness });
