import { sha256 } from "@noble/hashes/sha2.js";
import type { StoredRecord, Write } from "./record.ts";

/** What one key turned into. */
export interface SlotChange {
	readonly key: string;
	readonly field: string | undefined;
	/** The value's CBOR; undefined where there is none any more. */
	readonly value: Uint8Array | undefined;
	readonly record: StoredRecord;
}

/** What a change of the replica means for those who watch and for the disk. */
export interface Merged {
	/** `news`: it is kept; `known`: it was; `superseded`: everything it writes is older than what is here. */
	readonly outcome: "news" | "known" | "superseded";
	readonly changes: readonly SlotChange[];
	/** Records that write nothing any more. */
	readonly dropped: readonly StoredRecord[];
}

/** A record in the order of reconciliation. */
export interface Item {
	readonly stamp: number;
	readonly id: string;
}

interface Kept {
	readonly record: StoredRecord;
	readonly number: bigint;
	/** Keys that it is the newest word on. */
	live: number;
}

interface Winner {
	readonly kept: Kept;
	readonly write: Write;
}

interface Share {
	bytes: number;
	readonly records: Set<Kept>;
}

const modulus = 1n << 256n;

/** Ids are told to other peers by their first 16 bytes. Two of one author could be made to share them; then it has one. */
export const shortId = (id: string): string => id.slice(0, 32);

/** Which of two records is the newer: by stamp, then by the author's key, then by id (an author that says two things at once). */
export function compareRecords(a: StoredRecord, b: StoredRecord): number {
	if (a.stamp !== b.stamp) return a.stamp - b.stamp;
	for (let i = 0; i < 32; i++) {
		const difference = a.authorKey[i]! - b.authorKey[i]!;
		if (difference !== 0) return difference;
	}
	return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/**
 * The state itself: a map in which the newest record wins each key, deletions included. Merging is commutative,
 * associative and idempotent (a join semilattice), so replicas that saw the same records are equal.
 *
 * @see Shapiro, Preguiça, Baquero, Zawirski: A comprehensive study of Convergent and Commutative Replicated Data Types,
 * INRIA RR-7506, 2011, §3.2.1 (LWW register)
 */
export class Replica {
	readonly #slots = new Map<string, Winner>();
	readonly #fields = new Map<string, Set<string>>();
	readonly #records = new Map<string, Kept>();
	readonly #shares = new Map<string, Share>();
	#sum = 0n;
	#bytes = 0;
	#sorted: readonly Item[] | undefined;

	/** Records kept. */
	get size(): number {
		return this.#records.size;
	}

	/** Bytes that all records count. */
	get bytes(): number {
		return this.#bytes;
	}

	/** 16 bytes that are equal on two replicas that keep the same records. */
	get fingerprint(): Uint8Array {
		return fingerprintOf(this.#sum, this.#records.size);
	}

	/** What `author` counts. */
	share(author: string): { bytes: number; records: number } {
		const share = this.#shares.get(author);
		return { bytes: share?.bytes ?? 0, records: share?.records.size ?? 0 };
	}

	has(id: string): boolean {
		return this.#records.has(shortId(id));
	}

	record(id: string): StoredRecord | undefined {
		return this.#records.get(shortId(id))?.record;
	}

	/** The newest word on a slot, deletions included. */
	winner(slot: string): { write: Write; record: StoredRecord } | undefined {
		const winner = this.#slots.get(slot);
		return winner && { write: winner.write, record: winner.kept.record };
	}

	/** Names of the fields of a hash that are not deleted. */
	fields(key: string): string[] {
		return [...(this.#fields.get(key) ?? [])];
	}

	/** Slots with a value whose key begins with `prefix`. */
	*under(prefix: string): Generator<{ write: Write; record: StoredRecord }> {
		for (const { write, kept } of this.#slots.values()) {
			if (write.value && write.key.startsWith(prefix)) yield { write, record: kept.record };
		}
	}

	/** All records in the order of their stamps and ids. */
	get items(): readonly Item[] {
		this.#sorted ??= [...this.#records.values()]
			.map(({ record: { stamp, id } }) => ({ stamp, id }))
			.sort((a, b) => a.stamp - b.stamp || (a.id < b.id ? -1 : 1));
		return this.#sorted;
	}

	/** Whether merging this record would change anything. */
	wants(record: StoredRecord): boolean {
		return (
			!this.#records.has(shortId(record.id)) && record.writes.some(({ slot }) => this.#loses(slot, record))
		);
	}

	merge(record: StoredRecord): Merged {
		if (this.#records.has(shortId(record.id))) return { outcome: "known", changes: [], dropped: [] };
		const wins = record.writes.filter(({ slot }) => this.#loses(slot, record));
		if (wins.length === 0) return { outcome: "superseded", changes: [], dropped: [] };
		const kept: Kept = { record, number: BigInt(`0x${record.id}`), live: wins.length };
		this.#add(kept);
		const dropped: StoredRecord[] = [];
		const changes = wins.map((write) => {
			const before = this.#slots.get(write.slot);
			this.#place({ kept, write });
			if (before && --before.kept.live === 0) {
				this.#remove(before.kept);
				dropped.push(before.kept.record);
			}
			return { key: write.key, field: write.field, value: write.value, record };
		});
		return { outcome: "news", changes, dropped };
	}

	/** Drops what is older than the stamp `horizon`, values and deletions alike. */
	collect(horizon: number): Merged {
		return this.dropAll(({ stamp }) => stamp < horizon);
	}

	/** Drops the records that `match`. */
	dropAll(match: (record: StoredRecord) => boolean): Merged {
		return this.#evict([...this.#records.values()].filter(({ record }) => match(record)));
	}

	/** Drops the oldest records of an author until it is within these bounds. */
	shrink(author: string, most: { bytes: number; records: number }): Merged {
		const share = this.#shares.get(author);
		if (!share || (share.bytes <= most.bytes && share.records.size <= most.records)) return this.#evict([]);
		const doomed: Kept[] = [];
		let { bytes } = share;
		let records = share.records.size;
		for (const kept of [...share.records].sort((a, b) => compareRecords(a.record, b.record))) {
			if (bytes <= most.bytes && records <= most.records) break;
			doomed.push(kept);
			bytes -= kept.record.bytes;
			records--;
		}
		return this.#evict(doomed);
	}

	/** The sum of the ids of `items[from]` to `items[to - 1]` as numbers, modulo 2^256. */
	sumOf(from: number, to: number): bigint {
		let sum = 0n;
		for (let i = from; i < to; i++) sum += this.#records.get(shortId(this.items[i]!.id))?.number ?? 0n;
		return sum % modulus;
	}

	#loses(slot: string, record: StoredRecord): boolean {
		const winner = this.#slots.get(slot);
		return !winner || compareRecords(record, winner.kept.record) > 0;
	}

	#evict(doomed: readonly Kept[]): Merged {
		const changes: SlotChange[] = [];
		for (const kept of doomed) {
			for (const { slot, key, field, value } of kept.record.writes) {
				if (this.#slots.get(slot)?.kept !== kept) continue;
				this.#slots.delete(slot);
				this.#forgetField(key, field);
				if (value) changes.push({ key, field, value: undefined, record: kept.record });
			}
			this.#remove(kept);
		}
		return { outcome: "known", changes, dropped: doomed.map(({ record }) => record) };
	}

	#place(winner: Winner): void {
		const { slot, key, field, value } = winner.write;
		this.#slots.set(slot, winner);
		if (field === undefined) return;
		const fields = this.#fields.get(key);
		if (!value) this.#forgetField(key, field);
		else if (fields) fields.add(field);
		else this.#fields.set(key, new Set([field]));
	}

	#forgetField(key: string, field: string | undefined): void {
		const fields = this.#fields.get(key);
		if (field === undefined || !fields) return;
		fields.delete(field);
		if (fields.size === 0) this.#fields.delete(key);
	}

	#add(kept: Kept): void {
		const { id, author, bytes } = kept.record;
		this.#records.set(shortId(id), kept);
		this.#sum = (this.#sum + kept.number) % modulus;
		this.#bytes += bytes;
		this.#sorted = undefined;
		const share = this.#shares.get(author) ?? { bytes: 0, records: new Set() };
		share.bytes += bytes;
		share.records.add(kept);
		this.#shares.set(author, share);
	}

	#remove(kept: Kept): void {
		const { id, author, bytes } = kept.record;
		this.#records.delete(shortId(id));
		this.#sum = (this.#sum - kept.number + modulus) % modulus;
		this.#bytes -= bytes;
		this.#sorted = undefined;
		const share = this.#shares.get(author)!;
		share.bytes -= bytes;
		share.records.delete(kept);
		if (share.records.size === 0) this.#shares.delete(author);
	}
}

/**
 * The first 16 bytes of SHA-256 over the sum of all ids modulo 2^256 and their number. The sum runs over whole ids: sums of
 * the 16 bytes that travel could be steered to collide.
 */
export function fingerprintOf(sum: bigint, count: number): Uint8Array {
	const bytes = new Uint8Array(40);
	for (let i = 31, rest = sum; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
	new DataView(bytes.buffer).setBigUint64(32, BigInt(count));
	return sha256(bytes).slice(0, 16);
}
