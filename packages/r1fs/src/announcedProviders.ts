import type { Cstore } from "@tabmesh/cstore";
import { equalBytes } from "@tabmesh/wire";
import { parseCid } from "./cid.ts";
import type { Providers } from "./providers.ts";

/** Files that one peer announces, the newest: two kilobytes, which every peer of the room hears and keeps. */
const announcedFiles = 64;

const entryOf = (peer: string): string => `peer/${peer}/files`;

/** Who has what, as every peer of a room says it of itself in the room's shared state: nobody can say it of another. */
export function announcedProviders(cstore: Pick<Cstore, "get" | "keys" | "set">, self: string): Providers {
	function filesOf(peer: string): Uint8Array[] {
		const value = cstore.get(entryOf(peer));
		if (!Array.isArray(value)) return [];
		return value.slice(0, announcedFiles).filter((digest) => digest instanceof Uint8Array);
	}

	return {
		async *find(cid) {
			const wanted = parseCid(cid).multihash.digest;
			for (const key of cstore.keys("peer/")) {
				const peer = key.split("/")[1]!;
				if (peer === self || key !== entryOf(peer)) continue;
				if (filesOf(peer).some((digest) => equalBytes(digest, wanted))) yield { peer };
			}
		},
		async provide(cids, { all = false } = {}) {
			const before = filesOf(self);
			const digests = cids.map((cid) => new Uint8Array(parseCid(cid).multihash.digest));
			const others = before.filter((digest) => !digests.some((fresh) => equalBytes(fresh, digest)));
			const after = [...digests, ...(all ? [] : others)].slice(0, announcedFiles);
			const same = after.length === before.length && after.every((one, i) => equalBytes(one, before[i]!));
			if (!same) await cstore.set(entryOf(self), after);
		},
	};
}
