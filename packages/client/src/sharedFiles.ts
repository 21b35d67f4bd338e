import type { Cstore } from "@tabmesh/cstore";
import type { Directory } from "@tabmesh/directory";
import { announcedProviders, type Providers, type R1fs, swarmProviders } from "@tabmesh/r1fs";
import type { Peer } from "@tabmesh/transport";
import { layerHolders } from "./layerHolders.ts";

/** How long what others tell may be on its way: to a peer that has just joined the room's state, and to one that is long there. */
const joiningMs = 10_000;
const tellingMs = 2_000;

interface ProvidersInit {
	readonly directory: Pick<Directory, "members">;
	readonly peer: Pick<Peer, "id" | "providerRecords">;
	/** Joins the room's shared state. */
	readonly state: () => Promise<Cstore>;
}

/**
 * Who has a model's layers, and from `share` on who has files of people, too: that takes the room's shared state, which nobody joins
 * who only asks or lends.
 */
export class RoomProviders implements Providers {
	readonly #init: ProvidersInit;
	readonly #layers: Providers;
	#files: Promise<FileProviders> | undefined;

	constructor(init: ProvidersInit) {
		this.#init = init;
		this.#layers = layerHolders(init.directory, init.peer.id);
	}

	/** Whether files are found and told of. */
	get shares(): boolean {
		return this.#files !== undefined;
	}

	/** Tells of the files that are kept here already, the newest first, and from now on of every other. */
	async share(kept: Pick<R1fs, "list">): Promise<void> {
		const known = this.#files !== undefined;
		this.#files ??= this.#open();
		const { providers } = await this.#files;
		if (known) return;
		const cids = (await kept.list()).map(({ cid }) => cid);
		// A courtesy: who is not told asks the peers that are connected.
		if (cids.length > 0) await providers.provide(cids, { all: true }).catch(() => {});
	}

	async *find(name: string, options: { signal: AbortSignal }): ReturnType<Providers["find"]> {
		yield* this.#layers.find(name, options);
		const files = await this.#files;
		if (!files) return;
		const waitMs = Math.ceil(Math.max(files.joined + joiningMs - performance.now(), tellingMs));
		const over = AbortSignal.any([options.signal, AbortSignal.timeout(waitMs)]);
		const ended = new Promise<void>((resolve) => over.addEventListener("abort", () => resolve()));
		let heard = Promise.withResolvers<void>();
		const unwatch = files.watch(() => heard.resolve());
		const found = new Set<string>();
		try {
			while (!over.aborted) {
				for await (const provider of files.providers.find(name, options)) {
					if (!("peer" in provider) || found.has(provider.peer)) continue;
					found.add(provider.peer);
					yield provider;
				}
				await Promise.race([heard.promise, ended]);
				heard = Promise.withResolvers();
			}
		} finally {
			unwatch();
		}
	}

	async provide(...told: Parameters<Providers["provide"]>): Promise<void> {
		await (await this.#files)?.providers.provide(...told);
	}

	async #open(): Promise<FileProviders> {
		const { directory, peer, state } = this.#init;
		try {
			const cstore = await state();
			return {
				providers: swarmProviders({
					announced: announcedProviders(cstore, peer.id),
					records: peer.providerRecords,
					peersHere: () => directory.members.length,
				}),
				joined: performance.now(),
				watch: (listener) => cstore.watch("peer/", listener),
			};
		} catch (error) {
			this.#files = undefined;
			throw error;
		}
	}
}

interface FileProviders {
	readonly providers: Providers;
	/** By `performance.now()`. */
	readonly joined: number;
	/** Told when peers say something new of themselves, until the returned function is called. */
	watch(listener: () => void): () => void;
}
