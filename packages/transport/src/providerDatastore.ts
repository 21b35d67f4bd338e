import { NotFoundError } from "@libp2p/interface";
import { BaseDatastore } from "datastore-core/base";
import type { Key, Pair, Query } from "interface-datastore";

export interface ProviderDatastoreInit {
	/** Records kept in all. The oldest go first. */
	records: number;
	/** Records kept of one peer. */
	recordsOfPeer: number;
	/** Providers told to whoever asks for one content. Chosen by lot, so that not everybody asks the same. */
	told: number;
}

/** A record's key ends in `/<content>/<peer>`; nothing else is kept. */
const providerKey = /^\/[^/]+\/provider\/[^/]+\/[^/]+$/;

/**
 * Where a DHT keeps who has what, in memory and bounded: strangers write here. It finds the providers of one content
 * without looking through all, and forgets a peer that left.
 */
export class ProviderDatastore extends BaseDatastore {
	readonly #init: ProviderDatastoreInit;
	/** By key, the oldest first. */
	readonly #records = new Map<string, Pair>();
	readonly #byContent = new Map<string, Set<string>>();
	readonly #byPeer = new Map<string, Set<string>>();

	constructor(init: ProviderDatastoreInit) {
		super();
		this.#init = init;
	}

	get size(): number {
		return this.#records.size;
	}

	/** Drops what a peer said of itself. */
	forget(peer: string): void {
		for (const name of [...(this.#byPeer.get(peer) ?? [])]) this.#drop(name);
	}

	override put(key: Key, value: Uint8Array): Key {
		const name = key.toString();
		if (!providerKey.test(name)) throw new Error("Only records of providers are kept here.");
		this.#drop(name);
		const { content, peer } = partsOf(name);
		const ofPeer = this.#byPeer.get(peer);
		if (ofPeer && ofPeer.size >= this.#init.recordsOfPeer) this.#drop(ofPeer.values().next().value!);
		this.#records.set(name, { key, value });
		indexed(this.#byContent, content).add(name);
		indexed(this.#byPeer, peer).add(name);
		if (this.#records.size > this.#init.records) this.#drop(this.#records.keys().next().value!);
		return key;
	}

	override get(key: Key): Uint8Array {
		const record = this.#records.get(key.toString());
		if (!record) throw new NotFoundError("There is no such record.");
		return record.value;
	}

	override has(key: Key): boolean {
		return this.#records.has(key.toString());
	}

	override delete(key: Key): void {
		this.#drop(key.toString());
	}

	override *query({ prefix = "" }: Query): Generator<Pair> {
		const names = this.#byContent.get(prefix);
		if (names) {
			for (const name of chosenByLot([...names], this.#init.told)) yield this.#records.get(name)!;
		} else {
			for (const [name, record] of [...this.#records]) if (name.startsWith(prefix)) yield record;
		}
	}

	#drop(name: string): void {
		if (!this.#records.delete(name)) return;
		const { content, peer } = partsOf(name);
		for (const [index, place] of [
			[this.#byContent, content],
			[this.#byPeer, peer],
		] as const) {
			const names = index.get(place);
			names?.delete(name);
			if (names?.size === 0) index.delete(place);
		}
	}
}

function partsOf(name: string): { content: string; peer: string } {
	const at = name.lastIndexOf("/");
	return { content: name.slice(0, at), peer: name.slice(at + 1) };
}

function indexed(index: Map<string, Set<string>>, place: string): Set<string> {
	const known = index.get(place);
	if (known) return known;
	const fresh = new Set<string>();
	index.set(place, fresh);
	return fresh;
}

/** Some of them, each as likely as any other. */
function chosenByLot<T>(all: T[], count: number): T[] {
	for (let i = 0; i < Math.min(count, all.length); i++) {
		const other = i + Math.floor(Math.random() * (all.length - i));
		[all[i], all[other]] = [all[other]!, all[i]!];
	}
	return all.slice(0, count);
}
