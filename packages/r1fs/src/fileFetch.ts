import { FileNotFoundError, type StorageQuotaError } from "@tabmesh/wire";
import type { CID } from "multiformats/cid";
import { blockLimits } from "./blockLimits.ts";
import type { BlockStore, WholeDescription } from "./blockStore.ts";
import { blockKey } from "./cid.ts";
import type { FetchSession, FetchSessionInit, SourceView } from "./exchange/fetchSession.ts";
import type { Want } from "./readFile.ts";

export interface FileFetchInit {
	/** What the blocks make up, for whoever knows providers. */
	root: string;
	/** Told to the store with the first block. */
	about?: WholeDescription;
	store: BlockStore;
	/** Makes the session at the first block that is not here; undefined where only what is here may be read. */
	connect: ((onReceived: FetchSessionInit["onReceived"] & {}) => FetchSession) | undefined;
	/** `must`: fails where a block cannot be kept; `may`: goes on without keeping; `not`: keeps nothing. */
	keep: "must" | "may" | "not";
	signal: AbortSignal;
	/** Called once, when nothing is read any more. */
	onClose: () => void;
}

/** Blocks that are being written while others arrive: the disk must not hold up the network, nor the network fill the memory. */
const writesAtOnce = 8;

/** One file's blocks: from the store where they are, else from a session, and then into the store. */
export class FileFetch {
	/** Key and length of every block that was read. */
	readonly blocks = new Map<string, number>();
	/** Bytes by source. */
	readonly from: Record<string, number> = {};
	readonly startedAt = Date.now();
	/** Whether all blocks that were read are in the store. */
	stored = true;
	readonly #init: FileFetchInit;
	/** Who gave the blocks that are not written yet, by key. */
	readonly #givers = new Map<string, string>();
	readonly #writes = new Set<Promise<void>>();
	#failure: StorageQuotaError | Error | undefined;
	#session: FetchSession | undefined;
	#described = false;
	readonly #abort = (): void => this.#session?.close(this.#init.signal.reason);

	constructor(init: FileFetchInit) {
		this.#init = init;
		if (init.keep === "not") this.stored = false;
		init.signal.addEventListener("abort", this.#abort, { once: true });
	}

	/** @throws FileNotFoundError, StorageQuotaError where blocks must be kept, the signal's reason */
	readonly getBlock = async (want: Want, given?: AbortSignal): Promise<Uint8Array> => {
		const { store, signal, root, keep } = this.#init;
		signal.throwIfAborted();
		const kept = await store.get(want.cid, keep === "not" ? undefined : root);
		signal.throwIfAborted();
		given?.throwIfAborted();
		if (kept) {
			this.#seen(want.cid, kept.byteLength);
			this.#describe();
			return kept;
		}
		this.#session ??= this.#init.connect?.((source, bytes, key) => {
			this.from[source] = (this.from[source] ?? 0) + bytes;
			if (this.stored) this.#givers.set(key, source);
		});
		if (!this.#session) {
			throw new FileNotFoundError(`A block of ${root} is not kept here.`, {
				details: { cid: root, block: want.cid.toString() },
			});
		}
		const bytes = await this.#session.fetch(want, given);
		this.#seen(want.cid, bytes.byteLength);
		await this.#write(want.cid, bytes);
		return bytes;
	};

	sources(): SourceView[] {
		return this.#session?.view() ?? [];
	}

	/** Resolves when everything that was read is written. @throws StorageQuotaError where it must be kept and cannot */
	async settle(): Promise<void> {
		await Promise.all(this.#writes);
		if (this.#failure) throw this.#failure;
	}

	/** Ends what is under way. */
	close(): void {
		this.#init.signal.removeEventListener("abort", this.#abort);
		this.#session?.close();
		this.#init.onClose();
	}

	/** A courtesy to people: nothing waits for it. */
	#describe(): void {
		const { about, root, store } = this.#init;
		if (!about || this.#described) return;
		this.#described = true;
		store.describe(root, about).catch(() => {});
	}

	#seen(cid: CID, size: number): void {
		if (this.blocks.size < blockLimits.fileBlocks) this.blocks.set(blockKey(cid), size);
		else this.stored = false;
	}

	async #write(cid: CID, bytes: Uint8Array): Promise<void> {
		if (this.#failure) throw this.#failure;
		const from = this.#givers.get(blockKey(cid));
		this.#givers.delete(blockKey(cid));
		if (!this.stored) return;
		this.#describe();
		const { store, root: whole } = this.#init;
		const options = { keepSince: this.startedAt, whole, ...(from === undefined ? {} : { from }) };
		const write = store.put(cid, bytes, options).catch((error: Error) => {
			this.stored = false;
			if (this.#init.keep === "must") this.#failure = error;
		});
		this.#writes.add(write);
		void write.finally(() => this.#writes.delete(write));
		while (this.#writes.size > writesAtOnce) await Promise.race(this.#writes);
	}
}
