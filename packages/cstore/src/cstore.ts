/** A value and where it comes from. */
export interface Entry {
	readonly value: unknown;
	/** Peer id of whoever signed it. */
	readonly author: string;
	/** Milliseconds since 1970 by the room's hybrid clock. */
	readonly time: number;
}

/** Something that changed. A deletion, or a value that is kept no longer, has no entry. */
export interface Change {
	readonly key: string;
	/** Present where the key is a hash. */
	readonly field: string | undefined;
	readonly entry: Entry | undefined;
	/** Nobody deleted it: its time is over here, or there is no room for it. */
	readonly lapsed: boolean;
}

export interface WriteOptions {
	/** How many distinct other peers must sign that they keep it. @default 0 */
	acks?: number;
	/** How long they may take, in milliseconds. @default 15,000 */
	timeoutMs?: number;
	signal?: AbortSignal;
}

/** A peer's signed word that it keeps a write, or a newer one in its place. */
export interface Ack {
	readonly peer: string;
	/** Ed25519, 64 bytes, over the CBOR of `["tabmesh cstore kept", place tag, id]`. */
	readonly signature: Uint8Array;
}

/** A write that is kept here. */
export interface Written {
	/** SHA-256 of what was signed, in hexadecimal digits. */
	readonly id: string;
	/** Its hybrid logical time: milliseconds × 1000 + counter. */
	readonly stamp: number;
	readonly acks: readonly Ack[];
}

/** What a transaction collects. */
export interface Transaction {
	set(key: string, value: unknown): void;
	hset(key: string, field: string, value: unknown): void;
	/** Without a field of a hash: the key, and every field that it has here. */
	delete(key: string, field?: string): void;
}

/** A record as others may see it. */
export interface RecordView {
	readonly id: string;
	readonly author: string;
	readonly stamp: number;
	/** Keys that it writes. */
	readonly keys: readonly string[];
	/** Bytes of its envelope and of the values beside it. */
	readonly wireBytes: number;
}

/** What comparing with one peer came to. */
export interface RepairReport {
	readonly peer: string;
	/** Records that we got and that they got. */
	readonly pulled: number;
	readonly pushed: number;
	readonly sentBytes: number;
	readonly receivedBytes: number;
}

/** What the room cost so far, in bytes of messages. */
export interface Traffic {
	readonly gossipSentBytes: number;
	readonly gossipReceivedBytes: number;
	/** On streams: comparing, giving, asking. */
	readonly repairSentBytes: number;
	readonly repairReceivedBytes: number;
}

export interface CstoreEvents {
	/** From now on nothing is kept beyond this page or program; `degraded` says why. */
	degraded: CustomEvent<{ reason: string }>;
	/** A peer came, or was not heard any more while this device was awake: what `peers` lists has changed. */
	presence: CustomEvent<{ peer: string; present: boolean }>;
}

/**
 * Shared state of one room: a map whose keys are `peer/<id>/…` (only that peer writes), `room/<id>/…` and `public/…`.
 * The last writer wins each key. Reads are local and never wait.
 */
export interface Cstore {
	readonly room: string;
	/** @throws KeySpaceError */
	get(key: string): unknown;
	hget(key: string, field: string): unknown;
	/** All fields of a hash; empty where there are none. */
	hgetall(key: string): Map<string, unknown>;
	/** A value with its author and time. */
	entry(key: string, field?: string): Entry | undefined;
	/** Keys with a value that begin with `prefix`, sorted. */
	keys(prefix: string): string[];
	/**
	 * Writes, keeps it on this device, and spreads it.
	 *
	 * @param value - null, booleans, finite numbers, strings, Uint8Arrays, arrays and plain objects of these; 64 KB at most
	 * @throws KeySpaceError, ValueTooLargeError, InvalidParameterError, AuthorQuotaError; CapabilityError where this peer is
	 * no member; WriteQuorumError when fewer than `acks` peers signed in time: the write stands all the same
	 */
	set(key: string, value: unknown, options?: WriteOptions): Promise<Written>;
	hset(key: string, field: string, value: unknown, options?: WriteOptions): Promise<Written>;
	/** Without a field of a hash: deletes the key, and every field that it has here. @throws what `set` throws */
	delete(key: string, field?: string, options?: WriteOptions): Promise<Written>;
	/**
	 * Up to 32 writes that every peer sees all of or none of.
	 *
	 * @throws what `set` throws; InvalidParameterError for more than 32 writes or 256 KB, or two to one key
	 */
	transaction(collect: (transaction: Transaction) => void, options?: WriteOptions): Promise<Written>;
	/** Told of every change under keys that begin with `prefix`, until the returned function is called. */
	watch(prefix: string, listener: (changes: readonly Change[]) => void): () => void;
	/** Compares with one peer now, and brings both to the same state. @throws PeerUnreachableError, StoreBusyError, … */
	repair(peer: string, options?: { signal?: AbortSignal }): Promise<RepairReport>;
	/** What is kept, sorted by stamp: for comparing stores, and for showing what takes the room. */
	records(): readonly RecordView[];
	/**
	 * Whether a peer may do this in the room now: everybody in a public one; in a private one its owner, and whose
	 * capability was seen here and grants it.
	 */
	allows(peer: string, action: string): boolean;
	/** Peers heard in this room lately. */
	readonly peers: readonly string[];
	/** Records kept. */
	readonly size: number;
	/** 16 bytes in hexadecimal digits, equal on peers that keep the same records. */
	readonly fingerprint: string;
	readonly traffic: Traffic;
	/** Why nothing is kept beyond this page or program; undefined where it is. */
	readonly degraded: string | undefined;
	addEventListener<K extends keyof CstoreEvents>(type: K, listener: (event: CstoreEvents[K]) => void): void;
	removeEventListener<K extends keyof CstoreEvents>(
		type: K,
		listener: (event: CstoreEvents[K]) => void,
	): void;
	stop(): Promise<void>;
}
