import type { Prekey } from "@tabmesh/dauth/sealed";
import type { FileRecord, StorageUsage, Survey, WholeDescription } from "./blockStore.ts";
import type { SourceView } from "./exchange/fetchSession.ts";
import type { HttpOrigin } from "./exchange/httpSource.ts";
import type { FileInput } from "./fileInput.ts";
import type { ByteRange } from "./readFile.ts";
import type { SealedFileKey } from "./sealedKey.ts";

export interface AddOptions {
	/** `true`: a new key, handed back in `link`; `{ to }`: the key is sealed to these peers besides. @default false */
	encrypt?: boolean | { to: readonly Prekey[] };
	/** Whether eviction leaves it alone. @default true */
	pin?: boolean;
	/** A name for people; it stays on this device. */
	name?: string;
	signal?: AbortSignal;
	onProgress?: (progress: AddProgress) => void;
}

export interface AddProgress {
	/** Bytes read and stored so far. */
	readonly bytes: number;
	/** Bytes in all, where that is known beforehand. */
	readonly totalBytes: number | undefined;
}

export interface AddedFile {
	/** CIDv1 in base32: what any IPFS tool computes with the `unixfs-v1-2025` profile; of the ciphertext where it is encrypted. */
	readonly cid: string;
	/** Bytes behind the CID. */
	readonly size: number;
	/** The CID, and the key where there is one: whoever has it can read the file. */
	readonly link: string;
	/** The key, sealed to each of `encrypt.to`. */
	readonly sealedKeys?: readonly SealedFileKey[];
}

export interface FetchOptions {
	/** Where the bytes may be had on the web, besides from peers. */
	origins?: readonly HttpOrigin[];
	/** Only from what is kept here. @default false */
	offline?: boolean;
	/** Without any new block for this long, the file is given up. @default 60000 */
	patienceMs?: number;
	/** Told of a peer or origin that gave wrong bytes. It is asked no more. */
	onRefused?: (source: string) => void;
	signal?: AbortSignal;
	onProgress?: (progress: GetProgress) => void;
}

export interface OpenBlocksOptions extends Omit<FetchOptions, "onProgress"> {
	/** For people who look at what is kept. */
	about?: WholeDescription;
}

/** One of the blocks that {@link R1fs.openBlocks} reads. */
export interface BlockPlace {
	/** SHA-256 of its bytes. */
	readonly digest: Uint8Array;
	readonly size: number;
	/** Where it begins among all of them, for origins on the web. */
	readonly offset: number;
}

/** Blocks of one thing that is no UnixFS file. */
export interface BlockReading {
	/**
	 * The block with the right hash, from here or from whoever has it; kept for the next time and for others, room
	 * allowing.
	 *
	 * @throws FileNotFoundError, the signal's reason
	 */
	read(block: BlockPlace, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
	sources(): readonly SourceView[];
	/** Resolves when all that was read is kept, or cannot be. */
	settle(): Promise<void>;
	/** Ends what is under way, and the streams to whoever gave blocks. */
	close(): void;
}

export interface GetOptions extends FetchOptions {
	/** Bytes of the (opened) file. @default all */
	range?: ByteRange;
	/** The key of an encrypted file, where the link does not carry it. */
	key?: Uint8Array;
	/** The key, as it was sealed to this peer. It opens once, for this reading; a capability link is what can be kept. */
	sealedKey?: Uint8Array;
	/** Whether fetched blocks are kept for the next time and for others, room allowing. @default true */
	store?: boolean;
	/** Bytes that may be under way or waiting for the reader. @default 32 MiB */
	windowBytes?: number;
}

export interface GetProgress {
	/** Bytes given out so far. */
	readonly bytes: number;
	/** Bytes of the range; undefined before the first block is here. */
	readonly totalBytes: number | undefined;
	/** Who gave what. */
	readonly sources: readonly SourceView[];
}

/**
 * A file to be read. Nothing is fetched before it is read; every reading begins anew.
 *
 * Every way of reading throws InvalidCidError, FileNotFoundError, FileFormatError, DecryptionError, or the signal's reason.
 */
export interface FileReading extends AsyncIterable<Uint8Array> {
	readonly cid: string;
	/** Bytes of the (opened) file, from its first block; the whole file's where a range is read. */
	size(): Promise<number>;
	/** For a `Response`, or a writable on disk. */
	stream(): ReadableStream<Uint8Array>;
	/** All bytes. @throws InvalidParameterError when they are more than `maxBytes` (256 MiB unless told otherwise) */
	bytes(maxBytes?: number): Promise<Uint8Array<ArrayBuffer>>;
	/** The value that was added as JSON; not checked further. @throws MalformedMessageError when it is none */
	json(maxBytes?: number): Promise<unknown>;
}

export interface R1fsEvents {
	/** What is kept changed, by us or by another tab of this device. */
	change: Event;
}

/** Files by content address, on this device and from peers. */
export interface R1fs {
	/**
	 * Stores a file. Streams are read as fast as they are stored, never into memory as a whole.
	 *
	 * @throws StorageQuotaError, InvalidParameterError, the signal's reason, or what the stream throws
	 */
	add(input: FileInput, options?: AddOptions): Promise<AddedFile>;
	/** Reads a file, by CID or link, from here and from whoever has it. */
	get(cidOrLink: string, options?: GetOptions): FileReading;
	/**
	 * Fetches what is missing of a file and keeps it until it is unpinned.
	 *
	 * @throws what reading throws, and StorageQuotaError
	 */
	pin(cidOrLink: string, options?: FetchOptions): Promise<FileRecord>;
	/**
	 * Reads blocks of something whose hashes are known from elsewhere, a model's chunks by its manifest: raw blocks to
	 * every other tool.
	 *
	 * @param name - what providers know it by; what is kept of it is surveyed and removed by the same
	 */
	openBlocks(name: string, options?: OpenBlocksOptions): BlockReading;
	/** Lets eviction have a file again. @returns false where it is not kept */
	unpin(cid: string): Promise<boolean>;
	/** A file that is kept whole; undefined where it is not. Asks nobody. */
	stat(cid: string): Promise<FileRecord | undefined>;
	/** All files that are kept whole, newest first. */
	list(): Promise<FileRecord[]>;
	/** What is kept, files and parts, by what it belongs to and by who gave it. */
	survey(): Promise<Survey>;
	/**
	 * Drops a file, or what is kept of something, and every block that nothing else has.
	 *
	 * @param name - CID of a file as `list` gives it, or the name that blocks were read by
	 * @returns the bytes that became free
	 * @throws StorageInUseError while it is read, or held, in whichever tab
	 */
	remove(name: string): Promise<number>;
	/** Drops blocks that belong to nothing: what was cut off while it was stored. @returns the bytes that became free */
	removeLoose(): Promise<number>;
	/** In use, and not removed by anybody on this device, until the returned function is called. */
	hold(name: string): () => void;
	/** What is read or held now, in whichever tab. */
	held(): Promise<ReadonlySet<string>>;
	usage(): Promise<StorageUsage>;
	/** What the user allows, from now on. */
	setBudget(bytes: number): Promise<void>;
	/** Asks the browser not to evict what is kept. @returns whether it agreed */
	persist(): Promise<boolean>;
	addEventListener<K extends keyof R1fsEvents>(type: K, listener: (event: R1fsEvents[K]) => void): void;
	removeEventListener<K extends keyof R1fsEvents>(type: K, listener: (event: R1fsEvents[K]) => void): void;
	/** Stops giving and fetching, and closes the store. */
	close(): Promise<void>;
}
