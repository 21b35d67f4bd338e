import type { Prekeys, Sealer } from "@tabmesh/dauth/sealed";
import type { Peer } from "@tabmesh/transport";
import { InvalidParameterError, StorageQuotaError } from "@tabmesh/wire";
import { importByteStream } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import type { CID } from "multiformats/cid";
import { blockLimits } from "./blockLimits.ts";
import type { BlockStore, FileRecord, WholeDescription } from "./blockStore.ts";
import { blockKey, parseCid, rawCid } from "./cid.ts";
import { FetchSession } from "./exchange/fetchSession.ts";
import { serveBlocks } from "./exchange/serveBlocks.ts";
import { cipherRange, decryptFile, encryptFile, generateFileKey, plainSize } from "./fileCipher.ts";
import { FileFetch, type FileFetchInit } from "./fileFetch.ts";
import { inputSize, readInput } from "./fileInput.ts";
import { formatFileLink, parseFileLink } from "./fileLink.ts";
import { parseFileName } from "./fileName.ts";
import { createFileReading } from "./fileReading.ts";
import { parseFileNode } from "./fileTree.ts";
import { createHolds } from "./holds.ts";
import type { Providers } from "./providers.ts";
import type { FetchOptions, GetOptions, R1fs } from "./r1fs.ts";
import { readFile } from "./readFile.ts";
import { openFileKey, sealFileKey } from "./sealedKey.ts";

export interface CreateR1fsInit {
	/** Where blocks are kept: `openBlockStore`. Closed with the room. */
	store: BlockStore;
	/** Without it, files are only kept and read here, and from web origins. */
	peer?: Peer;
	/** Without it, the peers that are connected are asked. */
	providers?: Providers;
	/** dAuth's `createSealer`: needed for `encrypt: { to }`. */
	sealer?: Pick<Sealer, "seal">;
	/** dAuth's `createPrekeys`: needed for `sealedKey`. */
	prekeys?: Pick<Prekeys, "open">;
	/** Whether a peer may have blocks of us now. @default every peer */
	maySend?: (peer: string) => boolean;
}

/** A minute in which nobody gave a single block: whoever has the file is gone. */
const defaultPatienceMs = 60_000;

/** Enough for a dozen sources to have a block under way and one behind it; a tab has room for it. */
const defaultWindowBytes = 32 * 1024 * 1024;

/** A file that is being added has its blocks before it has a name; a block that nobody touched for so long is left over. */
const looseMs = 10 * 60_000;

/** What is here is told again so often: records in a DHT hold for two hours, and one attempt or two may fail. */
const announceEveryMs = 30 * 60_000;

/** Blocks that are hashed and stored side by side while a file is added: 8 MiB wait at most. */
const writesAtOnce = 8;

/**
 * Files over a block store, and from peers where a peer is given.
 *
 * @example
 * ```ts
 * import { createR1fs, openBlockStore } from "@tabmesh/r1fs";
 *
 * const files = createR1fs({ store: await openBlockStore(), peer });
 * const { link } = await files.add(blob, { encrypt: true });
 * const bytes = await files.get(link).bytes();
 * ```
 */
export function createR1fs(init: CreateR1fsInit): R1fs {
	const { store, peer, providers, sealer, prekeys } = init;
	const events = new EventTarget();
	const holds = createHolds(store.place);
	const unwatch = store.watch(() => events.dispatchEvent(new Event("change")));
	const closing = new AbortController();
	// Whoever gave wrong bytes once is asked no more while the room lasts, even if their score recovers.
	const refused = new Set<string>();
	const stopServing = peer
		? serveBlocks({ peer, store, ...(init.maySend ? { maySend: init.maySend } : {}) })
		: () => {};

	function signalOf(signal: AbortSignal | undefined): AbortSignal {
		return signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
	}

	function startFetch(
		root: string,
		options: FetchOptions & { about?: WholeDescription },
		keep: FileFetchInit["keep"],
		signal: AbortSignal,
	): FileFetch {
		const reachable = !options.offline && (peer !== undefined || (options.origins?.length ?? 0) > 0);
		const connect: FileFetchInit["connect"] = (onReceived) =>
			new FetchSession({
				root,
				refused,
				onReceived,
				patienceMs: options.patienceMs ?? defaultPatienceMs,
				...(peer ? { peer } : {}),
				...(providers ? { providers } : {}),
				...(options.origins ? { origins: options.origins } : {}),
				...(options.onRefused ? { onRefused: options.onRefused } : {}),
			});
		const { about } = options;
		return new FileFetch({
			root,
			store,
			keep,
			signal,
			connect: reachable ? connect : undefined,
			onClose: holds.hold(root),
			...(about ? { about } : {}),
		});
	}

	async function keepFile(record: FileRecord, blocks: readonly string[]): Promise<void> {
		const missing = await store.keep(record, blocks);
		if (missing.length > 0) {
			throw new StorageQuotaError(
				`${missing.length} of the file's ${blocks.length} blocks were evicted while it was stored.`,
				{
					metaMessages: ["Allow more room, or store one file at a time."],
					details: { cid: record.cid, missing: missing.length },
				},
			);
		}
	}

	// Files of an earlier visit are here as well, and evicted ones are not.
	async function announceAll(): Promise<void> {
		const kept = (await store.files()).sort((a, b) => b.addedAt - a.addedAt);
		await providers?.provide(
			kept.map(({ cid }) => cid),
			{ all: true },
		);
	}
	const announcing = providers
		? setInterval(() => announceAll().catch(() => {}), announceEveryMs)
		: undefined;
	if (providers) announceAll().catch(() => {});
	// Node would wait for it.
	(announcing as { unref?(): void } | undefined)?.unref?.();

	/** Announcing is a courtesy: a file is kept whether or not the announcement leaves. */
	async function announce(cid: string): Promise<void> {
		await providers?.provide([cid]).catch(() => {});
	}

	/** The record of a file that was fetched whole. */
	function recordOf(
		root: CID,
		fetch: FileFetch,
		size: number,
		how: { pinned: boolean; encrypted: boolean },
	): FileRecord {
		return {
			cid: root.toString(),
			size,
			storedBytes: sumOf(fetch.blocks.values()),
			blocks: fetch.blocks.size,
			addedAt: fetch.startedAt,
			from: { ...fetch.from },
			...how,
		};
	}

	async function* read(
		root: CID,
		keyOf: () => Promise<Uint8Array | undefined>,
		options: GetOptions,
	): AsyncGenerator<Uint8Array> {
		const key = await keyOf();
		const signal = signalOf(options.signal);
		const fetch = startFetch(root.toString(), options, options.store === false ? "not" : "may", signal);
		const windowBytes = options.windowBytes ?? defaultWindowBytes;
		let bytes = 0;
		let totalBytes: number | undefined;
		let storedSize = 0;
		function given(piece: Uint8Array): Uint8Array {
			bytes += piece.byteLength;
			options.onProgress?.({ bytes, totalBytes, sources: fetch.sources() });
			return piece;
		}
		try {
			if (key) {
				storedSize = await sizeOf(root, fetch);
				const { start, end, firstChunk, skip, take } = cipherRange(storedSize, options.range ?? {});
				totalBytes = take;
				const ciphertext = readFile(root, fetch.getBlock, { windowBytes, signal, range: { start, end } });
				const opened = decryptFile(key, ciphertext, {
					cipherBytes: storedSize,
					firstChunk,
					expectedBytes: end - start,
				});
				let at = 0;
				for await (const piece of opened) {
					const part = piece.subarray(Math.max(0, skip - at), Math.max(0, skip + take - at));
					at += piece.byteLength;
					if (part.byteLength > 0) yield given(part);
				}
			} else {
				const { range } = options;
				const onSize = (size: number): void => {
					storedSize = size;
					totalBytes = Math.max(0, Math.min(range?.end ?? size, size) - Math.max(0, range?.start ?? 0));
				};
				const plain = readFile(root, fetch.getBlock, {
					windowBytes,
					signal,
					onSize,
					...(range ? { range } : {}),
				});
				for await (const piece of plain) yield given(piece);
			}
			await fetch.settle();
			const fetched = Object.keys(fetch.from).length > 0;
			if (options.range === undefined && fetched && fetch.stored && !(await store.file(root.toString()))) {
				const record = recordOf(root, fetch, storedSize, { pinned: false, encrypted: key !== undefined });
				// Evicted again already where the budget is tight: it was read all the same.
				const missing = await store.keep(record, [...fetch.blocks.keys()]);
				if (missing.length === 0) await announce(record.cid);
			}
		} finally {
			fetch.close();
		}
	}

	/** The key of one reading. What is sealed opens once only, so it is kept for the next call. */
	function keyGetter(
		root: CID,
		linkKey: Uint8Array | undefined,
		options: GetOptions,
	): () => Promise<Uint8Array | undefined> {
		const { sealedKey } = options;
		if (!sealedKey) return async () => options.key ?? linkKey;
		let opened: Promise<Uint8Array> | undefined;
		return async () => {
			if (!prekeys) throw new InvalidParameterError("Nothing is here to open a sealed key with.");
			opened ??= openFileKey(prekeys, root, sealedKey);
			return opened;
		};
	}

	async function sizeOf(root: CID, fetch: FileFetch): Promise<number> {
		return parseFileNode(root, await fetch.getBlock({ cid: root })).size;
	}

	return {
		async add(input, options = {}) {
			const name = options.name === undefined ? undefined : parseFileName(options.name);
			const key = options.encrypt ? generateFileKey() : undefined;
			const to = typeof options.encrypt === "object" ? options.encrypt.to : undefined;
			if (to && !sealer) throw new InvalidParameterError("Nothing is here to seal a key to peers with.");
			const signal = signalOf(options.signal);
			const totalBytes = inputSize(input);
			const blocks = new Map<string, number>();
			const addedAt = Date.now();
			async function* counted(): AsyncGenerator<Uint8Array> {
				let bytes = 0;
				for await (const piece of readInput(input)) {
					signal.throwIfAborted();
					yield piece;
					bytes += piece.byteLength;
					options.onProgress?.({ bytes, totalBytes });
				}
				signal.throwIfAborted();
			}
			const target = {
				async put(cid: CID, block: Uint8Array): Promise<CID> {
					await store.put(cid, block, { keepSince: addedAt });
					blocks.set(blockKey(cid), block.byteLength);
					return cid;
				},
			};
			const imported = await importByteStream(key ? encryptFile(key, counted()) : counted(), target, {
				// Every part of the profile (IPIP-499) is named: defaults change, and CIDs would change with them.
				profile: "unixfs-v1-2025",
				cidVersion: 1,
				rawLeaves: true,
				reduceSingleLeafToSelf: true,
				chunker: fixedSize({ chunkSize: blockLimits.leafBytes }),
				layout: balanced({ maxChildrenPerNode: blockLimits.linksWritten }),
				blockWriteConcurrency: writesAtOnce,
			});
			const cid = imported.cid.toString();
			const size = Number(imported.unixfs?.fileSize() ?? imported.size);
			const record: FileRecord = {
				cid,
				size,
				storedBytes: sumOf(blocks.values()),
				blocks: blocks.size,
				pinned: options.pin ?? true,
				addedAt,
				encrypted: key !== undefined,
				from: {},
				...(name === undefined ? {} : { name }),
			};
			await keepFile(record, [...blocks.keys()]);
			await announce(cid);
			const added = { cid, size, link: formatFileLink(key ? { cid, key } : { cid }) };
			if (!key || !to || !sealer) return added;
			return { ...added, sealedKeys: await sealFileKey(sealer, imported.cid, key, to) };
		},
		get(cidOrLink, options = {}) {
			const link = parseFileLink(cidOrLink);
			const root = parseCid(link.cid);
			const keyOf = keyGetter(root, link.key, options);
			return createFileReading(
				link.cid,
				() => read(root, keyOf, options),
				async () => {
					const key = await keyOf();
					const fetch = startFetch(root.toString(), options, "may", signalOf(options.signal));
					try {
						const size = await sizeOf(root, fetch);
						return key ? plainSize(size) : size;
					} finally {
						fetch.close();
					}
				},
			);
		},
		async pin(cidOrLink, options = {}) {
			const { cid, key } = parseFileLink(cidOrLink);
			if (await store.setPinned(cid, true)) {
				const kept = await store.file(cid);
				if (kept) return kept;
			}
			const root = parseCid(cid);
			const signal = signalOf(options.signal);
			const fetch = startFetch(root.toString(), options, "must", signal);
			try {
				let bytes = 0;
				let totalBytes = 0;
				const onSize = (size: number): void => {
					totalBytes = size;
				};
				for await (const piece of readFile(root, fetch.getBlock, {
					windowBytes: defaultWindowBytes,
					signal,
					onSize,
				})) {
					bytes += piece.byteLength;
					options.onProgress?.({ bytes, totalBytes, sources: fetch.sources() });
				}
				await fetch.settle();
				const record = recordOf(root, fetch, totalBytes, { pinned: true, encrypted: key !== undefined });
				await keepFile(record, [...fetch.blocks.keys()]);
				await announce(cid);
				return record;
			} finally {
				fetch.close();
			}
		},
		openBlocks(name, options = {}) {
			const fetch = startFetch(name, options, "may", signalOf(options.signal));
			return {
				read: async ({ digest, size, offset }, { signal } = {}) =>
					fetch.getBlock({ cid: rawCid(digest), size, offset }, signal),
				sources: () => fetch.sources(),
				settle: () => fetch.settle(),
				close: () => fetch.close(),
			};
		},
		async unpin(cid) {
			return store.setPinned(parseCid(cid).toString(), false);
		},
		async stat(cid) {
			return store.file(parseCid(cid).toString());
		},
		async list() {
			return (await store.files()).sort((a, b) => b.addedAt - a.addedAt);
		},
		survey: () => store.survey(),
		async remove(name) {
			return holds.alone(name, () => store.forget(name));
		},
		removeLoose: () => store.forgetLoose(Date.now() - looseMs),
		hold: holds.hold,
		held: holds.held,
		usage: () => store.usage(),
		async setBudget(bytes) {
			if (!Number.isSafeInteger(bytes) || bytes < 0) {
				throw new InvalidParameterError("A budget is a whole number of bytes.", { details: { bytes } });
			}
			await store.setBudget(bytes);
		},
		persist: () => store.persist(),
		addEventListener: (type, listener) => events.addEventListener(type, listener),
		removeEventListener: (type, listener) => events.removeEventListener(type, listener),
		async close() {
			if (closing.signal.aborted) return;
			closing.abort(new DOMException("The files were closed.", "AbortError"));
			stopServing();
			clearInterval(announcing);
			unwatch();
			await store.close();
		},
	};
}

function sumOf(numbers: Iterable<number>): number {
	let sum = 0;
	for (const number of numbers) sum += number;
	return sum;
}
